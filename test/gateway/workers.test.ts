// Real worker threads: one that dies, one that cannot start, a socket they cannot share.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as requestPlain } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startGateway } from '../../src/supervisor/gateway.ts';
import { createLog } from '../../src/observe/log.ts';
import { startTestGateway } from '../support/gateway.ts';
import { dpop, issue, prove, TO_KEY } from './credentials.ts';
import { QUIET, ROUTES, startWorkers, times } from './worker-threads.ts';

test('a worker that takes the place of a dead one remembers the proofs and knows the keys', async (t) => {
  const gateway = await startWorkers(t, 1);
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', '/orders/1');
  assert.equal((await gateway.request('GET', '/orders/1', { token, proof })).status, 200);
  gateway.running.kill(0);
  await gateway.reaches(1, 'holdfast_worker_restarts_total');
  await gateway.reaches(1, 'holdfast_workers', { state: 'serving' });
  assert.equal((await gateway.request('GET', '/orders/1', { token, proof })).reason, 'proof_replayed');
  assert.equal((await dpop(gateway, 'GET', '/orders/1', { token })).status, 200);
});

test('a unix socket, which threads cannot share, is served by one of them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'public.sock');
  const gateway = await startTestGateway(t, {
    routes: ROUTES,
    threads: true,
    more: `${QUIET}\nworkers: 2`,
    listeners: `- { name: public, bind: "unix:${path}", origins: [http://api.example.com] }`,
  });
  const answers = await times(
    8,
    () =>
      new Promise<number>((resolve, reject) => {
        const request = requestPlain({ socketPath: path, path: '/open/1', headers: { Host: 'api.example.com' } });
        request.once('response', (response) => resolve(response.resume().statusCode ?? 0)).once('error', reject);
        request.end();
      }),
  );
  assert.deepEqual(new Set(answers), new Set([200]));
  await gateway.reaches(8, 'holdfast_requests_total', { route: 'open' });
});

test('a worker that cannot start ends the start, with its reason', async (t) => {
  const gateway = await startWorkers(t, 1);
  const { policy } = gateway;
  const broken = {
    ...policy,
    listeners: policy.listeners.map((one) => ({ ...one, bind: { host: '192.0.2.1', port: 0 } })),
  };
  const log = createLog({ level: 'fatal', sampleSuccesses: 0 }, { write() {} });
  await assert.rejects(startGateway(broken, { version: 'test', log }), /cannot bind 192\.0\.2\.1:0/);
});
