// Alerts and dashboard of deploy/ against the metrics that exist.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from '../../scripts/generate.ts';
import { type Reason, REASON_NAMES } from '../../src/rejection/rejection.ts';
import { only, readGolden } from '../helm/golden.ts';
import { alerts, metricsIn, panels, queries, recorded, rules } from './expressions.ts';

const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
const documented = new Set([...page.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name));

test('every metric of alerts and dashboard is in docs/metrics.md, or is one that every Node process has', () => {
  const names = metricsIn([...recorded().values(), ...alerts().values(), ...panels()]);
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
  const wrong = [...recorded().values(), ...alerts().values(), ...panels()].flatMap((text) =>
    [...text.matchAll(/(?<!:)\b(holdfast_\w+?)(?:_bucket)?\{([^}]*)\}/g)].flatMap(([, metric, matchers]) =>
      [...matchers!.matchAll(/(\w+)=/g)]
        .map(([, label]) => label!)
        .filter((label) => label !== 'instance' && !labels.get(metric!)?.includes(label))
        .map((label) => `${metric} has no label ${label}`),
    ),
  );
  assert.deepEqual(wrong, []);
});

/** The rules of the chart as Helm renders them, without what belongs to the release. */
function chartRules(): ReadonlyMap<string, string> {
  const { spec } = only(readGolden('monitoring').objects, 'PrometheusRule');
  const all = (spec.groups as { rules: { alert?: string; record?: string; expr: string }[] }[]).flatMap(
    (group) => group.rules,
  );
  const plain = (expr: string) =>
    expr
      .replaceAll(/\{\s*namespace="[^"]*",service="[^"]*"\s*,?/g, '{')
      .replaceAll('{}', '')
      .replaceAll('(pod,', '(instance,');
  return new Map(all.map(({ alert, record, expr }) => [record ?? alert ?? '', plain(expr)]));
}

test('the chart has the rules of deploy/prometheus, but for numbers of its values and one alert for each reason', () => {
  const chart = chartRules();
  const own = new Map([...recorded(), ...alerts()]);
  own.set('HoldfastInstanceDown', 'up == 0');
  own.set('HoldfastCertificateExpires', own.get('HoldfastCertificateExpires')!.replace('14 * 86400', '1814400'));
  own.set('HoldfastIssuerKeysOld', own.get('HoldfastIssuerKeysOld')!.replace('6 * 3600', '21600'));
  const apart = 'HoldfastProofMemoriesApart';
  own.set(apart, own.get(apart)!.replace('count by (job)', 'count'));
  for (const map of [own, chart as Map<string, string>]) map.delete('HoldfastRejections');
  const store = 'HoldfastProofStoreAway';
  assert.equal(chart.has(store), false, 'the memory of the case is its own');
  own.delete(store);
  assert.deepEqual(Object.fromEntries(chart), Object.fromEntries(own));
});

test('the reasons that alert are those of the values of the chart, at the same rates', () => {
  const { monitoring } = parse(readFileSync(join(ROOT, 'helm/holdfast/values.yaml'), 'utf8')) as {
    monitoring: { rules: { rejectionRates: Record<string, number> } };
  };
  const parts = [
    ...alerts()
      .get('HoldfastRejections')!
      .matchAll(/reason=~"([^"]*)"\}\[5m\]\)\) > ([\d.]+)/g),
  ];
  const rates = parts.flatMap(([, reasons, rate]) => reasons!.split('|').map((reason) => [reason, Number(rate)]));
  assert.deepEqual(Object.fromEntries(rates), monitoring.rules.rejectionRates);
  for (const [reason] of rates) assert.ok(REASON_NAMES.includes(reason as Reason), String(reason));
});

test('every alert leads to its part of the runbook, and the runbook has no part of none', () => {
  const runbook = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8');
  const parts = [...runbook.matchAll(/^## (Holdfast\w+)$/gm)].map(([, name = '']) => name);
  assert.deepEqual(parts.toSorted(), [...alerts().keys()].toSorted());
  for (const { alert, annotations } of rules()) {
    if (alert === undefined) continue;
    assert.equal(annotations?.['runbook_url'], `docs/runbook.md#${alert.toLowerCase()}`);
    assert.ok((annotations?.['summary'] ?? '').length > 20, alert);
  }
  for (const part of runbook.split(/^## (?=Holdfast)/m).slice(1)) {
    assert.match(part, /\*\*Means\.\*\*[^]*\*\*Look\.\*\*[^]*\*\*Usual causes and ends\.\*\*/, part.slice(0, 30));
  }
  const listed = [...runbook.matchAll(/^- ((?:`[a-z_]+`(?:, )?)+)(?=:|$)/gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/[a-z_]+/g)].map(([name]) => name),
  );
  assert.ok(listed.length > 15);
  for (const reason of listed) assert.ok(REASON_NAMES.includes(reason as Reason), reason);
});

test('words of the runbook are words of the gateway: log lines, metrics, titles of panels', () => {
  const runbook = readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8');
  for (const [, name = ''] of runbook.matchAll(/`(holdfast_\w+)`/g)) assert.ok(documented.has(name), name);
  const titles = [...queries().keys()];
  for (const [, said] of runbook.matchAll(/[“](\S[^”]*)[”]/g)) {
    const onPage = /^(?:Why requests were refused|what to look at|Targets|Next certificate ends)$/;
    const known = titles.some((title) => title.startsWith(said!));
    assert.ok(known || onPage.test(said!), `no panel is called ${said}`);
  }
});
