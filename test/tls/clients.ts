// Clients of the TLS tests: saved sessions, cut bytes, spoiled hellos.

import { once } from 'node:events';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions, type SecureVersion } from 'node:tls';
import { readAll } from '../support/edge.ts';
import { type Answered, HOST, portOf, readAnswer, readSeries, SERVER, type TestGateway } from '../support/gateway.ts';
import type { TestCertificate } from '../support/pki.ts';

/** A route that takes any token and forwards the certificate, and one that takes anybody. */
export const ROUTES = `
- name: any
  match: { path: /any/* }
  upstream: orders
  require: token
  weaker_than_defaults: [require]
  forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }`;

export const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];

/** Of a listener, by name; the default is the first. */
export function portAt({ running }: TestGateway, name?: string): number {
  const listener = running.listeners.find((one) => name === undefined || one.name === name);
  return portOf(listener?.bind);
}

export interface VisitWishes {
  /** Name of the listener. */
  readonly at?: string;
  readonly version?: SecureVersion;
  readonly client?: TestCertificate;
  /** Saved by an earlier visit. */
  readonly session?: Buffer;
  /** '' sends none. */
  readonly servername?: string;
  readonly host?: string;
  readonly path?: string;
  readonly token?: string;
  readonly socket?: Duplex;
}

export interface Visit {
  readonly answer: Answered;
  readonly resumed: boolean;
  /** What the server left for the next connection. */
  readonly session: Buffer | undefined;
  /** The name of the server's certificate. */
  readonly server: string;
}

/** A GET on a TLS connection of its own, with or without a session of before. Rejects where no answer comes. */
export async function visit(gateway: TestGateway, wishes: VisitWishes = {}): Promise<Visit> {
  const { host = HOST, path = '/', token } = wishes;
  const socket = connectTls(optionsOf(gateway, wishes));
  let session: Buffer | undefined;
  socket.on('session', (one: Buffer) => (session = one));
  await once(socket, 'secureConnect');
  const resumed = socket.isSessionReused();
  const server = socket.getPeerX509Certificate()?.subjectAltName ?? '';
  const credentials = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${credentials}Connection: close\r\n\r\n`);
  return { answer: await readAnswer(socket), resumed, session, server };
}

function optionsOf(gateway: TestGateway, wishes: VisitWishes): ConnectionOptions {
  const { at, version, client, session, servername = HOST, socket } = wishes;
  return {
    ...(socket === undefined ? { port: portAt(gateway, at), host: '127.0.0.1' } : { socket }),
    servername,
    ca: SERVER.issuer?.cert,
    checkServerIdentity: () => undefined,
    ...(version && { minVersion: version, maxVersion: version }),
    ...(client && { cert: client.chain, key: client.key }),
    ...(session && { session }),
  };
}

/** A TCP connection on which whatever is written goes out in pieces, each in a segment of its own. */
export class Pieces extends Duplex {
  readonly #socket;
  readonly #cut: (bytes: Buffer) => readonly Buffer[];
  pieces = 0;

  constructor(port: number, cut: (bytes: Buffer) => readonly Buffer[]) {
    super();
    this.#cut = cut;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk) => this.push(chunk));
    this.#socket.on('end', () => this.push(null));
    this.#socket.on('error', (error) => this.destroy(error));
    this.#socket.on('close', () => this.destroy());
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    void this.#send(bytes, done);
  }

  async #send(bytes: Buffer, done: () => void): Promise<void> {
    for (const piece of this.#cut(bytes)) {
      this.pieces += 1;
      this.#socket.write(piece);
      await new Promise(setImmediate); // the gateway is of this process: it reads now
    }
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

/** Sends bytes as they are; everything that comes until the gateway closes. */
export async function sendBytes(port: number, bytes: Uint8Array): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  return Buffer.from(await readAll(socket), 'latin1');
}

const PLACEHOLDER = 'name.to.be.replaced.example.com';

/** A ClientHello as Node sends it, but for its server_name extension (RFC 6066 §3). @param extension all of its bytes */
export async function clientHello(extension: Buffer): Promise<Buffer> {
  const hello = await new Promise<Buffer>((resolve) => {
    const wire = new Duplex({
      read: () => {},
      write: (bytes: Buffer) => {
        resolve(bytes);
        wire.destroy();
      },
    });
    connectTls({ socket: wire, servername: PLACEHOLDER }).on('error', () => {});
  });
  const end = hello.indexOf(PLACEHOLDER) + PLACEHOLDER.length;
  const start = end - PLACEHOLDER.length - 9; // type, length, length of the list, type and length of the name
  const grown = extension.length - (end - start);
  const result = Buffer.concat([hello.subarray(0, start), extension, hello.subarray(end)]);
  for (const at of [3, 7, extensionsOf(hello)]) result.writeUInt16BE(hello.readUInt16BE(at) + grown, at);
  return result;
}

/** Where the length of a ClientHello's extensions stands (RFC 8446 §4.1.2). */
function extensionsOf(hello: Buffer): number {
  const session = 5 + 4 + 2 + 32;
  const ciphers = session + 1 + hello.readUInt8(session);
  const compression = ciphers + 2 + hello.readUInt16BE(ciphers);
  return compression + 1 + hello.readUInt8(compression);
}

/** Failed handshakes by reason, so far. */
export async function handshakeFailures(gateway: TestGateway): Promise<Readonly<Record<string, number>>> {
  const series = readSeries((await gateway.page('/metrics')).body);
  // Series that begin at 0 say nothing.
  const failures = series.filter(({ name, value }) => name === 'holdfast_tls_handshake_failures_total' && value > 0);
  return Object.fromEntries(failures.map(({ labels, value }) => [labels['reason'] ?? '', value]));
}
