// Envoy in front of three replicas with one Redis, from deploy/envoy/replicas/.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { through } from '../gateway/behind.ts';
import { dpop, issue, prove, TO_KEY } from '../gateway/credentials.ts';
import { CLIENT_CA, CLIENT_ROOT, portOf, SERVER, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { findProgram, freePort, INSTALLING, startProgram } from '../support/programs.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { DEPLOY } from './neighbours/rig.ts';
import { findEnvoy } from './programs.ts';

const ENVOY = findEnvoy();
const ROUTES = '- { name: orders, match: { path: /orders/* }, require: dpop, scope: [orders:read] }';

interface Replicas {
  readonly redis: TestRedis;
  readonly all: readonly TestGateway[];
  /** Called through Envoy. */
  readonly front: TestGateway;
}

async function startReplicas(t: TestContext): Promise<Replicas> {
  const redis = await startRedis(t);
  const [, listeners = '', rest = ''] = readFileSync(join(DEPLOY, 'envoy/replicas/holdfast.yaml'), 'utf8').split(
    /^listeners:\n|^admin: /m,
  );
  const replay = /^replay:\n(?: .*\n)+/m.exec(rest)?.[0].replace('${REDIS_PORT:-6379}', String(redis.port));
  const all: TestGateway[] = [];
  for (let nth = 0; nth < 3; nth++) {
    const gateway = await startTestGateway(t, {
      listeners: listeners.replaceAll(/^ {2}/gm, '').replace('${HOLDFAST_PORT:-9001}', '0'),
      routes: ROUTES,
      more: `drain: { delay: 0s, grace: 5s }\n${replay}`,
      // A busy machine keeps Redis waiting.
      adjust: ({ replay: { redis: shared, ...memory }, ...policy }) => ({
        ...policy,
        replay: { ...memory, redis: shared && { ...shared, timeout: 5 } },
      }),
    });
    all.push(gateway);
  }
  return { redis, all, front: await startEnvoy(t, all) };
}

async function startEnvoy(t: TestContext, all: readonly TestGateway[]): Promise<TestGateway> {
  if ('skip' in ENVOY) throw new Error(ENVOY.skip);
  chmodSync(ENVOY.file, 0o755);
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-replicas-'));
  const first = all[0]!;
  let text = readFileSync(join(DEPLOY, 'envoy/replicas/envoy.yaml'), 'utf8')
    .replace('address: 0.0.0.0, port_value: 8443', `address: 127.0.0.1, port_value: ${port}`)
    .replace('port_value: 8080', `port_value: ${new URL(first.upstream.origin).port}`);
  for (const [nth, gateway] of all.entries()) {
    text = text.replace(`port_value: ${9001 + nth}`, `port_value: ${portOf(gateway.running.listeners[0]?.bind)}`);
  }
  const files = {
    'envoy.yaml': text,
    'tls.crt': SERVER.chain,
    'tls.key': SERVER.key,
    'clients.pem': `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}`,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const args = ['-c', 'envoy.yaml', '--concurrency', '2', '--disable-hot-restart', '--log-level', 'error'];
  await startProgram(t, { file: ENVOY.file, args, folder, ports: [port] });
  const front = through(first, port);
  // It serves when its first health checks are through.
  while ((await dpop(front, 'GET', '/orders/ready')).status !== 200) await pause(100);
  return front;
}

/** Envoy's own 503, while it finds out that a replica has gone, is no decision: nothing passed, and it is asked again. */
async function decided<A extends { readonly status: number; readonly reason: unknown }>(
  ask: () => Promise<A>,
): Promise<A> {
  for (;;) {
    const answer = await ask();
    if (answer.status !== 503 || answer.reason !== undefined) return answer;
    await pause(50);
  }
}

const decisionsOf = (all: readonly TestGateway[]) =>
  Promise.all(all.map((gateway) => gateway.count('holdfast_requests_total', { route: 'orders' })));

before(() => findProgram('redis-server'), INSTALLING);

test('several replicas behind one Envoy', {
  skip: 'skip' in ENVOY ? ENVOY.skip : false,
  timeout: 180_000,
}, async (t) => {
  const { redis, all, front } = await startReplicas(t);

  await t.test('a proof passes once, whichever of them is asked, and all of them are', async () => {
    const token = await issue(front, TO_KEY);
    for (let round = 0; round < 10; round++) {
      const proof = await prove(front, token, 'GET', '/orders/1');
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => front.request('GET', '/orders/1', { token, proof })),
      );
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
      assert.ok(answers.every(({ status, reason }) => status === 200 || reason === 'proof_replayed'));
    }
    assert.ok((await decisionsOf(all)).every((count) => count > 0));
  });

  await t.test('with one of them gone the others decide, and a proof that it took stays used', async () => {
    const token = await issue(front, TO_KEY);
    const proof = await prove(front, token, 'GET', '/orders/1');
    assert.equal((await front.request('GET', '/orders/1', { token, proof })).status, 200);
    await all[2]?.close();
    let good = 0;
    while (good < 20) good = (await dpop(front, 'GET', '/orders/2')).status === 200 ? good + 1 : 0;
    const again = await decided(() => front.request('GET', '/orders/1', { token, proof }));
    assert.equal(again.reason, 'proof_replayed');
  });

  await t.test('without Redis nothing passes', async () => {
    const seen = front.upstream.seen.length;
    await redis.kill();
    for (let nth = 0; nth < 5; nth++) {
      const { status, reason } = await decided(() => dpop(front, 'GET', '/orders/3'));
      assert.deepEqual([status, reason], [503, 'replay_store_unavailable']);
    }
    assert.equal(front.upstream.seen.length, seen);
  });
});
