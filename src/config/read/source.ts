// One configuration file: YAML text to plain data, with the line of each value.

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { fillContents, hideContents } from '../content.ts';
import { excerptAt } from './excerpt.ts';
import { type ConfigPath, formatPath, type Position, type Problem } from '../problem.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A scalar into which the environment went. */
export interface Substitution {
  /** As it stands in the file. */
  readonly written: string;
  readonly text: string;
  /** By name, as they were; not those for which a default stood in. */
  readonly variables: ReadonlyMap<string, string>;
}

/** A configuration file taken apart. Paths are those of this file. */
export interface Source {
  /** As named on the command line or matched by `include`. */
  readonly file: string;
  readonly text: string;
  /** Mappings, lists and scalars, environment substituted; undefined where the text is no YAML. */
  readonly data: unknown;
  readonly problems: readonly Problem[];
  /** Where the value at a path is written (with `key`: its key), or else the nearest mapping or list around it. */
  position(path: ConfigPath, key?: boolean): Position;
  /** A scalar as written, before the environment went in: safe to show. Undefined for mappings, lists and what is absent. */
  written(path: ConfigPath): string | undefined;
  readonly substitutions: readonly Substitution[];
}

interface Place {
  /** Offsets in the text. */
  readonly key: number;
  readonly value: number;
  readonly end: number;
  readonly written: string | undefined;
}

/** What the walk through one document needs and finds. */
interface Walk {
  readonly env: Environment;
  readonly given: readonly unknown[] | undefined;
  readonly tags: Document['schema']['tags'];
  readonly places: Map<string, Place>;
  readonly substitutions: Substitution[];
  note(offset: number, path: ConfigPath, message: string): void;
}

/**
 * Reads YAML 1.2 (core schema) and puts the environment into its scalars.
 * @param file how messages name it
 * @param env where `${NAME}` and `${NAME:-default}` come from
 * @param given names that this file may take from it; undefined: all
 * NOT checked: any key or value of the contract (schema.ts).
 */
export function readSource(file: string, text: string, env: Environment, given?: readonly unknown[]): Source {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const places = new Map<string, Place>();
  const substitutions: Substitution[] = [];
  const filled = fillContents(text);
  const at = (offset: number, hidden?: readonly [number, number]): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1), excerpt: excerptAt(filled, offset, hidden) };
  };
  const note = (offset: number, path: ConfigPath, message: string) => {
    problems.push({ ...at(offset), path: formatPath(path), message });
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, ...CORE_SCHEMA });
  noteSyntax(document, text, note);
  const broken = problems.length > 0;
  const data = broken
    ? undefined
    : readNode(document.contents, [], { env, given, tags: document.schema.tags, places, substitutions, note });
  return {
    file,
    text,
    data,
    problems,
    position: (path, key = false) => {
      const place = nearest(places, path);
      return key ? at(place.key, [place.value, place.end]) : at(place.value);
    },
    written: (path) => places.get(JSON.stringify(path))?.written,
    substitutions,
  };
}

const CORE_SCHEMA = { version: '1.2', stringKeys: true, uniqueKeys: false, resolveKnownTags: false } as const;

function nearest(places: ReadonlyMap<string, Place>, path: ConfigPath): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const place = places.get(JSON.stringify(path.slice(0, length)));
    if (place !== undefined) return place;
  }
  return { key: 0, value: 0, end: 0, written: undefined };
}

