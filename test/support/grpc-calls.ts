// Concurrent gRPC calls through a gateway, and the outcomes of those that failed.

import type { TestContext } from 'node:test';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { HOST, portOf, SERVER_CA, startTestGateway } from './gateway.ts';

export interface CallWishes {
  /** Of a server on loopback, without TLS, which echoes at `/test.Echo/Unary`. */
  readonly port: number;
  /** At least; it goes on until there were enough calls. */
  readonly seconds: number;
  readonly enough: number;
}

export interface Calls {
  readonly calls: number;
  /** Status and words of each call that failed or had another answer. */
  readonly failed: readonly string[];
  /** Calls that the gateway sent more than once. */
  readonly resent: number;
}

const CLIENTS = 20;
const own = (value: Buffer): Buffer => value;

/** Calls without a pause, of one client each of twenty connections' worth; the server must be there. */
export async function callThroughGateway(t: TestContext, { port, seconds, enough }: CallWishes): Promise<Calls> {
  const gateway = await startTestGateway(t, {
    upstreams: `echo: { targets: ["http://127.0.0.1:${port}"], http2: true }`,
    routes:
      '- { name: echo, match: { path: /test.Echo/* }, upstream: echo, require: public, weaker_than_defaults: [require] }',
  });
  const client = new Client(
    `127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`,
    credentials.createSsl(Buffer.from(SERVER_CA.cert)),
    { 'grpc.ssl_target_name_override': HOST, 'grpc.default_authority': HOST },
  );
  t.after(() => client.close());
  const until = performance.now() + seconds * 1000;
  const failed: string[] = [];
  let calls = 0;
  const call = (text: string) =>
    new Promise<string | undefined>((resolve) => {
      const done = (error: ServiceError | null, value?: Buffer) => {
        if (error) resolve(`${error.code} ${error.details}`);
        else resolve(value?.toString() === text ? undefined : 'another answer');
      };
      client.makeUnaryRequest('/test.Echo/Unary', own, own, Buffer.from(text), done);
    });
  const loop = async () => {
    while (performance.now() < until || calls < enough) {
      const failure = await call(`call ${calls++}`);
      if (failure !== undefined) failed.push(failure);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, loop));
  const resent = await gateway.count('holdfast_upstream_retries_total', { upstream: 'echo' });
  return { calls, failed, resent };
}
