// Series of routes, listeners and upstreams that a reload has taken out of the policy.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addCounter, addGauge, addHistogram, createRegistry, type Snapshot } from '../../src/observe/instruments.ts';
import { createForgetting, knownNames, withoutGone } from '../../src/observe/gone.ts';
import { METRICS } from '../../src/observe/metric-table.ts';
import { policyOf } from '../support/policies.ts';

const policyWith = (...names: readonly string[]) =>
  policyOf({
    upstreams: names
      .map((name) => `${name}: { targets: ["http://${name}.example:80"], insecure_plain_http: true }`)
      .join('\n'),
    routes: names.map((name) => `- { name: ${name}, match: { path: /${name} }, upstream: ${name} }`).join('\n'),
  });

const seriesOf = (snapshot: Snapshot) =>
  (snapshot as { name: string; values: { labels: Record<string, string> }[] }[]).flatMap(({ name, values }) =>
    values.map(({ labels }) => `${name} ${labels['route'] ?? labels['target'] ?? labels['worker'] ?? ''}`),
  );

test('what is gone leaves, what stays goes on counting, and what is gone from another name alone is kept', async () => {
  const registry = createRegistry();
  const requests = addCounter(registry, METRICS.preflights);
  const answers = addCounter(registry, METRICS.upstreamAnswers);
  const durations = addHistogram(registry, METRICS.requestDuration, [1]);
  for (const route of ['a', 'b', 'none']) {
    requests.inc({ route, result: 'allowed' });
    durations.observe(route, 0.5);
  }
  for (const name of ['a', 'b']) answers.inc({ upstream: name, target: `http://${name}.example`, status: '2xx' });
  addGauge(registry, METRICS.workerHeap, () => [[{ worker: '0', kind: 'used' }, 1]]);
  const forget = createForgetting(registry);
  await forget(policyWith('a', 'b'));
  const before = seriesOf(await registry.getMetricsAsJSON());
  assert.ok(before.some((one) => one.endsWith(' b')) && before.some((one) => one.endsWith('//b.example')));
  await forget(policyWith('a', 'c'));
  const after = seriesOf(await registry.getMetricsAsJSON());
  assert.deepEqual(
    after,
    before.filter((one) => !/[ /]b(?:\.|$)/.test(one)),
  );
  requests.inc({ route: 'a', result: 'allowed' });
  const [counted] = await registry.getMetricsAsJSON();
  assert.deepEqual(
    (counted as { values: { value: number }[] } | undefined)?.values.map(({ value }) => value),
    [2, 1],
  );
});

test('what was counted by a thread that is no more loses the same series', () => {
  const values = ['a', 'b', 'none'].map((route) => ({ labels: { route }, value: 1 }));
  const snapshot = [
    { name: 'x', values },
    { name: 'y', values: [{ labels: {}, value: 1 }] },
  ];
  const known = knownNames(policyWith('a'));
  assert.deepEqual(seriesOf(withoutGone(snapshot, known)), ['x a', 'x none', 'y ']);
});
