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
