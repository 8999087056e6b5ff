// A gRPC server that ends connections by age, and loses no call.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startAgingServer } from '../support/aging-server.ts';
import { callThroughGateway } from '../support/grpc-calls.ts';

it('a server whose connections live 200 ms answers every call of three seconds', async (t) => {
  const wishes = { port: await startAgingServer(t, 200), seconds: 3, enough: 100 };
  const { failed, calls, resent } = await callThroughGateway(t, wishes);
  assert.deepEqual(failed, []);
  assert.ok(calls >= 100, `${calls} calls`);
  t.diagnostic(`${calls} calls, ${resent} sent again`);
});
