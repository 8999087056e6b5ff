// HTTP/2 frames written by hand over real TLS, and those that come back.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import { listen } from './forwarding.ts';

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** Error codes (RFC 9113 §7). */
export const ERROR = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  refused: 7,
  cancel: 8,
  calm: 11,
} as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export type Line = readonly [name: string, value: string];

/** Field lines as literals without indexing or Huffman coding (RFC 7541 §6.2.2); latin1. */
export function block(lines: readonly Line[]): Buffer {
  return Buffer.concat(lines.map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])));
}

/** A field line that goes into the dynamic table (RFC 7541 §6.2.1), at index 62. */
export function indexed([name, value]: Line): Buffer {
  return Buffer.concat([Buffer.of(0x40), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

/** RFC 7541 §5.1. */
function integer(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.of(value);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** Pairs of SETTINGS (RFC 9113 §6.5.1). */
export function settings(pairs: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [at, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, at * 6);
    payload.writeUInt32BE(value, at * 6 + 2);
  }
  return frame(FRAME.settings, 0, 0, payload);
}

export const GET: readonly Line[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/open/1'],
  [':authority', 'api.example.com'],
];

/** HEADERS of a whole request. */
export function request(stream: number, lines: readonly Line[] = GET, flags: number = FLAG.endStream): Buffer {
  return frame(FRAME.headers, flags | FLAG.endHeaders, stream, block(lines));
}

export function reset(stream: number, code: number = ERROR.cancel): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(FRAME.rstStream, 0, stream, payload);
}

/** A connection after the prefaces of both sides. */
export class RawHttp2 {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  #rest = Buffer.alloc(0);
  /** Bytes before the first frame. */
  #skip: number;
  #looks = new Set<() => void>();

  constructor(socket: Socket, skip = 0) {
    this.socket = socket;
    this.#skip = skip;
    socket.setMaxListeners(0);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    for (const event of ['error', 'end', 'close']) socket.on(event, () => this.#look());
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (this.#rest.length < this.#skip) return;
    this.#rest = this.#rest.subarray(this.#skip);
    this.#skip = 0;
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      const [type = 0, flags = 0] = this.#rest.subarray(3, 5);
      const payload = this.#rest.subarray(9, end);
      this.frames.push({ type, flags, stream: this.#rest.readUInt32BE(5), payload });
      this.#rest = this.#rest.subarray(end);
    }
    this.#look();
  }

  #look(): void {
    for (const look of this.#looks) look();
  }

  get closed(): boolean {
    return this.socket.readableEnded || this.socket.destroyed;
  }

  write(...parts: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
  }

  /** Resolves at the first frame of which that is true; rejects when the connection ends before. */
  until(wanted: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.frames.find(wanted);
        if (found !== undefined) resolve(found);
        else if (this.closed) reject(new Error(`the connection ended before that frame: ${this.story()}`));
        else return;
        this.#looks.delete(look);
      };
      this.#looks.add(look);
      look();
    });
  }

  /** Resolves when the other end has closed the connection. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!this.closed) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }

  /** The nth HEADERS frame of a client (from 1): its stream, when it is there. */
  async request(nth = 1): Promise<number> {
    const opened = () => this.frames.filter(({ type }) => type === FRAME.headers);
    await this.until(() => opened().length >= nth);
    return opened()[nth - 1]?.stream ?? 0;
  }

  /** How that stream ended: the code of RST_STREAM, or `ended`. */
  async ending(stream: number): Promise<number | 'ended'> {
    const last = await this.until(
      (one) =>
        one.stream === stream &&
        (one.type === FRAME.rstStream || (one.type <= FRAME.headers && (one.flags & FLAG.endStream) !== 0)),
    );
    return last.type === FRAME.rstStream ? last.payload.readUInt32BE() : 'ended';
  }

  /** DATA of that stream so far. */
  data(stream: number): string {
    return Buffer.concat(
      this.frames.filter((one) => one.type === FRAME.data && one.stream === stream).map(({ payload }) => payload),
    ).toString('latin1');
  }

  /** `reason` of the problem document that answers that stream. */
  async reason(stream: number): Promise<string | undefined> {
    await this.ending(stream);
    return /"reason":"(\w+)"/.exec(this.data(stream))?.[1];
  }

  /** The code of GOAWAY. */
  async goaway(): Promise<number> {
    return (await this.until(({ type }) => type === FRAME.goaway)).payload.readUInt32BE(4);
  }

  story(): string {
    return this.frames
      .map(({ type, flags, stream, payload }) => `${type}/${flags}@${stream}+${payload.length}`)
      .join(' ');
  }
}

export interface RawWishes {
  readonly ca: string;
  readonly settings?: readonly (readonly [id: number, value: number])[];
  /** Send no acknowledgement of the server's settings. */
  readonly silent?: boolean;
}

/** Connects with ALPN `h2` and says hello. */
export async function openHttp2(t: Pick<TestContext, 'after'>, port: number, wishes: RawWishes): Promise<RawHttp2> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'api.example.com',
    ca: wishes.ca,
    ALPNProtocols: ['h2'],
  });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const raw = new RawHttp2(socket);
  raw.write(PREFACE, settings(wishes.settings));
  if (!wishes.silent) raw.write(frame(FRAME.settings, FLAG.ack, 0));
  await raw.until(({ type }) => type === FRAME.settings);
  return raw;
}

/** `:status: 200` and more, as HEADERS of a server. */
export function answer(stream: number, lines: readonly Line[] = [], flags = 0): Buffer {
  return frame(FRAME.headers, FLAG.endHeaders | flags, stream, block([[':status', '200'], ...lines]));
}

/** A server without TLS that says hello and nothing else; its origin. `opened` is called for each connection. */
export async function serveHttp2(
  t: TestContext,
  opened: (raw: RawHttp2) => void,
  pairs: readonly (readonly [id: number, value: number])[] = [],
): Promise<string> {
  const server = createServer((socket) => {
    const raw = new RawHttp2(socket, PREFACE.length);
    raw.write(settings(pairs), frame(FRAME.settings, FLAG.ack, 0));
    opened(raw);
  });
  return `http://127.0.0.1:${await listen(t, server)}`;
}
