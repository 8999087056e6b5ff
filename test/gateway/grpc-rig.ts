// A grpc-js server behind a gateway, and clients that see whole outcomes.

import type { TestContext } from 'node:test';
import {
  type ChannelOptions,
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js';
import { HOST, portOf, SERVER, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestCertificate } from '../support/pki.ts';
import { issue, prove, TO_KEY } from './credentials.ts';

export const SERVICE = '/test.Echo';
export const text = (value: string): Buffer => Buffer.from(value);
export const own = (value: Buffer): Buffer => value;
const marshal = { requestSerialize: own, requestDeserialize: own, responseSerialize: own, responseDeserialize: own };
export const MIB = 1024 * 1024;

const DEFINITION = {
  unary: { path: `${SERVICE}/Unary`, requestStream: false, responseStream: false, ...marshal },
  answers: { path: `${SERVICE}/Answers`, requestStream: false, responseStream: true, ...marshal },
  collect: { path: `${SERVICE}/Collect`, requestStream: true, responseStream: false, ...marshal },
  talk: { path: `${SERVICE}/Talk`, requestStream: true, responseStream: true, ...marshal },
};

/** What the server does; `unary` answers with what it got and trailers until a test says otherwise. */
export interface Handlers {
  unary: handleUnaryCall<Buffer, Buffer>;
  answers: handleServerStreamingCall<Buffer, Buffer>;
  collect: handleClientStreamingCall<Buffer, Buffer>;
  talk: handleBidiStreamingCall<Buffer, Buffer>;
}

export function trailers(): Metadata {
  const metadata = new Metadata();
  metadata.set('x-trailer', 'last');
  metadata.set('x-bytes-bin', Buffer.of(0, 255));
  return metadata;
}

const HANDLERS: Handlers = {
  unary: (call, done) => done(null, call.request, trailers()),
  answers: (call) => {
    for (const part of ['a', 'b', 'c']) call.write(text(`${call.request.toString()}${part}`));
    call.end(trailers());
  },
  collect: (call, done) => {
    const parts: string[] = [];
    call.on('data', (part: Buffer) => parts.push(part.toString()));
    call.on('end', () => done(null, text(parts.join('+'))));
  },
  talk: (call) => {
    call.on('data', (part: Buffer) => call.write(text(`echo ${part.toString()}`)));
    call.on('end', () => call.end());
  },
};

export interface Rig {
  readonly gateway: TestGateway;
  readonly server: Server;
  readonly handlers: Handlers;
  readonly client: (certificate?: TestCertificate) => Client;
}

/** A gateway with a server behind it. @param wishes TLS to the server, and what its policy has besides the route `echo` */
export async function startGrpc(
  t: TestContext,
  { tls = false, listener = '', routes = '', upstreams = '', more = '' } = {},
): Promise<Rig> {
  const handlers = { ...HANDLERS };
  const big: ChannelOptions = { 'grpc.max_receive_message_length': -1 };
  const server = new Server(big);
  server.addService(DEFINITION, {
    unary: (...call: Parameters<Handlers['unary']>) => handlers.unary(...call),
    answers: (...call: Parameters<Handlers['answers']>) => handlers.answers(...call),
    collect: (...call: Parameters<Handlers['collect']>) => handlers.collect(...call),
    talk: (...call: Parameters<Handlers['talk']>) => handlers.talk(...call),
  });
  const keys = [{ private_key: Buffer.from(SERVER.key), cert_chain: Buffer.from(SERVER.chain) }];
  const how = tls ? ServerCredentials.createSsl(null, keys) : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', how, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  t.after(() => server.forceShutdown());
  const target = tls
    ? `{ targets: ["https://127.0.0.1:${port}"], http2: true, tls: { ca_file: server-ca.pem, server_name: ${HOST} } }`
    : `{ targets: ["http://127.0.0.1:${port}"], http2: true }`;
  const gateway = await startTestGateway(t, {
    listener,
    upstreams: `echo: ${target}\n${upstreams}`,
    files: { 'server-ca.pem': SERVER_CA.cert },
    routes: [
      `- { name: echo, match: { path: ${SERVICE}/* }, upstream: echo }`,
      '- { name: open, match: { path: /open/* }, upstream: echo, require: public, weaker_than_defaults: [require] }',
      routes,
    ].join('\n'),
    ...(more && { more }),
  });
  const address = `127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`;
  return {
    gateway,
    server,
    handlers,
    client(certificate) {
      const ssl = credentials.createSsl(
        Buffer.from(SERVER_CA.cert),
        certificate ? Buffer.from(certificate.key) : null,
        certificate ? Buffer.from(certificate.chain) : null,
      );
      const client = new Client(address, ssl, {
        ...big,
        'grpc.ssl_target_name_override': HOST,
        'grpc.default_authority': HOST,
      });
      t.after(() => client.close());
      return client;
    },
  };
}

/** Metadata with a token and a proof for a method of the service, or for a whole path. */
export async function proven(
  { gateway }: Rig,
  method: string,
  claims: Record<string, unknown> = {},
): Promise<Metadata> {
  const token = await issue(gateway, TO_KEY);
  const metadata = new Metadata();
  metadata.set('authorization', `DPoP ${token}`);
  const path = method.startsWith('/') ? method : `${SERVICE}/${method}`;
  metadata.set('dpop', await prove(gateway, token, 'POST', path, { claims }));
  return metadata;
}

export interface Outcome {
  readonly error: ServiceError | null;
  readonly value: string | undefined;
  readonly status: StatusObject;
}

export interface UnaryWishes {
  readonly request?: Buffer;
  /** Milliseconds. */
  readonly deadline?: number;
  readonly path?: string;
}

/** One unary call, and everything that its client learns. */
export function unary(client: Client, metadata: Metadata, wishes: UnaryWishes = {}): Promise<Outcome> {
  const { request = text('a'), deadline, path = `${SERVICE}/Unary` } = wishes;
  return new Promise((resolve) => {
    let result: Pick<Outcome, 'error' | 'value'> | undefined;
    const options = deadline === undefined ? {} : { deadline: Date.now() + deadline };
    const call = client.makeUnaryRequest(path, own, own, request, metadata, options, (error, value) => {
      result = { error, value: value?.toString() };
    });
    call.once('status', (how) =>
      setImmediate(() => resolve({ error: null, value: undefined, ...result, status: how })),
    );
  });
}
