// Real worker threads on one port: what they share, and what is lost when one of them dies.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as requestPlain } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startGateway } from '../../src/supervisor/gateway.ts';
import { createLog } from '../../src/observe/log.ts';
import { startTestGateway, type TestGateway, type Answered } from '../support/gateway.ts';
import { dpop, issue, prove, TO_KEY } from './credentials.ts';

const QUIET = 'drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }';
const ROUTES = `
- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop }
- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }`;

const startWorkers = (t: TestContext, workers: number, adjust?: Parameters<typeof startTestGateway>[1]) =>
  startTestGateway(t, { routes: ROUTES, threads: true, more: `${QUIET}\nworkers: ${workers}`, ...adjust });

/** One of several connections in a row, which the kernel spreads over the workers. */
const times = <T>(count: number, make: (nth: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, nth) => make(nth)));

test('a proof that all workers get at once is accepted by exactly one', async (t) => {
  const gateway = await startWorkers(t, 3);
  const token = await issue(gateway, TO_KEY);
  for (let round = 0; round < 5; round++) {
    const proof = await prove(gateway, token, 'GET', '/orders/1');
    const answers = await times(24, () => gateway.request('GET', '/orders/1', { token, proof }));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ reason }) => reason === 'proof_replayed').length, 23);
  }
  assert.equal(await gateway.count('holdfast_replay_entries'), 5);
  assert.equal(await gateway.count('holdfast_requests_total', { route: 'orders' }), 120);
});

test('a nonce that one worker minted counts at all of them', async (t) => {
  const gateway = await startWorkers(t, 3);
  const token = await issue(gateway, TO_KEY);
  const challenge = await dpop(gateway, 'GET', '/nonce/1', { token });
  assert.equal(challenge.reason, 'nonce_required');
  const nonce = challenge.fields.one('dpop-nonce');
  const answers = await times(24, () => dpop(gateway, 'GET', '/nonce/1', { token, proving: { claims: { nonce } } }));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
});

/** Requests that the upstream holds until they are released, each on a connection of its own. */
async function hold(gateway: TestGateway, count: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let arrived = 0;
  const all = Promise.withResolvers<void>();
  gateway.upstream.answer = (_request, response) => {
    arrived += 1;
    if (arrived === count) all.resolve();
    void promise.then(() => response.end('at last'));
  };
  const answers = Array.from({ length: count }, () =>
    gateway.request('GET', '/open/1').then(
      (answer): Answered | undefined => answer,
      () => undefined,
    ),
  );
  await all.promise;
  return { answers, release: resolve };
}

test('the death of a worker loses only the requests it held, and it is replaced and counted', async (t) => {
  const gateway = await startWorkers(t, 2);
  await times(10, () => gateway.request('GET', '/open/1'));
  assert.equal(await gateway.count('holdfast_requests_total', { route: 'open' }), 10);
  const held = await hold(gateway, 32);
  gateway.running.kill(0);
  // Its sockets are closed with it: those requests fail before the others are answered.
  await Promise.race(held.answers.map(async (answer) => assert.equal(await answer, undefined)));
  held.release();
  const answers = await Promise.all(held.answers);
  const lost = answers.filter((answer) => answer === undefined).length;
  assert.ok(lost > 0 && lost < 32, `${lost} of 32 were lost`);
  assert.ok(answers.every((answer) => answer === undefined || answer.body === 'at last'));

  gateway.upstream.answer = (_request, response) => response.end('again');
  const after = await times(16, () => gateway.request('GET', '/open/1'));
  assert.ok(after.every(({ body }) => body === 'again'));
  assert.equal(await gateway.count('holdfast_worker_restarts_total'), 1);
  const counted = await gateway.count('holdfast_requests_total', { route: 'open' });
  assert.ok(counted >= 10 + 32 - lost + 16, `${counted}: what the dead worker had counted still counts`);
  while ((await gateway.count('holdfast_workers', { state: 'serving' })) < 2);
});

test('a worker that takes the place of a dead one remembers the proofs and knows the keys', async (t) => {
  const gateway = await startWorkers(t, 1);
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', '/orders/1');
  assert.equal((await gateway.request('GET', '/orders/1', { token, proof })).status, 200);
  gateway.running.kill(0);
  while ((await gateway.count('holdfast_worker_restarts_total')) < 1);
  while ((await gateway.count('holdfast_workers', { state: 'serving' })) < 1);
  assert.equal((await gateway.request('GET', '/orders/1', { token, proof })).reason, 'proof_replayed');
  assert.equal((await dpop(gateway, 'GET', '/orders/1', { token })).status, 200);
});

test('a port that somebody else has is an error, although both would share it', async (t) => {
  const squatter = createServer().listen({ port: 0, host: '127.0.0.1', reusePort: true });
  await once(squatter, 'listening');
  t.after(() => squatter.close());
  const { port } = squatter.address() as AddressInfo;
  const taken = startWorkers(t, 2, {
    adjust: (policy) => ({
      ...policy,
      listeners: policy.listeners.map((one) => ({ ...one, bind: { host: '127.0.0.1', port } })),
    }),
  });
  await assert.rejects(taken, /listener "public" cannot bind 127\.0\.0\.1:\d+: the address is in use/);
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
  assert.equal(await gateway.count('holdfast_requests_total', { route: 'open' }), 8);
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
