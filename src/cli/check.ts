// `holdfast check`: all problems of a configuration, or what it means in plain words.

import {
  describeIncluded,
  describePolicy,
  type PolicyDescription,
  type RouteDescription,
} from '../config/report/describe.ts';
import { compileMask } from '../config/report/mask.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import { EXIT } from './commands.ts';
import { checkManifests } from './check-manifests.ts';
import { type Loaded, loadPolicy, type Printed, printProblems } from './load.ts';

/**
 * Checks a configuration without opening a port or calling anybody.
 * @param stdin its text where `file` is `-`: a configuration, or Kubernetes objects with configurations in ConfigMaps
 * @param withoutFiles files that keys name may be absent; implied by Kubernetes objects
 */
export function check(file: string, stdin: string | undefined, json: boolean, withoutFiles = false): Printed {
  const manifests =
    stdin === undefined ? undefined : checkManifests(stdin, (loaded) => printLoaded(loaded, json), json);
  return manifests ?? printLoaded(loadPolicy(file, stdin, withoutFiles), json);
}

function printLoaded(loaded: Loaded, json: boolean): Printed {
  if ('problems' in loaded) return printProblems(loaded.problems, json);
  const description = compileMask(loaded.read.substitutions)({
    ...describePolicy(loaded.policy),
    included: loaded.read.config.include.map(describeIncluded),
  });
  const stdout = json
    ? `${JSON.stringify({ valid: true, ...description, warnings: loaded.warnings }, undefined, 2)}\n`
    : printDescription(description, loaded.warnings);
  return { exit: EXIT.ok, stdout, stderr: '' };
}

function printDescription(
  { listeners, admin, telemetry, included, routes }: PolicyDescription & { readonly included: readonly string[] },
  warnings: readonly Problem[],
): string {
  const blocks = [
    [
      ...listeners.map((one) => `listener ${one}`),
      `admin ${admin}`,
      `telemetry ${telemetry}`,
      ...included.map((one) => `included ${one}`),
    ].join('\n'),
    ...routes.map(printRoute),
    ...(warnings.length > 0 ? [`Worth a look:\n${warnings.map((one) => `  ${formatProblem(one)}`).join('\n')}`] : []),
    `The configuration is good: ${routes.length} ${routes.length === 1 ? 'route' : 'routes'}.`,
  ];
  return `${blocks.join('\n\n')}\n`;
}

function printRoute({ name, match, upstream, demands, forwards, shadow, notEnforced }: RouteDescription): string {
  const section = (title: string, lines: readonly string[]) =>
    lines.map((line, index) => `  ${(index === 0 ? title : '').padEnd(13)}${line}`);
  return [
    `route ${name}: ${match} -> ${upstream}`,
    ...section('demands', demands),
    ...section('shadow', shadow),
    ...section('forwards', forwards),
    ...section('NOT enforced', notEnforced),
  ].join('\n');
}
