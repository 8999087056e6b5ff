// An upstream with several targets behind a whole gateway: one dies and comes back, and clients do not notice; operators do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { openTargets } from '../support/targets.ts';

test('a target that dies is noticed by operators and by no client, until it is back', async (t) => {
  const targets = await openTargets(t, 2);
  const [mortal, other] = targets;
  assert.ok(mortal && other);
  const gateway = await startTestGateway(t, {
    upstreams: `pair:
  targets: [${targets.map(({ origin }) => `"${origin}"`).join(', ')}]
  health: { path: /healthz, interval: 100ms, unhealthy_after: 2, healthy_after: 2 }
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
  assert.equal(await gateway.count('holdfast_upstream_retries_total', { upstream: 'pair' }), failures);
  assert.equal(await gateway.count('holdfast_upstream_failures_total'), failures);

  await mortal.start();
  await gateway.logged({ msg: 'target healthy', level: 'info', target: mortal.origin });
  await askAll();
  assert.equal(await gateway.count('holdfast_upstream_target_healthy', labels), 1);
});
