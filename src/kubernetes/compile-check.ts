// The compiler of configurations, asked about data that comes from no file.

import type { InSteps } from '../long-work.ts';
import { policyInSteps } from '../config/compile/compile.ts';
import { contentOf } from '../config/content.ts';
import type { Kept } from '../config/kept.ts';
import type { ConfigPath, Position } from '../config/problem.ts';
import type { NamedFile, ReadPolicy } from '../config/read/read.ts';
import { FILE_KEYS } from '../config/schema/marked-keys.ts';
import type { Config } from '../config/schema/schema.ts';
import { select } from '../config/schema/select.ts';
import { checkBase, type CheckedPart, type Data, type DataProblem } from './checked-parts.ts';
import { scalarAt } from './json.ts';

/** A configuration in parts. */
export interface CheckedParts {
  /** Everything but upstreams and routes. */
  readonly base: Data;
  readonly upstreams: readonly (readonly [name: string, part: CheckedPart<Config['upstreams'][string]>])[];
  readonly routes: readonly CheckedPart<Config['routes'][number]>[];
}

/**
 * What is wrong with configuration data, at the place in it. Keys that name files have the content of them.
 * @param kept of the configurations of the same Gateway before
 * NOT checked: whether addresses can be bound, and issuers and backends be reached.
 */
export function* compileProblems(
  { base, upstreams, routes }: CheckedParts,
  { now, kept }: { readonly now: number; readonly kept: Kept },
): InSteps<readonly DataProblem[]> {
  const shared = checkBase(base);
  const problems = [
    ...shared.problems,
    ...upstreams.flatMap(([name, part]) => below(['upstreams', name], part)),
    ...routes.flatMap((part, index) => below(['routes', index], part)),
  ];
  if (shared.config === undefined || problems.length > 0) return problems;
  const config: Config = {
    ...shared.config,
    upstreams: Object.fromEntries(upstreams.flatMap(([name, part]) => (part.config ? [[name, part.config]] : []))),
    routes: routes.flatMap((part) => part.config ?? []),
  };
  const data = {
    ...base,
    upstreams: Object.fromEntries(upstreams.map(([name, part]) => [name, part.data])),
    routes: routes.map((part) => part.data),
  };
  const places: ConfigPath[] = [];
  const compiled = yield* policyInSteps({ ...readData(data, config, places), kept }, now);
  if ('policy' in compiled) return [];
  return compiled.problems.map(({ line, message }) => ({ path: places[line] ?? [], message }));
}

function below(at: ConfigPath, { problems }: CheckedPart<unknown>): readonly DataProblem[] {
  return problems.map(({ path, message }) => ({ path: [...at, ...path], message }));
}

/** Places are numbered as they are asked for: problems come back with the number as their line. */
function readData(data: object, config: Config, places: ConfigPath[]): ReadPolicy {
  const position = (path: ConfigPath): Position => {
    places.push(path);
    return { file: 'cluster', line: places.length - 1, column: 1 };
  };
  const files = FILE_KEYS.flatMap((key) => select(data, key)).flatMap(([path, value]) => {
    const content = typeof value === 'string' ? contentOf(value) : undefined;
    return content === undefined ? [] : [[path.join('.'), { path: 'cluster', content, inline: true }] as const];
  });
  return {
    config,
    files: new Map<string, NamedFile>(files),
    position,
    shownPath: (path) => path.join('.'),
    written: (path) => scalarAt(data, path),
    includedBy: () => undefined,
    substitutions: [],
    text: '',
    data,
  };
}
