// Configurations for tests: texts in memory, compiled by the real compiler.

import assert from 'node:assert/strict';
import { type Compiled, compilePolicy } from '../../src/config/compile/compile.ts';
import { type ConfigPath, formatPath, formatProblem } from '../../src/config/problem.ts';
import { type Environment, readSource } from '../../src/config/read/source.ts';
import type { NamedFile, ReadPolicy } from '../../src/config/read/read.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { schema } from '../../src/config/schema/schema.ts';

/** Stands in a text where a problem is expected. */
const MARK = '«';
const FILE = 'holdfast.yaml';

/** Top-level sections of a configuration, as YAML; what is left out is good and plain. */
export interface Sections {
  readonly listeners?: string;
  readonly issuers?: string;
  readonly upstreams?: string;
  readonly routes?: string;
  /** Further sections, such as `defaults: …`. */
  readonly more?: string;
}

export interface Surroundings {
  /** Contents by the dotted path of the key that names the file. */
  readonly files?: Readonly<Record<string, string>>;
  /** What was written in an included file. */
  readonly included?: ((path: ConfigPath) => boolean) | undefined;
  readonly now?: number;
}

/** One plain listener on loopback, one issuer, one upstream, one route for everything. */
export function configuration(sections: Sections): string {
  const {
    listeners = '- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8080"] }',
    issuers = 'login: { issuer: https://login.example.com, audience: [https://api.example.com] }',
    upstreams = 'orders: { targets: ["http://127.0.0.1:9000"] }',
    routes = '- { name: orders, match: { path: /* }, upstream: orders }',
    more = '',
  } = sections;
  const section = (name: string, text: string) => `${name}:\n${text.replace(/^(?=.)/gm, '  ')}\n`;
  return [
    'version: 1\n',
    section('listeners', listeners),
    section('issuers', issuers),
    section('upstreams', upstreams),
    section('routes', routes),
    more,
  ].join('');
}

export function compileText(text: string, { files = {}, included, now }: Surroundings = {}): Compiled {
  return compilePolicy(readText(text, { files, included }), now ?? Date.now() / 1000);
}

/** A text as if it had been read from a file. */
export function readText(
  text: string,
  { files = {}, included, env = {} }: Surroundings & { env?: Environment } = {},
): ReadPolicy {
  const source = readSource(FILE, text, env);
  assert.deepEqual(source.problems, []);
  const config = schema.parse(source.data);
  const named = Object.entries(files).map(([key, content]): [string, NamedFile] => [
    key,
    { path: `/etc/holdfast/${key}`, content: Buffer.from(content, 'latin1') },
  ]);
  return {
    config,
    files: new Map(named),
    position: (path) => source.position(path),
    shownPath: formatPath,
    written: (path) => source.written(path),
    includedBy: (path) => (included?.(path) ? 0 : undefined),
    substitutions: source.substitutions,
    text,
    data: source.data,
  };
}

export function policyOf(sections: Sections, surroundings?: Surroundings): Policy {
  const compiled = compileText(configuration(sections), surroundings);
  if ('policy' in compiled) return compiled.policy;
  assert.fail(compiled.problems.map(formatProblem).join('\n'));
}

/** Warnings without their places. */
export function warningsOf(sections: Sections, surroundings?: Surroundings): readonly string[] {
  const compiled = compileText(configuration(sections), surroundings);
  assert.ok('policy' in compiled, JSON.stringify(compiled));
  return compiled.warnings.map(({ path, message }) => `${path}: ${message}`);
}

/**
 * Asserts that compiling finds exactly these problems, each at a mark `«` in the text, in its order.
 * @param expected `path: message` of each
 */
export function assertProblems(sections: Sections, expected: readonly string[], surroundings?: Surroundings): void {
  const marked = configuration(sections);
  const compiled = compileText(marked.replaceAll(MARK, ''), surroundings);
  const found = 'problems' in compiled ? compiled.problems.map(formatProblem) : [];
  assert.deepEqual(
    found,
    marks(marked).map((place, index) => `${FILE}:${place} ${expected[index] ?? 'more marks than messages'}`),
  );
  assert.equal(found.length, expected.length);
}

/** `LINE:COLUMN` of each mark. */
function marks(text: string): readonly string[] {
  return text.split('\n').flatMap((line, index) =>
    line
      .split(MARK)
      .slice(0, -1)
      .map((_, nth, parts) => `${index + 1}:${parts.slice(0, nth + 1).join('').length + 1}`),
  );
}
