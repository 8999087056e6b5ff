// CPU profiles of the serving thread of a running Node process, by its inspector.

import { once } from 'node:events';

/** A function of a profile, called from its parent. */
export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

/** As V8 gives it: one node for each sample, and the µs since the sample before. */
export interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** µs between two samples. */
const INTERVAL = 500;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId: string; readonly message?: string };
  readonly result?: { readonly profile: Profile };
  readonly error?: { readonly message: string };
}

type Send = (method: string, params?: object) => Promise<Message>;

/** An inspector of a process, and of its first worker thread where it has one. */
export class Profiler {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #sent = 0;
  /** The session of the worker thread. */
  #worker: string | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(String(data)) as Message));
  }

  /** @param port of `--inspect` */
  static async attach(port: number): Promise<Profiler> {
    const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      webSocketDebuggerUrl: string;
    }[];
    const socket = new WebSocket(target!.webSocketDebuggerUrl);
    await once(socket, 'open');
    const profiler = new Profiler(socket);
    await profiler.#send('NodeWorker.enable', { waitForDebuggerOnStart: false });
    await profiler.#call('Profiler.enable');
    await profiler.#call('Profiler.setSamplingInterval', { interval: INTERVAL });
    return profiler;
  }

  async start(): Promise<void> {
    await this.#call('Profiler.start');
  }

  async stop(): Promise<Profile> {
    const { result } = await this.#call('Profiler.stop');
    return result!.profile;
  }

  close(): void {
    this.#socket.close();
  }

  readonly #send: Send = (method, params = {}) =>
    this.#answered((id) => this.#socket.send(JSON.stringify({ id, method, params })));

  /** In the thread that serves. */
  readonly #call: Send = (method, params = {}) => {
    const sessionId = this.#worker;
    if (sessionId === undefined) return this.#send(method, params);
    return this.#answered((id) => {
      const message = JSON.stringify({ id, method, params });
      void this.#send('NodeWorker.sendMessageToWorker', { sessionId, message });
    });
  };

  async #answered(send: (id: number) => void): Promise<Message> {
    const id = ++this.#sent;
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#waiting.set(id, resolve);
    send(id);
    const message = await promise;
    if (message.error !== undefined) throw new Error(message.error.message);
    return message;
  }

  #take(message: Message): void {
    const { method, params } = message;
    if (method === 'NodeWorker.attachedToWorker') this.#worker ??= params!.sessionId;
    else if (method === 'NodeWorker.receivedMessageFromWorker') this.#take(JSON.parse(params!.message!) as Message);
    else if (message.id !== undefined) {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    }
  }
}
