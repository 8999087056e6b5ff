// The main file and its included files as one configuration with its source locations.

import { type ConfigPath, formatPath, type Problem } from '../problem.ts';
import type { Source } from './source.ts';

/** Where a part of the whole is written: the file, and the path there. */
export interface Home {
  readonly source: Source;
  readonly path: ConfigPath;
}

/** Several files as one. Paths are those of the whole: its routes are counted through all files. */
export interface Merged {
  readonly data: unknown;
  readonly problems: readonly Problem[];
  home(path: ConfigPath): Home;
}

type Data = Readonly<Record<string, unknown>>;

const SECTIONS: Readonly<Record<string, string>> = {
  issuers: 'a mapping from names to issuers',
  upstreams: 'a mapping from names to upstreams',
  routes: 'a list of routes',
};

/**
 * Puts the issuers, upstreams and routes of included files to those of the main file.
 * Problems: other keys in an included file, sections that are no mapping or list, a name in two files (both places are named).
 * NOT checked: the sections' content (schema.ts), and what routes of included files owe (compile.ts).
 */
export function mergeSources(main: Source, included: readonly Source[]): Merged {
  const mainData = main.data;
  if (!isMapping(mainData)) return { data: mainData, problems: [], home: (path) => ({ source: main, path }) };
  if (included.length === 0 && hasSections(mainData))
    return { data: mainData, problems: [], home: (path) => ({ source: main, path }) };
  const problems: Problem[] = included.flatMap(foreignKeys);
  const homes = new Map<string, Home>();
  const data: Record<string, unknown> = { ...mainData };
  for (const [section, expected] of Object.entries(SECTIONS)) {
    const whole = section === 'routes' ? [] : {};
    const parts = [main, ...included].filter((source) => isMapping(source.data) && source.data[section] !== undefined);
    for (const source of parts) problems.push(...addPart(source, { section, expected, whole }, homes));
    if (parts.length > 0) data[section] = whole;
  }
  const home = (path: ConfigPath): Home => {
    const part = homes.get(JSON.stringify(path.slice(0, 2)));
    return part === undefined ? { source: main, path } : { ...part, path: [...part.path, ...path.slice(2)] };
  };
  return { data, problems, home };
}

function hasSections({ issuers = {}, upstreams = {}, routes = [] }: Data): boolean {
  return isMapping(issuers) && isMapping(upstreams) && Array.isArray(routes);
}

interface Section {
  readonly section: string;
  readonly expected: string;
  readonly whole: unknown[] | Record<string, unknown>;
}

/** Moves one file's part of a section into the whole, and returns what is wrong with it. */
function addPart(source: Source, { section, expected, whole }: Section, homes: Map<string, Home>): readonly Problem[] {
  const part = (source.data as Data)[section];
  if (Array.isArray(whole)) {
    if (!Array.isArray(part)) return [problem(source, [section], `is not a list, expected ${expected}`)];
    for (const [index, item] of part.entries()) {
      homes.set(JSON.stringify([section, whole.length]), { source, path: [section, index] });
      whole.push(item);
    }
    return [];
  }
  if (!isMapping(part)) return [problem(source, [section], `is not a mapping, expected ${expected}`)];
  return Object.entries(part).flatMap(([name, value]) => {
    const path = [section, name];
    const earlier = homes.get(JSON.stringify(path));
    if (earlier === undefined) {
      homes.set(JSON.stringify(path), { source, path });
      whole[name] = value;
      return [];
    }
    const { file, line, column } = earlier.source.position(path, true);
    return [problem(source, path, `is already at ${file}:${line}:${column}, expected another name`, true)];
  });
}

function foreignKeys(source: Source): readonly Problem[] {
  const only = 'expected issuers, upstreams and routes only';
  if (!isMapping(source.data)) return [problem(source, [], `is not a mapping, ${only}`)];
  return Object.keys(source.data)
    .filter((key) => !Object.hasOwn(SECTIONS, key))
    .map((key) => problem(source, [key], `is not taken from an included file, ${only}`, true));
}

function problem(source: Source, path: ConfigPath, message: string, atKey = false): Problem {
  return { ...source.position(path, atKey), path: formatPath(path), message };
}

function isMapping(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
