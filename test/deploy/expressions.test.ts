// Alerts and dashboard of deploy/ against the metrics that exist.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { alerts, metricsIn, panels } from './expressions.ts';

const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
const documented = new Set([...page.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name));

test('every metric of alerts and dashboard is in docs/metrics.md, or is one that every Node process has', () => {
  const names = metricsIn([...alerts().values(), ...panels()]);
  const unknown = [...names].filter((name) => !documented.has(name) && !/^(process|nodejs)_/.test(name));
  assert.deepEqual(unknown, []);
  assert.ok(names.size > 20);
});

test('labels in expressions are labels of the metric they stand at', () => {
  const labels = new Map<string, readonly string[]>(
    [...page.matchAll(/^\| `(\w+)` \| \w+ \| ([^|]+) \|/gm)].map(([, name, list]) => [
      name!,
      list!.match(/\w+/g) ?? [],
    ]),
  );
  const wrong = [...alerts().values(), ...panels()].flatMap((text) =>
    [...text.matchAll(/\b(holdfast_\w+?)(?:_bucket)?\{([^}]*)\}/g)].flatMap(([, metric, matchers]) =>
      [...matchers!.matchAll(/(\w+)=/g)]
        .map(([, label]) => label!)
        .filter((label) => label !== 'instance' && !labels.get(metric!)?.includes(label))
        .map((label) => `${metric} has no label ${label}`),
    ),
  );
  assert.deepEqual(wrong, []);
});

test('the chart has every alert of deploy/prometheus, except that each refusal has its own there', () => {
  const chart = readFileSync(join(ROOT, 'helm/holdfast/templates/prometheusrule.yaml'), 'utf8');
  const named = [...chart.matchAll(/alert: (\w+)/g)].map(([, name]) => name!);
  assert.deepEqual(
    [...alerts().keys()].filter((name) => name !== 'HoldfastReplays').toSorted(),
    named.filter((name) => name !== 'HoldfastRejections').toSorted(),
  );
});
