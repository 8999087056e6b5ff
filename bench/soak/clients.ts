// The requests of a soak run, over HTTP/1.1 or HTTP/2, read to the last byte.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import { Agent, request as requestTls } from 'node:https';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { writable } from './content.ts';
import type { Setting } from './setting.ts';

export type Version = 'h1' | 'h2';

export interface Sent {
  readonly version: Version;
  /** The default is GET. */
  readonly method?: string;
  readonly path: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: Iterable<Buffer>;
  /** Milliseconds between two pieces of the body, of the request or else of the answer. */
  readonly slow?: number;
  /** Shows the client certificate. */
  readonly certified?: boolean;
  /** On a connection of its own. */
  readonly fresh?: boolean;
  /** The client goes away after so many bytes of the answer. */
  readonly leaveAfter?: number;
}

export interface Answer {
  readonly status: number;
  readonly nonce: string | undefined;
  /** Of the problem document. */
  readonly reason: string | undefined;
  /** The beginning of the body. */
  readonly text: string;
  readonly sha256: string;
}

/** Milliseconds after which an exchange has failed. */
const PATIENCE = 60_000;
/** Bytes of answers that all streams of a connection may have on their way, as browsers allow. */
const WINDOW = 8 * 1024 * 1024;
/** HTTP/2 connections, so that both workers get some. */
const SESSIONS = 4;

export class Clients {
  readonly #setting: Setting;
  readonly #agents: Readonly<Record<'plain' | 'certified', Agent>>;
  readonly #sessions = new Map<string, ClientHttp2Session>();
  #next = 0;

  constructor(setting: Setting) {
    this.#setting = setting;
    const options = { keepAlive: true, maxSockets: 32, maxFreeSockets: 32, ca: setting.ca };
    this.#agents = { plain: new Agent(options), certified: new Agent({ ...options, ...setting.certificate }) };
  }

  /** Rejects where there is no whole answer. */
  async send(sent: Sent): Promise<Answer> {
    return sent.version === 'h1' ? await this.#sendHttp1(sent) : await this.#sendHttp2(sent);
  }

  /** Ends the connections that are kept; nothing is in flight any more. */
  close(): void {
    this.#agents.plain.destroy();
    this.#agents.certified.destroy();
    for (const session of this.#sessions.values()) session.close();
  }

  async #sendHttp1(sent: Sent): Promise<Answer> {
    const { port, ca, certificate } = this.#setting;
    const { method = 'GET', path, fields = {}, body, certified = false, fresh = false } = sent;
    const request = requestTls({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      method,
      path,
      headers: { host: `localhost:${port}`, ...fields, ...(body && { 'transfer-encoding': 'chunked' }) },
      agent: fresh ? false : this.#agents[certified ? 'certified' : 'plain'],
      ca,
      ...(certified && certificate),
      signal: AbortSignal.timeout(PATIENCE),
    });
    const answered = once(request, 'response');
    answered.catch(() => {}); // Whoever waits for it hears of it below.
    const written = writeBody(request, sent);
    const [response] = await answered;
    const read = await readBody(response, sent, () => request.destroy());
    await written;
    return answerOf(response.statusCode, response.headers['dpop-nonce'], read);
  }

  async #sendHttp2(sent: Sent): Promise<Answer> {
    const { method = 'GET', path, fields = {}, body, fresh = false } = sent;
    const session = fresh ? this.#connect(sent) : this.#session(sent);
    try {
      const headers = { ':method': method, ':path': path, ':authority': `localhost:${this.#setting.port}`, ...fields };
      const stream = session.request(headers, { endStream: body === undefined });
      stream.setTimeout(PATIENCE, () => stream.destroy(new Error('no answer')));
      const answered = Promise.race([once(stream, 'response'), closes(stream)]);
      answered.catch(() => {});
      const written = body === undefined ? Promise.resolve() : writeBody(stream, sent);
      const [head] = await answered;
      const leave = () => stream.close(constants.NGHTTP2_CANCEL);
      const read = await readBody(stream, sent, leave);
      await written;
      return answerOf(head[':status'], head['dpop-nonce'], read);
    } finally {
      if (fresh) session.close();
    }
  }

  #session(sent: Sent): ClientHttp2Session {
    const name = `${sent.certified ?? false} ${this.#next++ % SESSIONS}`;
    const before = this.#sessions.get(name);
    if (before !== undefined && !before.closed && !before.destroyed) return before;
    const session = this.#connect(sent);
    this.#sessions.set(name, session);
    return session;
  }

  #connect({ certified = false }: Sent): ClientHttp2Session {
    const { port, ca, certificate } = this.#setting;
    const options = { ca, servername: 'localhost', ...(certified && certificate) };
    const session = connectHttp2(`https://127.0.0.1:${port}`, options);
    session.on('error', () => {}); // streams tell
    session.once('connect', () => session.setLocalWindowSize(WINDOW));
    return session;
  }
}

async function closes(stream: ClientHttp2Stream): Promise<never> {
  await once(stream, 'close');
  throw new Error('the stream was closed without an answer');
}

/** A body that throws takes its request with it. */
async function writeBody(to: Writable, { body = [], slow }: Sent): Promise<void> {
  // A refusal may come before the end of the body: the answer counts.
  to.once('error', () => {});
  try {
    for (const block of body) {
      if (to.destroyed || to.writableEnded) return;
      if (!to.write(block)) await writable(to);
      if (slow !== undefined) await pause(slow);
    }
    to.end();
  } catch (error) {
    to.destroy(error as Error);
  }
}

interface Read {
  readonly text: string;
  readonly sha256: string;
}

async function readBody(from: Readable | ClientHttp2Stream, sent: Sent, leave: () => void): Promise<Read> {
  const { slow, body, leaveAfter = Number.POSITIVE_INFINITY } = sent;
  const hash = createHash('sha256');
  let text = '';
  let bytes = 0;
  for await (const chunk of from as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    hash.update(chunk);
    if (text.length < 1024) text += chunk.toString('latin1', 0, 1024);
    if (bytes >= leaveAfter) {
      from.on('error', () => {});
      leave();
      break;
    }
    if (slow !== undefined && body === undefined) await pause(slow);
  }
  return { text, sha256: hash.digest('hex') };
}

function answerOf(status: unknown, nonce: unknown, { text, sha256 }: Read): Answer {
  const reason = /"reason":"(\w+)"/.exec(text)?.[1];
  return { status: Number(status), nonce: typeof nonce === 'string' ? nonce : undefined, reason, text, sha256 };
}