/** Mistakes that YAML's rules invite; what helps against each of them is quoting. */
const TRAPS: readonly (readonly [RegExp, string])[] = [
  [/\[[0-9A-Fa-f:.]*\]:\d/, '[ ] is a list (YAML, not us), expected quotes: "[::]:8443"'],
  [/[{[,].*\$\{/, 'a { inside { } or [ ] starts a mapping (YAML, not us), expected quotes: "${NAME}"'],
  [/[:[,-]\s+[@`%]/, 'no value starts with @, ` or % (YAML, not us), expected quotes: "@issuer"'],
];

/** Errors of which the parser speaks to programmers. */
const PLAIN: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: 'has a second document (---), expected one',
  RESOURCE_EXHAUSTION: 'is nested too deeply, expected the few levels of the contract',
};

/** Characters of a line that are looked at for traps. */
const LINE = 200;

/** One problem per line: after the first, the parser only guesses. */
function noteSyntax(document: Document.Parsed, text: string, note: Walk['note']): void {
  const seen = new Set<number>();
  for (const { pos, code, message } of [...document.errors, ...document.warnings]) {
    const start = text.lastIndexOf('\n', pos[0] - 1) + 1;
    if (seen.has(start)) continue;
    seen.add(start);
    const [line = ''] = text.slice(start, start + LINE).split('\n', 1);
    const trap = TRAPS.find(([pattern]) => pattern.test(line))?.[1];
    note(pos[0], [], PLAIN[code] ?? `is not valid YAML: ${trap ?? message}`);
  }
}

/** A node as plain data; undefined after a problem was noted. */
function readNode(node: unknown, path: ConfigPath, walk: Walk, key?: number): unknown {
  const value = offsetOf(node) ?? key ?? 0;
  const written = isScalar(node) ? hideContents(node.source ?? String(node.value)) : undefined;
  const end = Math.max(value, (node as { range?: readonly number[] | null } | null)?.range?.[1] ?? value);
  walk.places.set(JSON.stringify(path), { key: key ?? value, value, end, written });
  if (isMap(node)) return readMapping(node, path, walk);
  if (isSeq(node)) return node.items.map((item, index) => readNode(item, [...path, index], walk));
  if (isScalar(node)) return readScalar(node, path, walk);
  if (!isAlias(node)) return null;
  walk.note(value, path, aliasMessage(node.source, path));
  return undefined;
}

function aliasMessage(name: string, path: ConfigPath): string {
  const meant = path.includes('<<') ? 'its keys written out, or defaults for all routes' : `quotes: "*${name}"`;
  return `*${name} is an alias (YAML, not us), which is not taken, expected ${meant}`;
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0];
}

function readMapping(map: YAMLMap, path: ConfigPath, walk: Walk): Readonly<Record<string, unknown>> {
  const data: Record<string, unknown> = {};
  for (const pair of map.items) {
    const name = String((pair.key as Scalar).value);
    const offset = offsetOf(pair.key) ?? 0;
    const inner = [...path, name];
    if (Object.hasOwn(data, name)) walk.note(offset, inner, 'is written twice, expected once');
    else if (name === '__proto__') walk.note(offset, inner, 'cannot be a key');
    else if (name.includes('${')) walk.note(offset, inner, 'has ${ in a key, expected in values only');
    else data[name] = readNode(pair.value, inner, walk, offset);
  }
  return data;
}

const SUBSTITUTION = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

const NOT_GIVEN =
  'which the main file does not give to this one, expected it under environment of the entry in include';

/** A scalar after substitution; a plain one is typed by what it has become, as if it had been written so; a quoted one is text. */
function readScalar(node: Scalar, path: ConfigPath, walk: Walk): unknown {
  if (typeof node.value !== 'string' || !node.value.includes('${')) return node.value;
  const { text, variables, problems } = substitute(node.value, walk);
  for (const message of problems) walk.note(offsetOf(node) ?? 0, path, message);
  if (problems.length > 0) return undefined;
  walk.substitutions.push({ written: node.source ?? node.value, text, variables });
  return node.type === 'PLAIN' && node.tag === undefined ? typed(text, walk.tags) : text;
}

/** Puts the environment into a text. @returns what came from it by name, and what is wrong */
export function substitute(
  value: string,
  { env, given }: Pick<Walk, 'env' | 'given'>,
): { readonly text: string; readonly variables: ReadonlyMap<string, string>; readonly problems: readonly string[] } {
  const variables = new Map<string, string>();
  const problems: string[] = [];
  const fail = (message: string) => {
    problems.push(message);
    return '';
  };
  const text = value.replace(SUBSTITUTION, (match, name: string | undefined, otherwise: string | undefined) => {
    if (match === '$${') return '${';
    if (name === undefined)
      return fail('has a ${ that is not ${NAME} or ${NAME:-default}, expected $${ for a literal ${');
    if (given?.includes(name) === false) return fail(`names the environment variable ${name}, ${NOT_GIVEN}`);
    const found = env[name];
    if (found !== undefined && found !== '') variables.set(name, found);
    if (otherwise !== undefined) return found || otherwise;
    return (
      found ?? fail(`names the environment variable ${name}, which is not set, expected it set or \${${name}:-default}`)
    );
  });
  return { text, variables, problems };
}

/** What YAML's core schema makes of a plain scalar: null, true, 12, or text. */
function typed(text: string, tags: Walk['tags']): unknown {
  const tag = tags.find((candidate) => candidate.default === true && 'test' in candidate && candidate.test?.test(text));
  if (tag === undefined || tag.collection !== undefined) return text;
  const value = tag.resolve?.(text, () => undefined, {});
  return isScalar(value) ? value.value : value;
}
