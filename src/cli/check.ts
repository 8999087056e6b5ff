// `holdfast check`: all problems of a configuration, or a table and words for its meaning.

import {
  describeIncluded,
  describePolicy,
  type PolicyDescription,
  type RouteDescription,
  type RouteSummary,
} from '../config/report/describe.ts';
import { compileMask } from '../config/report/mask.ts';
import type { Problem } from '../config/problem.ts';
import { EXIT } from './commands.ts';
import { checkManifests } from './check-manifests.ts';
import { examineLoaded } from './doctor/doctor.ts';
import { printFindings, tellFindings } from './doctor/report.ts';
import { textTable } from './layout.ts';
import { type Loaded, loadPolicy } from './load.ts';
import { type Printed, printProblems } from './printed.ts';
import { problemText } from './problem-text.ts';

export interface CheckOptions {
  readonly json?: boolean | undefined;
  /** In words, besides the tables; JSON always has both. */
  readonly verbose?: boolean | undefined;
  /** Files that keys name may be absent; implied by Kubernetes objects. */
  readonly withoutFiles?: boolean | undefined;
}

/**
 * Checks a configuration without opening a port or calling anybody.
 * @param stdin its text where `file` is `-`: a configuration, or Kubernetes objects with configurations in ConfigMaps
 */
export function check(file: string, stdin: string | undefined, options: CheckOptions = {}): Printed {
  const { json = false, withoutFiles = false } = options;
  const manifests =
    stdin === undefined ? undefined : checkManifests(stdin, (loaded) => printLoaded(loaded, options), json);
  return manifests ?? printLoaded(loadPolicy(file, stdin, withoutFiles), options);
}

/** Checks a configuration, and if it is good looks at what it names (doctor/doctor.ts). */
export async function checkOnline(file: string, options: Pick<CheckOptions, 'json' | 'verbose'>): Promise<Printed> {
  const loaded = loadPolicy(file);
  const checked = printLoaded(loaded, options);
  if ('problems' in loaded) return checked;
  const { exit, findings } = await examineLoaded(loaded);
  const stdout = options.json
    ? `${JSON.stringify({ ...(JSON.parse(checked.stdout) as object), online: tellFindings(findings) }, undefined, 2)}\n`
    : `${checked.stdout}\n${printFindings(findings)}`;
  return { exit, stdout, stderr: '' };
}

/** What was loaded, as the command prints it. */
export function printLoaded(loaded: Loaded, { json = false, verbose = false }: CheckOptions): Printed {
  if ('problems' in loaded) return printProblems(loaded.problems, json);
  const description = compileMask(loaded.read.substitutions)({
    ...describePolicy(loaded.policy),
    included: loaded.read.config.include.map(describeIncluded),
  });
  const stdout = json
    ? `${JSON.stringify({ valid: true, ...description, warnings: loaded.warnings }, undefined, 2)}\n`
    : printDescription(description, loaded.warnings, verbose);
  return { exit: EXIT.ok, stdout, stderr: '' };
}

function printDescription(
  description: PolicyDescription & { readonly included: readonly string[] },
  warnings: readonly Problem[],
  verbose: boolean,
): string {
  const { listeners, admin, telemetry, tracing, included, routes } = description;
  const traces = tracing === undefined ? [] : [`tracing ${tracing}`];
  const places = [`admin ${admin}`, `telemetry ${telemetry}`, ...traces, ...included.map((one) => `included ${one}`)];
  const shown = verbose ? listeners : listeners.map((one) => one.split('; ')[0] ?? '');
  const blocks = [
    routeTable(routes),
    `${[...shown.map((one) => `listener ${one}`), ...places].join('\n')}\n`,
    ...(verbose ? routes.map((route) => `${printRoute(route)}\n`) : []),
    ...(warnings.length > 0
      ? [`Worth a look:\n${warnings.map((one) => `${indent(problemText(one))}\n`).join('')}`]
      : []),
    ...(verbose ? [] : ['--verbose says in words what each route demands, forwards and does NOT enforce.\n']),
    `The configuration is good: ${routes.length} ${routes.length === 1 ? 'route' : 'routes'}.\n`,
  ];
  return blocks.join('\n');
}

const indent = (text: string) => text.replaceAll(/^/gm, '  ');

const HEADS = ['route', 'methods', 'host and path', 'requires', 'scope', 'issuers', 'rate', 'upstream', 'listeners'];

function routeTable(routes: readonly RouteDescription[]): string {
  const rows = routes.map(({ name, summary }) => {
    const { listeners, methods, host = '', path, conditions, scope, issuers, rate, cors, upstream } = summary;
    return [
      name,
      `${methods?.join(' ') ?? 'any'}${cors ? ' (CORS)' : ''}`,
      [`${host}${path}`, ...conditions].join(' '),
      required(summary),
      scope ?? '',
      issuers.join(' '),
      rate ?? '',
      upstream ?? 'in front',
      listeners?.join(' ') ?? '',
    ];
  });
  return textTable(HEADS, rows);
}

function required({ requires, nonce, shadow }: RouteSummary): string {
  const nonces = { none: '', required: ', nonce', 'on-skew': ', nonce on skew' };
  return `${requires}${nonces[nonce]}${shadow === undefined ? '' : `; shadow ${shadow}`}`;
}

function printRoute({
  name,
  match,
  upstream,
  demands,
  forwards,
  shadow,
  limits,
  notEnforced,
}: RouteDescription): string {
  const section = (title: string, lines: readonly string[]) =>
    lines.map((line, index) => `  ${(index === 0 ? title : '').padEnd(13)}${line}`);
  return [
    `route ${name}: ${match} -> ${upstream}`,
    ...section('demands', demands),
    ...section('shadow', shadow),
    ...section('forwards', forwards),
    ...section('limits', limits),
    ...section('NOT enforced', notEnforced),
  ].join('\n');
}
