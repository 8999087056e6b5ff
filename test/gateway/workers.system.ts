// Several worker threads on one port: what they share, and what is lost with one of them.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startOpaqueServer } from '../support/authorization-server.ts';
import { type Answered, CLIENT_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { dpop, HOLDER, issue, prove, TO_KEY } from './credentials.ts';
import { METHODS, questions, wishesFor } from './introspecting.ts';
import { QUIET, startWorkers, times } from './worker-threads.ts';

test('a proof that all workers get at once is accepted by exactly one', async (t) => {
  const gateway = await startWorkers(t, 3);
  const token = await issue(gateway, TO_KEY);
  for (let round = 0; round < 5; round++) {
    const proof = await prove(gateway, token, 'GET', '/orders/1');
    const answers = await times(24, () => gateway.request('GET', '/orders/1', { token, proof }));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    assert.equal(answers.filter(({ reason }) => reason === 'proof_replayed').length, 23);
  }
  await gateway.reaches(5, 'holdfast_replay_entries');
  await gateway.reaches(120, 'holdfast_requests_total', { route: 'orders' });
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
  await gateway.reaches(10, 'holdfast_requests_total', { route: 'open' });
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
  await gateway.reaches(1, 'holdfast_worker_restarts_total');
  // What the dead worker had counted still counts.
  await until(async () => (await gateway.count('holdfast_requests_total', { route: 'open' })) >= 10 + 32 - lost + 16);
  await gateway.reaches(2, 'holdfast_workers', { state: 'serving' });
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

test('all workers count together, and a reload forgets nothing', async (t) => {
  const gateway = await startTestGateway(t, {
    threads: true,
    more: `${QUIET}\nworkers: 3\nrate_limits: { per_address: { key: address, rate: 6/h, burst: 3 } }`,
    routes:
      '- { name: open, match: { path: /open/* }, upstream: orders, require: public, rate_limit: per_address, weaker_than_defaults: [require] }',
  });
  const send = () => gateway.request('GET', '/open/1');
  const statuses = async () => (await times(24, send)).map(({ status }) => status);
  const passed = (await statuses()).filter((status) => status === 200).length;
  assert.ok(passed >= 3 && passed <= 5, `${passed}: one more for each other worker, while the sender appears`);
  await gateway.running.reload(gateway.policy, { cause: 'signal', config: () => '' });
  assert.deepEqual(new Set(await statuses()), new Set([429]));
});

test('four worker threads ask about one token at most once each while it is remembered', async (t) => {
  const server = await startOpaqueServer(t, CLIENT_CA);
  const gateway = await startTestGateway(t, {
    ...wishesFor(server, METHODS.secret),
    threads: true,
    more: `${QUIET}\nworkers: 4`,
  });
  const token = await server.issue({ key: HOLDER });
  const answers = await Promise.all(Array.from({ length: 40 }, () => dpop(gateway, 'GET', '/dpop/1', { token })));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.ok(questions(server) <= 4, `asked ${questions(server)} times`);
  await gateway.reaches(questions(server), 'holdfast_introspections_total', { result: 'active' });
});
