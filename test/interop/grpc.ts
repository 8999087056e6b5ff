// gRPC servers that end each connection after a second, and lose no call.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { startAgingServer } from '../support/aging-server.ts';
import { callThroughGateway } from '../support/grpc-calls.ts';
import { findGrpcGo, findGrpcio, type Found } from './programs.ts';

const SECONDS = 20;

/** Port of such a program, which prints it. */
async function startFound(t: TestContext, found: Found, age: string): Promise<number> {
  if ('skip' in found) throw new Error(found.skip);
  const child = spawn(found.file, [...found.args, age], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(30_000) })) as [string];
  return Number(line);
}

async function assertNoneLost(t: TestContext, port: number): Promise<void> {
  const { calls, failed, resent } = await callThroughGateway(t, { port, seconds: SECONDS, enough: 1000 });
  t.diagnostic(`${calls} calls, ${resent} sent again, ${failed.length} lost`);
  assert.deepEqual(failed, []);
}

const grpcio = findGrpcio('aging/server.py');
const grpcGo = findGrpcGo('aging');

test('grpcio', { skip: 'skip' in grpcio ? grpcio.skip : false }, async (t) => {
  await assertNoneLost(t, await startFound(t, grpcio, '1'));
});

test('grpc-go', { skip: 'skip' in grpcGo ? grpcGo.skip : false }, async (t) => {
  await assertNoneLost(t, await startFound(t, grpcGo, '1s'));
});

test('grpc-js', async (t) => {
  await assertNoneLost(t, await startAgingServer(t, 1000));
});
