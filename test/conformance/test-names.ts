// The names of tests, read from their sources, for tables that point at them.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A reference `folder/file > name of the test`, relative to test/ and without `.test.ts`. */
export type TestReference = `${string}/${string} > ${string}`;

/** A reference → the file from the root of the repository, and the name. */
export function readReference(reference: TestReference): { readonly path: string; readonly name: string } {
  const at = reference.indexOf(' > ');
  return { path: `test/${reference.slice(0, at)}.test.ts`, name: reference.slice(at + 3) };
}

/** What is known of one file of tests. */
interface TestFile {
  readonly patterns: readonly string[];
  /** Everything that it and the data beside it spell. */
  readonly spelled: string;
}

const files = new Map<string, TestFile | undefined>();

/** Why no test has this name; undefined: one has. @param root of the repository */
export function missingTest(root: string, reference: TestReference): string | undefined {
  const { path, name } = readReference(reference);
  if (!files.has(path)) files.set(path, readTestFile(join(root, path)));
  const file = files.get(path);
  if (file === undefined) return `${path} does not exist`;
  const found = file.patterns.some((pattern) => {
    const values = new RegExp(`^${pattern}$`, 's').exec(name)?.slice(1);
    return values?.every((value) => file.spelled.includes(squeeze(value)));
  });
  return found ? undefined : `${path} has no test “${name}”`;
}

function readTestFile(file: string): TestFile | undefined {
  if (!existsSync(file)) return undefined;
  return { patterns: namePatterns(readFileSync(file, 'utf8')), spelled: squeeze(textWithData(file)) };
}

/** A file and what it takes from beside it, where test data often stand. */
function textWithData(file: string): string {
  const text = readFileSync(file, 'utf8');
  const beside = text.matchAll(/^(?:import .*|\} )from '(\.\/[^']+)'/gm);
  return [text, ...[...beside].map(([, path = '']) => textWithData(join(dirname(file), path)))].join('\n');
}

/** Letters and digits alone: a value in a name and in the data from which it comes are often quoted differently. */
function squeeze(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '');
}

/**
 * What the names of all tests in a source look like: regular expressions with a group for each `${…}`, whose value must be
 * spelled somewhere in the test data. A name that is a variable is one such group.
 */
export function namePatterns(source: string): string[] {
  const calls = source.matchAll(
    /(?<![\w.])(?:t\.test|each\.test|test|it)\(\s*(?:(['"])((?:\\.|(?!\1).)*)\1|(`)|\w+\s*,)/g,
  );
  return [...calls].map((call) => {
    const [text, quote, literal = '', backtick] = call;
    if (quote !== undefined) return escape(literal.replaceAll(/\\(.)/g, '$1'));
    return backtick === undefined ? '(.+)' : templatePattern(source, call.index + text.length);
  });
}

/** @param start behind the opening backtick */
function templatePattern(source: string, start: number): string {
  let pattern = '';
  for (let at = start; at < source.length && source[at] !== '`'; at++) {
    if (source.startsWith('${', at)) {
      pattern += '(.*)';
      at = placeholderEnd(source, at);
    } else pattern += escape(source[at] === '\\' ? (source[++at] ?? '') : (source[at] ?? ''));
  }
  return pattern;
}

/** The closing brace of a `${`. Placeholders in the names of tests hold no braces in strings. */
function placeholderEnd(source: string, start: number): number {
  let depth = 0;
  for (let at = start; at < source.length; at++) {
    if (source[at] === '{') depth++;
    if (source[at] === '}' && --depth === 0) return at;
  }
  return source.length;
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);
}
