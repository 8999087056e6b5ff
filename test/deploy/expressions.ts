// The PromQL expressions of deploy/: alerts, and the dashboard with its variables.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT } from '../../scripts/generate.ts';

export const RULES = join(ROOT, 'deploy/prometheus/holdfast-rules.yaml');
export const DASHBOARD = join(ROOT, 'deploy/compose/grafana/holdfast.json');

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

/** By the name of the alert. */
export function alerts(): ReadonlyMap<string, string> {
  const { groups } = parse(readFileSync(RULES, 'utf8')) as Rules;
  return new Map(groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)));
}

/** As Grafana sends them when all instances are chosen. */
export function panels(): readonly string[] {
  const { panels: all } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;
  const filled = (expr: string) => expr.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');
  return all.flatMap(({ targets }) => targets.map(({ expr }) => filled(expr)));
}

/** Names of metrics in expressions, those of histograms without their suffix. */
export function metricsIn(expressions: Iterable<string>): ReadonlySet<string> {
  const names = [...expressions].flatMap((text) => text.match(/\b(?:holdfast|process|nodejs)_\w+/g) ?? []);
  return new Set(names.map((name) => name.replace(/_bucket$/, '')));
}
