// The PromQL expressions of deploy/: alerts, and the dashboard with its variables.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../../scripts/generate.ts';

export const RULES = join(ROOT, 'deploy/prometheus/holdfast-rules.yaml');
export const DASHBOARD = join(ROOT, 'deploy/compose/grafana/holdfast.json');

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
}

/** Those of the file, alerts and what is recorded. */
export function rules(): readonly Rule[] {
  return (parse(readFileSync(RULES, 'utf8')) as Rules).groups.flatMap((group) => group.rules);
}

const byName = (of: 'alert' | 'record') =>
  new Map(rules().flatMap((rule) => (rule[of] === undefined ? [] : [[rule[of], rule.expr] as const])));

/** Expressions by the name of the alert. */
export const alerts = (): ReadonlyMap<string, string> => byName('alert');

/** Expressions by the name of the series that they are recorded as. */
export const recorded = (): ReadonlyMap<string, string> => byName('record');

/** As Grafana sends them when everything is chosen; by title and number in the panel. */
export function queries(): ReadonlyMap<string, string> {
  const { panels: all } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;
  const filled = (expr: string) =>
    expr
      .replaceAll('$__rate_interval', '1m')
      .replaceAll('$__range', '5m')
      .replaceAll(/\$(?:instance|route|issuer)\b/g, '.*');
  return new Map(
    all.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }, nth) => [targets.length === 1 ? title : `${title} ${nth + 1}`, filled(expr)] as const),
    ),
  );
}

export const panels = (): readonly string[] => [...queries().values()];

/** Names of metrics in expressions, those of histograms without their suffix. */
export function metricsIn(expressions: Iterable<string>): ReadonlySet<string> {
  const names = [...expressions].flatMap((text) => text.match(/(?<![:\w])(?:holdfast|process|nodejs)_\w+/g) ?? []);
  return new Set(names.map((name) => name.replace(/_bucket$/, '')));
}
