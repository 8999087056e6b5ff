// The rig of the hostile tests: a gateway, a recording upstream, raw clients.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import {
  ISSUER_KEY,
  ORIGIN,
  type PolicyWishes,
  portOf,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts';
import { makeKey, makeProof, makeToken } from '../support/tokens.ts';
import { type Message, readAnswers, readRequests } from './wire.ts';

/** Milliseconds after which what is waited for will not come, however slow the machine is. */
const PATIENCE = 20_000;

/** One connection that the gateway opened, with every byte that came over it, as latin1. */
export class UpstreamConnection {
  readonly socket: Socket;
  text = '';
  ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  get requests(): readonly Message[] {
    return readRequests(this.text).messages;
  }
}

/** What the upstream does whenever bytes have come; `complete` counts the requests of the connection that are all there. */
export type Script = (connection: UpstreamConnection, complete: number) => void;

/** Answers each complete request with its own request line, so that a client can tell whose answer it got. */
export const echo: Script = ({ socket, requests }, complete) => {
  const { start = '', body = '' } = requests[complete - 1] ?? {};
  const text = `you sent ${start} with ${body.length} bytes`;
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${start.startsWith('HEAD ') ? '' : text}`);
};

/** Does something for complete requests only, once for each. */
export const perRequest =
  (script: Script): Script =>
  (connection, complete) => {
    const already = answered.get(connection.socket) ?? 0;
    answered.set(connection.socket, complete);
    for (let nth = already + 1; nth <= complete; nth += 1) script(connection, nth);
  };
const answered = new WeakMap<Socket, number>();

export class RawUpstream {
  readonly connections: UpstreamConnection[] = [];
  script: Script = perRequest(echo);
  readonly #changed = new EventTarget();

  admit(socket: Socket): void {
    const connection = new UpstreamConnection(socket);
    this.connections.push(connection);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      connection.text += chunk.toString('latin1');
      this.script(connection, connection.requests.length);
      this.#changed.dispatchEvent(new Event('changed'));
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      connection.ended = true;
      this.#changed.dispatchEvent(new Event('changed'));
    });
    this.#changed.dispatchEvent(new Event('changed'));
  }

  /** Request lines of all complete requests, in the order of connections and then of arrival. */
  get seen(): readonly string[] {
    return this.connections.flatMap(({ requests }) => requests.map(({ start }) => start));
  }

  get requests(): readonly Message[] {
    return this.connections.flatMap(({ requests }) => requests);
  }

  /** Every byte of every connection. */
  get text(): string {
    return this.connections.map(({ text }) => text).join('');
  }

  /** Resolves when it is so. */
  async until(so: (upstream: RawUpstream) => boolean): Promise<void> {
    while (!so(this)) await once(this.#changed, 'changed', { signal: AbortSignal.timeout(PATIENCE) });
  }

  /** Every byte of every connection belongs to a clean request, or to one that was broken off together with its connection. */
  assertClean(): void {
    for (const { text, ended } of this.connections) {
      const { messages, rest, broken } = readRequests(text);
      assert.equal(broken, undefined, `the upstream got what is no request: ${broken}`);
      assert.ok(rest === '' || ended, `an open connection with half a request: ${JSON.stringify(rest.slice(0, 200))}`);
      for (const message of messages) assertForwarded(message);
    }
  }
}

const ONCE = ['host', 'via', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'];
const NEVER =
  /^(?:te|trailer|upgrade|expect|keep-alive|proxy-.*|http2-settings|dpop|client.?cert.*|x.real.ip|x.original.url)$/i;

/** What is true of every request that Holdfast forwards on a route that removes credentials. */
function assertForwarded({ lines, trailers }: Message): void {
  const names = lines.map(([name]) => name.toLowerCase());
  for (const name of ONCE) assert.equal(names.filter((other) => other === name).length, 1, `${name} not once`);
  assert.equal(names.filter((name) => NEVER.test(name)).join(), '');
  assert.equal(trailers, '');
  const host = lines.find(([name]) => name.toLowerCase() === 'host')?.[1];
  assert.equal(host, 'api.example.com');
}

/** A raw client on TLS. */
export class Client {
  readonly socket: Socket;
  text = '';
  closed = false;
  readonly #changed = new EventTarget();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.#changed.dispatchEvent(new Event('changed'));
    });
    socket.on('error', () => socket.destroy());
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        this.closed = true;
        this.#changed.dispatchEvent(new Event('changed'));
      });
  }

  send(bytes: string): this {
    this.socket.write(bytes, 'latin1');
    return this;
  }

  async until(so: (client: Client) => boolean): Promise<this> {
    while (!so(this)) {
      assert.ok(!this.closed, `closed before: ${JSON.stringify(this.text.slice(0, 300))}`);
      await once(this.#changed, 'changed', { signal: AbortSignal.timeout(PATIENCE) });
    }
    return this;
  }

  /** Everything that came until the gateway ended the connection. */
  async toEnd(): Promise<string> {
    while (!this.closed) await once(this.#changed, 'changed', { signal: AbortSignal.timeout(PATIENCE) });
    return this.text;
  }

  /** Waits for so many final answers. */
  async answers(count: number, methods: readonly string[] = []): Promise<readonly Message[]> {
    const read = () => readAnswers(this.text, methods).messages.filter(({ start }) => !/ 1\d\d /.test(start));
    await this.until(() => read().length >= count);
    return read();
  }
}

export const statusOf = ({ start }: Message) => Number(start.slice(9, 12));
export const reasonOf = ({ body }: Message) => /"reason":"(\w+)"/.exec(body)?.[1];
export const fieldOf = ({ lines }: Message, wanted: string) =>
  lines.filter(([name]) => name.toLowerCase() === wanted.toLowerCase()).map(([, value]) => value);

export interface RigWishes extends Omit<PolicyWishes, 'upstreams'> {
  /** Of the upstream `raw`. */
  readonly connections?: number;
  /** No TLS, for tests that need hundreds of connections. */
  readonly plain?: boolean;
}

const PLAIN = '- { name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com"] }';

export interface Rig {
  readonly gateway: TestGateway;
  readonly upstream: RawUpstream;
  /** A TLS connection on which `bytes` were written. */
  open(bytes?: string): Promise<Client>;
  /** `Authorization` and `DPoP` lines of a request that is good. */
  credentials(method: string, path: string): Promise<string>;
  /** Everything that was answered to these bytes, on a connection that the gateway ends. */
  answersTo(bytes: string): Promise<readonly Message[]>;
}

const HOLDER = await makeKey();

const ROUTES = `- { name: open, match: { path: /* }, upstream: raw, require: public, weaker_than_defaults: [require] }
- { name: admin, match: { path: /admin/* }, upstream: raw, require: dpop }
- { name: small, match: { path: /small/* }, upstream: raw, require: public, limits: { request_body: 64B }, weaker_than_defaults: [require] }
- { name: token, match: { path: /token/* }, upstream: raw, require: token, weaker_than_defaults: [require] }`;

async function openPlain(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** A gateway with a public route for everything, a strict one for /admin/*; all to the raw upstream. Closes with the test. */
export async function startRig(t: Pick<TestContext, 'after'>, wishes: RigWishes = {}): Promise<Rig> {
  const upstream = new RawUpstream();
  const server = createServer((socket) => upstream.admit(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    for (const { socket } of upstream.connections) socket.destroy();
    await once(server, 'close');
  });
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { connections = 8, routes = ROUTES, plain = false, ...others } = wishes;
  const gateway = await startTestGateway(t, {
    routes,
    upstreams: `raw: { targets: ["${target}"], connections: ${connections} }`,
    ...(plain && { listeners: PLAIN }),
    ...others,
  });
  const open = async (bytes = '') => {
    const socket = plain ? await openPlain(portOf(gateway.running.listeners[0]?.bind)) : await gateway.connect();
    t.after(() => socket.destroy());
    return new Client(socket).send(bytes);
  };
  return {
    gateway,
    upstream,
    open,
    credentials: async (method, path) => {
      const token = await makeToken(ISSUER_KEY, gateway.now(), { claims: { cnf: { jkt: HOLDER.jkt } } });
      const proof = await makeProof(HOLDER, gateway.now(), { method, url: `${ORIGIN}${path}`, token });
      return `Authorization: DPoP ${token}\r\nDPoP: ${proof}\r\n`;
    },
    answersTo: async (bytes) => {
      const client = await open(bytes);
      return readAnswers(await client.toEnd()).messages;
    },
  };
}

export const HOST = 'Host: api.example.com\r\n';
/** What must never be taken for a request: forwarded on a public route if it were. */
export const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n`;
