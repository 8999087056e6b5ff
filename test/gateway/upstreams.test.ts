// An upstream with several targets, one of which dies and comes back.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { openTargets } from '../support/targets.ts';
import { closed, openWebSocket, say, startWebSockets } from '../support/websockets.ts';

test('a target that dies is noticed by operators and by no client, until it is back', async (t) => {
  const targets = await openTargets(t, 2);
  const [mortal, other] = targets;
  assert.ok(mortal && other);
  const gateway = await startTestGateway(t, {
    upstreams: `pair:
  targets: [${targets.map(({ origin }) => `"${origin}"`).join(', ')}]
  health: { path: /healthz, interval: 500ms, unhealthy_after: 2, healthy_after: 2 }
  circuit: { failures: 2, open: 60s }
`,
    routes: '- { name: pair, match: { path: /* }, upstream: pair, require: public, weaker_than_defaults: [require] }',
  });
  const labels = { upstream: 'pair', target: mortal.origin };
  const askAll = async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => gateway.request('GET', '/1')));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  };

  await askAll();
  assert.equal(mortal.seen.length, 5);
  assert.equal(await gateway.count('holdfast_upstream_target_healthy', labels), 1);
  assert.equal(await gateway.count('holdfast_upstream_circuit_open', labels), 0);

  mortal.kill();
  await askAll();
  const line = await gateway.logged({ msg: 'target unhealthy', upstream: 'pair', target: mortal.origin });
  assert.deepEqual([line['level'], line['what']], ['warn', 'ECONNREFUSED']);
  await askAll();
  assert.equal(await gateway.count('holdfast_upstream_target_healthy', labels), 0);
  const failures = await gateway.count('holdfast_upstream_failures_total', { ...labels, reason: 'unreachable' });
  assert.ok(failures >= 1);
  assert.equal(
    await gateway.count('holdfast_upstream_retries_total', { upstream: 'pair', reason: 'unconnected' }),
    failures,
  );
  assert.equal(await gateway.count('holdfast_upstream_failures_total'), failures);

  await mortal.start();
  await gateway.logged({ msg: 'target healthy', level: 'info', target: mortal.origin });
  await askAll();
  assert.equal(await gateway.count('holdfast_upstream_target_healthy', labels), 1);
});

const open = (upstream: string) =>
  `- { name: open, match: { path: /* }, upstream: ${upstream}, require: public, weaker_than_defaults: [require] }`;

test('an upstream that a reload leaves as it was keeps its connections; one that it changed ends its own', async (t) => {
  const [target] = await openTargets(t, 1);
  assert.ok(target);
  const wishes = (retries: number, path = '/more/*') => ({
    upstreams: `kept: { targets: ["${target.origin}"], retries: ${retries} }`,
    routes: `${open('kept')}\n- { name: more, match: { path: ${path} }, upstream: orders }`,
  });
  const gateway = await startTestGateway(t, wishes(1));
  await gateway.request('GET', '/1');
  assert.equal(target.connections, 1);
  await gateway.reload(wishes(1, '/others/*'));
  await gateway.request('GET', '/2');
  assert.equal(target.connections, 1);
  await gateway.reload(wishes(0));
  await gateway.request('GET', '/3');
  assert.equal(target.connections, 2);
});

test('tunnels go to the targets in turn, past a dead one, and count until they end', async (t) => {
  const servers = [await startWebSockets(t), await startWebSockets(t)];
  const targets = [...servers.map(({ target }) => target), 'http://127.0.0.1:1'];
  const gateway = await startTestGateway(t, {
    upstreams: `chat: { targets: [${targets.map((target) => `"${target}"`).join(', ')}] }`,
    routes: open('chat'),
  });
  const pending = () => gateway.count('holdfast_upstream_pending_requests', { upstream: 'chat' });
  const tunnels = [];
  for (let nth = 0; nth < 4; nth += 1) {
    const tunnel = openWebSocket(t, gateway, '/');
    await once(tunnel, 'open');
    assert.equal(await say(tunnel, 'hello'), 'hello');
    tunnels.push(tunnel);
  }
  assert.deepEqual(
    servers.map(({ seen }) => seen.length),
    [2, 2],
  );
  assert.equal(await pending(), 4);
  for (const tunnel of tunnels) {
    tunnel.close();
    await closed(tunnel);
  }
  while ((await pending()) > 0) await new Promise(setImmediate);
});

test('targets come and go live: those that stay keep their connections, those that go answer what they had', async (t) => {
  const targets = await openTargets(t, 3);
  const [kept, leaving, coming] = targets;
  assert.ok(kept && leaving && coming);
  const wishes = (...origins: readonly string[]) => ({
    upstreams: `pool: { targets: [${origins.map((origin) => `"${origin}"`).join(', ')}], circuit: { failures: 1, open: 60s } }`,
    routes: open('pool'),
  });
  const gateway = await startTestGateway(t, wishes(kept.origin, leaving.origin));
  const held = Promise.withResolvers<() => void>();
  leaving.answer = (_request, response) => held.resolve(() => response.end('late'));
  const inFlight = [gateway.request('GET', '/a'), gateway.request('GET', '/b')];
  const release = await held.promise;
  await Promise.race(inFlight);
  const { connections } = kept;

  await gateway.reload(wishes(coming.origin, kept.origin));
  const after = await Promise.all(Array.from({ length: 8 }, (_, nth) => gateway.request('GET', `/after/${nth}`)));
  assert.deepEqual(new Set(after.map(({ status }) => status)), new Set([200]));
  assert.equal(leaving.seen.length, 1);
  assert.ok(coming.seen.length > 0 && kept.connections >= connections);
  release();
  const bodies = (await Promise.all(inFlight)).map(({ body }) => body);
  assert.ok(bodies.includes('late'));
  assert.equal(await gateway.count('holdfast_upstream_target_healthy', { target: leaving.origin }), 0);
});

test('an upstream may lose all targets and get others', async (t) => {
  const [target] = await openTargets(t, 1);
  assert.ok(target);
  const wishes = (targets: string) => ({ upstreams: `pool: { targets: [${targets}] }`, routes: open('pool') });
  const gateway = await startTestGateway(t, wishes(''));
  assert.equal((await gateway.request('GET', '/1')).reason, 'upstream_without_targets');
  await gateway.reload(wishes(`"${target.origin}"`));
  assert.equal((await gateway.request('GET', '/2')).status, 200);
  await gateway.reload(wishes(''));
  assert.equal((await gateway.request('GET', '/3')).status, 503);
});

test('a hundred changes of targets under load lose no request', async (t) => {
  const targets = await openTargets(t, 4);
  const [first] = targets;
  assert.ok(first);
  const wishes = (change: number) => {
    const others = targets.slice(1).filter((_, nth) => (change >> nth) % 2 === 1);
    const all = [first, ...others].map(({ origin }) => `"${origin}"`).join(', ');
    return { upstreams: `pool: { targets: [${all}] }`, routes: open('pool') };
  };
  const gateway = await startTestGateway(t, wishes(0));
  const load = { goesOn: true };
  const failed: (string | undefined)[] = [];
  const client = async () => {
    for (let nth = 0; load.goesOn; nth += 1) {
      const { status, reason } = await gateway.request('GET', `/${nth}`);
      if (status !== 200) failed.push(reason);
    }
  };
  const clients = Promise.all([client(), client(), client()]);
  for (let change = 1; change <= 100; change += 1) await gateway.reload(wishes(change));
  load.goesOn = false;
  await clients;
  assert.deepEqual(failed, []);
  assert.ok(targets.every(({ seen }) => seen.length > 0));
});
