// The check of configuration data against the schema: a Config, or problems in plain words.

import * as z from 'zod';
import { nearest } from '../nearest.ts';
import { withoutUserinfo } from '../userinfo.ts';
import type { ConfigPath } from '../problem.ts';
import type { Kept } from '../kept.ts';
import { route } from './route.ts';
import { type Config, schema, upstream } from './schema.ts';
import { name } from './values.ts';

/** Something wrong in the data. */
export interface Finding {
  readonly path: ConfigPath;
  /** The key itself is wrong, not its value. */
  readonly atKey: boolean;
  /** The rest means the same without it: a key that nobody knows, or whose feature is not built yet. */
  readonly removable?: boolean;
  /** Nothing is there. */
  readonly absent?: boolean;
  /** The key that a key nobody knows most likely means. */
  readonly meant?: string | undefined;
  readonly message: string;
}

type Data = Readonly<Record<string, unknown>>;
type Written = (path: ConfigPath) => string | undefined;
type Known = Map<unknown, readonly string[]>;

/**
 * Checks data against the schema and against the keys that are not built yet.
 * Beside findings a `config` is what the rest means where keys alone were wrong, or routes: so that what keys mean together can be looked
 * at in the same run. A route that is wrong in another way has a stand-in there, `faulty` says where.
 * @param written scalars as they stand in the file, environment not substituted: what messages may show
 * @param kept parts of frozen data that were good before are not looked at again
 * NOT checked: what keys mean together, beyond one mapping (compile.ts), and the files that keys name (read.ts).
 */
export function checkConfig(
  data: unknown,
  written: Written,
  kept?: Kept,
): {
  readonly config: Config | undefined;
  readonly findings: readonly Finding[];
  readonly faulty: ReadonlySet<number>;
} {
  const good = kept && checkParts(data, kept);
  if (good !== undefined) return { config: good, findings: [], faulty: new Set() };
  const known: Known = new Map();
  const parsed = schema.safeParse(data, { error: (issue) => expectedBy(issue, known) });
  const wrong = parsed.success
    ? []
    : parsed.error.issues.flatMap((issue) => describe(issue, [], { data, written, known }));
  // Of a mapping that is wrong in itself and further in, the latter says more.
  const findings = wrong.filter(
    (finding) => !wrong.some((other) => isBelow(other.path, finding.path) || explains(other, finding)),
  );
  if (parsed.success && findings.length === 0) return { config: parsed.data, findings, faulty: new Set() };
  const keys = findings.filter(({ removable }) => removable);
  const others = findings
    .filter(({ removable }) => !removable)
    .map(({ path: [section, index] }) => ({ section, index }));
  const faulty = new Set(
    others.flatMap(({ section, index }) => (section === 'routes' && typeof index === 'number' ? [index] : [])),
  );
  const areRoutes = others.every(({ section, index }) => section === 'routes' && typeof index === 'number');
  return { config: areRoutes ? withoutFaults(data, keys, faulty) : undefined, findings, faulty };
}

const surroundings = schema.omit({ routes: true, upstreams: true });

/** The same part by part; undefined: something is wrong, and what it is has to be found in the whole. */
function checkParts(data: unknown, { checked }: Kept): Config | undefined {
  if (!isMapping(data) || !Array.isArray(data['routes']) || data['routes'].length === 0) return undefined;
  const { routes, upstreams = {}, ...rest } = data as Data & { readonly routes: readonly unknown[] };
  if (!isMapping(upstreams)) return undefined;
  const good = <T extends object>(part: z.ZodType<T>, value: unknown): T | undefined => {
    const lasting = typeof value === 'object' && value !== null && Object.isFrozen(value);
    const before = lasting ? checked.get(value) : undefined;
    if (before !== undefined) return before as T;
    const { data: found } = part.safeParse(value);
    if (lasting && found !== undefined) checked.set(value, found);
    return found;
  };
  const around = surroundings.safeParse(rest).data;
  const all = routes.map((one) => good(route, one));
  const named = Object.entries(upstreams).map(([key, one]) =>
    name.safeParse(key).success ? ([key, good(upstream, one)] as const) : undefined,
  );
  if (around === undefined || !all.every((one) => one !== undefined)) return undefined;
  if (!named.every((one): one is readonly [string, Config['upstreams'][string]] => one?.[1] !== undefined))
    return undefined;
  return { ...around, routes: all, upstreams: Object.fromEntries(named) };
}

/** Whether a key is absent because it stands there under a wrong name, or in what a merge key (`<<`) would have brought. */
function explains(other: Finding, { path, absent = false }: Finding): boolean {
  if (!absent || !isSame(other.path.slice(0, -1), path.slice(0, -1))) return false;
  return other.meant === path.at(-1) || other.path.at(-1) === '<<';
}

