// Requests of the probe on the wire: one per connection, any bytes, bounded answers.

import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import { type NoAnswer, readReply, type Reply } from './reply.ts';

/** Where the probe connects; nothing else is ever connected to. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  /** The name for SNI and certificate; undefined: plain HTTP. */
  readonly servername: string | undefined;
  /** PEM; undefined: the authorities of Node alone. */
  readonly ca: readonly string[] | undefined;
  /** Milliseconds from connecting to the last byte of an answer. */
  readonly timeout: number;
}

/** A certificate and its key, PEM. */
export interface ShownCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Bytes to send, and what is needed to read the answer. */
export interface WireRequest {
  readonly method: string;
  /** Latin-1, the whole request. */
  readonly bytes: string;
  readonly shown: ShownCertificate | undefined;
}

/** A connection that is open, and writes on demand. */
export interface OpenConnection {
  /** Writes the request and resolves with what comes. Once. */
  readonly send: () => Promise<Reply>;
  readonly close: () => void;
}

/** One request on a connection that is closed afterwards. Never rejects. */
export async function exchange(destination: Destination, request: WireRequest): Promise<Reply> {
  const opened = await open(destination, request);
  return 'kind' in opened ? opened : opened.send();
}

/** Connects, with its handshake, and sends nothing yet. Never rejects. */
export function open(destination: Destination, request: WireRequest): Promise<OpenConnection | NoAnswer> {
  const { promise, resolve } = Promise.withResolvers<OpenConnection | NoAnswer>();
  const socket = dial(destination, tlsOptions(destination, request.shown));
  const state = { failure: undefined as NoAnswer | undefined, connected: false };
  const timer = setTimeout(() => {
    state.failure = { kind: 'late', code: '' };
    socket.destroy();
  }, destination.timeout);
  socket.once('error', (error) => {
    state.failure ??= failureOf(error, state.connected);
  });
  socket.once('close', () => {
    clearTimeout(timer);
    resolve(state.failure ?? { kind: 'closed', code: '' });
  });
  socket.once(destination.servername === undefined ? 'connect' : 'secureConnect', () => {
    const send = () => read(socket, request, () => state.failure);
    resolve({ send, close: () => socket.destroy() });
  });
  // A refusal during the handshake is the server's; without a connection there was no server.
  socket.once('connect', () => (state.connected = true));
  return promise;
}

function dial({ host, port, servername }: Destination, options: ConnectionOptions): Socket {
  const socket = servername === undefined ? connectTcp({ host, port }) : connectTls({ host, port, ...options });
  // Else a request waits behind the handshake until the server acknowledges that, 40 ms where it has nothing to say.
  return socket.setNoDelay(true);
}

function tlsOptions(destination: Destination, shown: ShownCertificate | undefined): ConnectionOptions {
  const { servername = '' } = destination;
  return {
    ...(isIP(servername) === 0 ? { servername } : {}),
    secureContext: contextFor(destination, shown),
    ALPNProtocols: ['http/1.1'],
  };
}

const CONTEXTS = new WeakMap<Destination, Map<ShownCertificate | undefined, SecureContext>>();

/** Authorities are read once: there are more than a hundred. */
function contextFor(destination: Destination, shown: ShownCertificate | undefined): SecureContext {
  const known = CONTEXTS.get(destination) ?? new Map<ShownCertificate | undefined, SecureContext>();
  CONTEXTS.set(destination, known);
  const context =
    known.get(shown) ??
    createSecureContext({ ...(destination.ca === undefined ? {} : { ca: [...destination.ca] }), ...shown });
  known.set(shown, context);
  return context;
}

function failureOf(error: Error, connected: boolean): NoAnswer {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  if (/^(?:ERR_TLS_CERT|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|HOSTNAME_MISMATCH)/.test(code)) {
    return { kind: 'untrusted', code };
  }
  return { kind: connected ? 'closed' : 'unreachable', code };
}

function read(socket: Socket, { method, bytes }: WireRequest, failure: () => NoAnswer | undefined): Promise<Reply> {
  const { promise, resolve } = Promise.withResolvers<Reply>();
  let text = '';
  const look = (ended: boolean) => {
    const reply = readReply(text, method, ended);
    if (reply === undefined) return;
    // The failure of a connection says more than its empty end.
    resolve('kind' in reply && reply.kind === 'closed' ? (failure() ?? reply) : reply);
    socket.destroy();
  };
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    look(false);
  });
  socket.once('close', () => {
    const broken = failure();
    if (broken?.kind === 'late') resolve(broken);
    else look(true);
  });
  if (socket.destroyed) resolve(failure() ?? { kind: 'closed', code: '' });
  else socket.write(bytes, 'latin1');
  return promise;
}

/** Does the server finish a handshake of this version of TLS? `unable`: this Node cannot offer it. */
export function offersTls(
  destination: Destination,
  version: 'TLSv1' | 'TLSv1.1',
): Promise<boolean | 'late' | 'unable'> {
  const { promise, resolve } = Promise.withResolvers<boolean | 'late' | 'unable'>();
  const secureContext = createSecureContext({
    minVersion: version,
    maxVersion: version,
    ciphers: 'DEFAULT:@SECLEVEL=0',
  });
  // Nothing is sent, so it does not matter whose certificate it is.
  const socket = dial(destination, { ...tlsOptions(destination, undefined), secureContext, rejectUnauthorized: false });
  const timer = setTimeout(() => {
    resolve('late');
    socket.destroy();
  }, destination.timeout);
  socket.once('error', (error) => {
    const code = 'code' in error ? String(error.code) : '';
    resolve(/NO_PROTOCOLS_AVAILABLE|NO_CIPHERS_AVAILABLE|ECONNREFUSED/.test(code) ? 'unable' : false);
  });
  socket.once('close', () => {
    clearTimeout(timer);
    resolve(false);
  });
  socket.once('secureConnect', () => {
    resolve(true);
    socket.destroy();
  });
  return promise;
}
