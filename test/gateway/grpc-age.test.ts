// A gRPC server that ends its connections by age, with the server of grpc-js: no call is lost, whatever moment it comes in.

import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { callThroughGateway } from '../support/grpc-calls.ts';

const METHOD = {
  path: '/test.Echo/Unary',
  requestStream: false,
  responseStream: false,
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
} as const;

/** Port of a server that echoes, and ends each connection after so many milliseconds. */
async function startServer(t: TestContext, age: number): Promise<number> {
  const server = new Server({ 'grpc.max_connection_age_ms': age });
  server.addService(
    { unary: METHOD },
    { unary: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, call.request) },
  );
  t.after(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
}

it('a server whose connections live 200 ms answers every call of three seconds', async (t) => {
  const { failed, calls, resent } = await callThroughGateway(t, { port: await startServer(t, 200), seconds: 3 });
  assert.deepEqual(failed, []);
  assert.ok(calls > 100, `${calls} calls`);
  t.diagnostic(`${calls} calls, ${resent} sent again`);
});