/** A wrong value cannot be left out like a key: its default would raise problems that are none. A route with one is another route. */
function withoutFaults(data: unknown, keys: readonly Finding[], faulty: ReadonlySet<number>): Config | undefined {
  const rest = structuredClone(data);
  for (const { path } of keys) {
    const holder = valueAt(rest, path.slice(0, -1));
    if (typeof holder === 'object' && holder !== null) Reflect.deleteProperty(holder, path.at(-1) ?? '');
  }
  const routes = valueAt(rest, ['routes']);
  if (Array.isArray(routes)) for (const index of faulty) routes[index] = standIn(index, routes[index]);
  return schema.safeParse(rest).data;
}

/** In the place of a route, under its name where it has one, and in the way of no other one. */
function standIn(index: number, route: unknown): object {
  return {
    name: name.safeParse(valueAt(route, ['name'])).data ?? `stand-in-${index}`,
    match: { path: `/~/stand-in/${index}` },
    respond: { status: 404 },
    require: 'public',
  };
}

/** What was expected, for issues about which the schema itself says nothing; remembers the keys that a mapping has. */
function expectedBy(issue: z.core.$ZodRawIssue, known: Known): string {
  if (issue.code === 'unrecognized_keys' && issue.inst instanceof z.ZodObject) {
    known.set(issue.input, Object.keys(issue.inst.shape));
  }
  return 'a mapping';
}

interface Context {
  readonly data: unknown;
  readonly written: Written;
  readonly known: Known;
}

function describe(issue: z.core.$ZodIssue, above: ConfigPath, context: Context): readonly Finding[] {
  const path = [...above, ...(issue.path as (string | number)[])];
  if (issue.code === 'unrecognized_keys') {
    const known = context.known.get(valueAt(context.data, path)) ?? [];
    return issue.keys.map((key) => ({
      path: [...path, key],
      atKey: true,
      message: unknownKey(key, known),
      removable: true,
      meant: nearest(key, known),
    }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, atKey: true, message: `is not valid as a key, expected ${issue.issues[0]?.message}` }];
  }
  const meant = issue.code === 'invalid_union' ? issue.errors.find(isMeant) : undefined;
  if (meant !== undefined) return meant.flatMap((inner) => describe(inner, path, context));
  const absent = valueAt(context.data, path) === undefined;
  return [{ path, atKey: false, absent, message: `${whatIsThere(path, context)}, expected ${issue.message}` }];
}

/** Whether a value was meant as this alternative: it has its kind, and is wrong only further in. */
function isMeant(issues: readonly z.core.$ZodIssue[]): boolean {
  return issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys');
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return `is not a known key, ${near === undefined ? `expected one of ${known.join(', ')}` : `did you mean ${near}?`}`;
}

/** Never the value itself, which can come from the environment, but what is written in the file. */
function whatIsThere(path: ConfigPath, { data, written }: Pick<Context, 'data' | 'written'>): string {
  const value = valueAt(data, path);
  if (value === undefined) return 'is required';
  if (value === null || value === '') return 'is empty';
  if (Array.isArray(value)) return value.length === 0 ? 'is an empty list' : 'is a list';
  if (typeof value === 'object') return Object.keys(value).length === 0 ? 'is an empty mapping' : 'is a mapping';
  const like = typeof value === 'string' && /^(?:true|false|-?[0-9]+(?:\.[0-9]+)?)$/.test(value) ? 'the text ' : '';
  return `is ${like}${shown(written(path) ?? '', typeof value)}`;
}

const SHOWN = 60;

/** Scalars in messages: short, on one line (more lines may be a key by mistake), without userinfo. */
function shown(text: string, type: string): string {
  if (text.includes('\n')) return 'text of several lines';
  const clean = withoutUserinfo(text);
  const short = clean.length > SHOWN ? `${clean.slice(0, SHOWN)}…` : clean;
  if (type === 'string') return JSON.stringify(short);
  return type === 'number' ? `the number ${short}` : short;
}

function isMapping(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueAt(data: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    return (value as Record<string | number, unknown>)[key];
  }, data);
}

/** Whether a place is another one, or inside it. */
function isWithin(path: ConfigPath, outer: ConfigPath): boolean {
  return outer.every((part, index) => part === path[index]);
}

function isSame(path: ConfigPath, other: ConfigPath): boolean {
  return path.length === other.length && isWithin(path, other);
}

function isBelow(path: ConfigPath, outer: ConfigPath): boolean {
  return path.length > outer.length && isWithin(path, outer);
}
