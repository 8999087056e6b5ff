// Steady load for tests of live change, without retries, with every loss counted.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'node:https';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { HOST, sendRequest, SERVER_CA, type TestUpstream } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const ANSWER = 'x'.repeat(5000);
/** Milliseconds that requests for `/slow/…` wait for their answer. */
const SLOW = 700;

/** Makes an upstream answer the load. @returns paths that it got more than once; every request has a path of its own */
export function answerLoad(upstream: TestUpstream): readonly string[] {
  const [seen, repeated] = [new Set<string>(), [] as string[]];
  upstream.answer = ({ url = '' }: IncomingMessage, response: ServerResponse) => {
    if (seen.has(url)) repeated.push(url);
    seen.add(url);
    setTimeout(() => response.end(ANSWER), url.startsWith('/slow/') ? SLOW : 0);
  };
  return repeated;
}

export interface SteadyLoad {
  /** Requests that went well, by client. */
  readonly done: Readonly<Record<string, number>>;
  readonly failures: readonly string[];
  /** Resolves when no request is in flight any more. */
  stop(): Promise<void>;
}

type Closing = { after(done: () => unknown): void };
/** Starts clients at a port that keep their connections, that open new ones, that wait long, and that speak HTTP/2. */
export function startLoad(t: Closing, port: number): SteadyLoad {
  const stopping = new AbortController();
  const done: Record<string, number> = {};
  const failures: string[] = [];
  const clients: Promise<void>[] = [];
  const client = (name: string, between: () => number, send: () => Promise<string>) => {
    done[name] = 0;
    const loop = async () => {
      while (!stopping.signal.aborted) {
        const started = Date.now();
        try {
          const wrong = await send();
          if (wrong === '') done[name] = (done[name] ?? 0) + 1;
          else failures.push(`${name}: ${wrong}`);
        } catch (error) {
          const { message, code } = error as NodeJS.ErrnoException;
          failures.push(`${name}: ${message} ${code} after ${Date.now() - started} ms`);
        }
        await pause(between(), undefined, { signal: stopping.signal }).catch(() => {});
      }
    };
    clients.push(loop());
  };
  const agents: Agent[] = [];
  const kept = () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    return agent;
  };
  const get = async (folder: string, agent?: Agent) =>
    wrongWith(await sendRequest(port, 'GET', pathIn(folder), { ...(agent && { agent }) }));
  for (const agent of [kept(), kept()])
    client(
      'kept',
      () => Math.random() * 20,
      () => get('/quick', agent),
    );
  for (const agent of [kept(), kept()])
    client(
      'kept, pausing',
      () => Math.random() * 400,
      () => get('/quick', agent),
    );
  for (const agent of [kept(), kept()])
    client(
      'kept, slow',
      () => 0,
      () => get('/slow', agent),
    );
  client(
    'new',
    () => 10,
    () => get('/quick'),
  );
  client(
    'new, slow',
    () => 0,
    () => get('/slow'),
  );
  const sessions = [new Http2Client(port), new Http2Client(port), new Http2Client(port)] as const;
  client(
    'HTTP/2',
    () => Math.random() * 20,
    () => sessions[0].get('/quick'),
  );
  client(
    'HTTP/2, pausing',
    () => Math.random() * 400,
    () => sessions[1].get('/quick'),
  );
  client(
    'HTTP/2, slow',
    () => 0,
    () => sessions[2].get('/slow'),
  );
  client(
    'HTTP/2, slow',
    () => 100,
    () => sessions[0].get('/slow'),
  );
  const stop = async () => {
    stopping.abort();
    await Promise.all(clients);
    for (const agent of agents) agent.destroy();
    for (const session of sessions) session.close();
  };
  t.after(stop);
  return { done, failures, stop };
}

/** No request failed, and there were some of every kind: where they take long, they go on until there were. */
export async function assertServed(t: Pick<TestContext, 'diagnostic'>, load: SteadyLoad): Promise<void> {
  await until(() => load.failures.length > 0 || Object.values(load.done).every((count) => count >= 3));
  await load.stop();
  assert.deepEqual(load.failures, []);
  t.diagnostic(JSON.stringify(load.done));
}

let sent = 0;
const pathIn = (folder: string) => `${folder}/${sent++}`;

function wrongWith({ status, body }: { status: number; body: string }): string {
  return status === 200 && body === ANSWER ? '' : `${status} ${body.slice(0, 120)}`;
}

/** One connection, and the next one when it is told that this one ends. */
class Http2Client {
  readonly #port: number;
  #session: ClientHttp2Session | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /**
   * A stream above the last one that GOAWAY names was not served and is sent again on the next connection, as HTTP/2 has it
   * (RFC 9113 §6.8, §8.7). Node says REFUSED_STREAM of it.
   */
  async get(folder: string): Promise<string> {
    const path = pathIn(folder);
    const session = this.#connected();
    try {
      return await request(session, path);
    } catch (error) {
      if (!session.closed || !/NGHTTP2_REFUSED_STREAM/.test((error as Error).message)) throw error;
      return await request(this.#connected(), path);
    }
  }

  #connected(): ClientHttp2Session {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const session = connectHttp2(`https://127.0.0.1:${this.#port}`, { ca: SERVER_CA.cert, servername: HOST });
    session.on('error', () => {}); // its streams tell
    this.#session = session;
    return session;
  }

  close(): void {
    this.#session?.close();
  }
}

async function request(session: ClientHttp2Session, path: string): Promise<string> {
  const stream = session.request({ ':path': path, ':authority': HOST });
  const [head] = await Promise.race([once(stream, 'response'), closing(stream)]);
  let body = '';
  for await (const chunk of stream.setEncoding('latin1')) body += String(chunk);
  return wrongWith({ status: Number(head[':status']), body });
}

async function closing(stream: ClientHttp2Stream): Promise<never> {
  await once(stream, 'close');
  throw new Error('the stream was closed without an answer');
}
