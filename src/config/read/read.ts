// Reader of the configuration and of every file that it includes or names.

import { isUtf8 } from 'node:buffer';
import { globSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { contentOf, isContent } from '../content.ts';
import { type ConfigPath, formatPath, inOrder, type Position, type Problem } from '../problem.ts';
import type { Kept } from '../kept.ts';
import { readDocumentSource } from './document.ts';
import { type Merged, mergeSources } from './merge.ts';
import { type Environment, readSource, type Source, type Substitution } from './source.ts';
import type { Config } from '../schema/schema.ts';
import { checkConfig, type Finding } from '../schema/check.ts';
import { FILE_KEYS } from '../schema/marked-keys.ts';
import { select } from '../schema/select.ts';
import { digestContents, isPattern, type Sources } from './sources.ts';

/** A file that a key names. */
export interface NamedFile {
  /** Absolute; `inline:` and the path of the key, where the key holds the content itself. */
  readonly path: string;
  readonly content: Buffer;
  readonly inline?: true;
}

/** A configuration that is good in itself, with everything that compiling it needs from the disk. */
export interface ReadPolicy {
  readonly config: Config;
  /** By the dotted path of the key that names it: `listeners.0.tls.certificates.0.cert`, `nonce.secret_files.1`. */
  readonly files: ReadonlyMap<string, NamedFile>;
  /** Where the value at a path is written, or else the nearest mapping or list around it. */
  position(path: ConfigPath): Position;
  /** The same path as counted in the file it is written in: what a Problem shows. */
  shownPath(path: ConfigPath): string;
  /** The scalar at a path as it stands in the file, before the environment went in: safe to show. undefined: a default. */
  written(path: ConfigPath): string | undefined;
  /** The entry of `include` that brought the file in which it is written; undefined: the main file. */
  includedBy(path: ConfigPath): number | undefined;
  /** Where the environment went in, in all files. */
  readonly substitutions: readonly Substitution[];
  /** Routes that are wrong in themselves, by their place in the list: something else stands there, about which nothing is to be said. */
  readonly faulty?: ReadonlySet<number>;
  /** Source of all files, environment not substituted. */
  readonly text: string;
  /** All files as one, environment substituted, without defaults. */
  readonly data: unknown;
  /** What is known of earlier configurations. */
  readonly kept?: Kept | undefined;
}

export type PolicyRead = (ReadPolicy | { readonly problems: readonly Problem[]; readonly rest?: ReadPolicy }) & {
  readonly sources: Sources;
  /** Keys whose file is not there, where that was allowed. */
  readonly absent: readonly Problem[];
};

export interface ReadOptions {
  /** The text of the configuration where its name is `-`. */
  readonly stdin?: string | undefined;
  /** What that text is called, if it did not come from standard input; there are no files then: no includes, and content for names. */
  readonly called?: string | undefined;
  readonly env: Environment;
  /** Files that keys name may be absent: such a configuration can be checked, and must never be served. */
  readonly withoutFiles?: boolean | undefined;
  /** What is known of earlier configurations: what did not change costs little then. Of documents alone, not of files. */
  readonly kept?: Kept | undefined;
}

/**
 * Reads a configuration file, or standard input for `-`, with its includes, the environment and the files that keys name.
 * Relative names are relative to the file they stand in. An include with `*`, `?`, `[ ]` or `{ }` may match nothing; one
 * without names a file that has to be there. Where a file is no YAML, only that is reported: the rest would be guesses.
 * @returns all problems at once, sorted by file and line, or what compilePolicy takes; beside problems `rest`, the configuration
 * without the keys that should not be there and the routes that are wrong in themselves, if that is all that is wrong: compilePolicy may find more in it; and in any case
 * `sources`, all that has to be watched for a change, and `absent`, what could not be looked into because of `withoutFiles`
 * NOT checked: what keys mean together (compile.ts), and the content of the files that keys name.
 */
export function readPolicyFile(file: string, options: ReadOptions): PolicyRead {
  const reader = new Reader(file === '-' ? '.' : dirname(file));
  if (file !== '-') reader.bytes(file);
  const absent: Problem[] = [];
  return { ...readWith(reader, file, options, absent), sources: reader.sources(), absent };
}

function readWith(
  reader: Reader,
  file: string,
  { stdin = '', called, env, withoutFiles = false, kept }: ReadOptions,
  absent: Problem[],
): ReadPolicy | { readonly problems: readonly Problem[]; readonly rest?: ReadPolicy } {
  const name = file === '-' ? (called ?? '<stdin>') : file;
  const text = file === '-' ? stdin : reader.text(file);
  if (typeof text !== 'string') {
    const message = isAbsolute(file) ? text.message : `${text.message}; looked for it at ${resolve(file)}`;
    return { problems: [{ file: name, line: 1, column: 1, path: '', message }] };
  }
  const alone = called !== undefined;
  const main = alone ? readDocumentSource(name, text, kept) : readSource(name, text, env);
  const { sources: included, problems: missing } = alone ? refuseIncludes(main) : readIncludes(reader, main, env);
  const sources = [main, ...included.keys()];
  const early = [...sources.flatMap(({ problems }) => problems), ...missing];
  if (sources.some(({ data }) => data === undefined)) return { problems: inOrder(early) };
  const merged = mergeSources(main, [...included.keys()]);
  const written = (path: ConfigPath) => {
    const home = merged.home(path);
    return home.source.written(home.path);
  };
  const checked = checkConfig(merged.data, written, kept);
  const { files, problems: missingFiles } = readFiles(alone ? undefined : reader, merged);
  const unread = withoutFiles ? [] : missingFiles;
  if (withoutFiles) absent.push(...missingFiles.map(withoutExcerpt));
  const wrong = checked.findings.map((finding) => problemAt(merged, finding));
  const problems = firstOfEachPlace(firstOfEachPlace([...early, ...merged.problems], wrong), unread);
  const { config, faulty } = checked;
  const rest = config && { config, files, faulty, ...placesIn(merged, sources, included) };
  if (problems.length === 0 && rest !== undefined) return { ...rest, kept };
  // Compiling the rest makes sense only where nothing but misplaced keys and whole routes was left out of it.
  const onlyKeys = early.length + merged.problems.length + unread.length === 0;
  return { problems: inOrder(problems), ...(onlyKeys && rest !== undefined ? { rest } : {}) };
}

function placesIn(
  merged: Merged,
  sources: readonly Source[],
  included: Included,
): Omit<ReadPolicy, 'config' | 'files' | 'faulty' | 'kept'> {
  return {
    position: (path) => {
      const home = merged.home(path);
      return home.source.position(home.path);
    },
    shownPath: (path) => formatPath(merged.home(path).path),
    written: (path) => {
      const home = merged.home(path);
      return home.source.written(home.path);
    },
    includedBy: (path) => included.get(merged.home(path).source),
    substitutions: sources.flatMap(({ substitutions }) => substitutions),
    text: sources.map((source) => source.text).join('\n'),
    data: merged.data,
  };
}

function withoutExcerpt({ file, line, column, path }: Problem): Problem {
  return { file, line, column, path, message: ABSENT };
}

const ABSENT = 'is a file that is not here: its content was not checked';

const NO_FILES = 'is the name of a file, and there are none here, expected its content: PEM, or data:;base64,…';
const NOT_CONTENT =
  'is not a data URL, expected data:;base64, and the content in base64, or data:, and percent-encoded text';

/** What stands in for a file's content that could not be had. */
interface Unreadable {
  readonly message: string;
}

/** Reads files, each once, and keeps account of them. */
class Reader {
  /** As named on the command line: names in it are shown to people. */
  readonly #directory: string;
  readonly #contents = new Map<string, Buffer | undefined>();
  readonly #files = new Set<string>();
  readonly #patterns: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Files that a name or pattern of `include` stands for, sorted by name. */
  names(pattern: string): readonly string[] {
    const names = isPattern(pattern) ? globSync(pattern, { cwd: this.#directory }).toSorted() : [pattern];
    const files = names.map((name) => (isAbsolute(name) ? name : join(this.#directory, name)));
    if (isPattern(pattern)) this.#patterns.push(pattern);
    else for (const file of files) this.#files.add(resolve(file));
    return files;
  }

  /** A file that a key names, or the main one. */
  bytes(path: string): Buffer | Unreadable {
    this.#files.add(resolve(path));
    return this.#read(path);
  }

  /** The same, or one of `names`, as text. */
  text(path: string): string | Unreadable {
    const bytes = this.#read(path);
    if (!Buffer.isBuffer(bytes)) return bytes;
    return isUtf8(bytes) ? bytes.toString('utf8') : { message: 'is not text, expected YAML in UTF-8' };
  }

  /** The reason is the system's; the name is not repeated, since what stands in its place can be a secret by mistake. */
  #read(path: string): Buffer | Unreadable {
    const name = resolve(path);
    try {
      const content = this.#contents.get(name) ?? readFileSync(path);
      this.#contents.set(name, content);
      return content;
    } catch (error) {
      this.#contents.set(name, undefined);
      const { errno = 0 } = error as NodeJS.ErrnoException;
      const [code, reason] = getSystemErrorMap().get(errno) ?? ['', 'not the name of a file'];
      return { message: `cannot be read (${code === '' ? reason : `${code}: ${reason}`}), expected a readable file` };
    }
  }

  sources(): Sources {
    const directory = resolve(this.#directory);
    return { files: [...this.#files], patterns: this.#patterns, directory, digest: digestContents(this.#contents) };
  }
}

/** Included files, each with the entry of `include` that brought it. */
type Included = ReadonlyMap<Source, number>;

/** The files that `include` names or matches, sorted by name, each once and by the first entry that has it, and never the main file itself. */
function readIncludes(reader: Reader, main: Source, env: Environment): { sources: Included; problems: Problem[] } {
  const sources = new Map<Source, number>();
  const problems: Problem[] = [];
  const seen = new Set([resolve(main.file)]);
  for (const [path, entry] of select(main.data, 'include.*')) {
    const { at, pattern, environment } = readEntry(path, entry);
    if (typeof pattern !== 'string') continue;
    for (const file of reader.names(pattern)) {
      if (seen.has(resolve(file))) continue;
      seen.add(resolve(file));
      const text = reader.text(file);
      if (typeof text === 'string') sources.set(readSource(file, text, env, environment), Number(path[1]));
      else problems.push({ ...main.position(at), path: formatPath(at), ...text });
    }
  }
  return { sources, problems };
}

/** An entry of `include` as written, a pattern or a mapping, which nobody has checked yet. */
function readEntry(path: ConfigPath, entry: unknown) {
  if (typeof entry !== 'object' || entry === null) return { at: path, pattern: entry, environment: [] };
  const { files, environment } = entry as { readonly files?: unknown; readonly environment?: unknown };
  return { at: [...path, 'files'], pattern: files, environment: Array.isArray(environment) ? environment : [] };
}

/** A document that is all there is could read files of the process otherwise, such as its token, and have them sent elsewhere. */
function refuseIncludes(main: Source): { sources: Included; problems: Problem[] } {
  const [first] = select(main.data, 'include');
  if (first === undefined) return { sources: new Map(), problems: [] };
  const message = 'is not taken here, where there are no files, expected everything in this document';
  return { sources: new Map(), problems: [{ ...main.position(first[0]), path: 'include', message }] };
}

function readFiles(
  reader: Reader | undefined,
  merged: Merged,
): { files: ReadonlyMap<string, NamedFile>; problems: Problem[] } {
  const files = new Map<string, NamedFile>();
  const problems: Problem[] = [];
  for (const [path, name] of FILE_KEYS.flatMap((key) => select(merged.data, key))) {
    if (typeof name !== 'string' || name === '') continue;
    if (isContent(name)) {
      const content = contentOf(name);
      if (content !== undefined) files.set(path.join('.'), { path: `inline:${path.join('.')}`, content, inline: true });
      else problems.push(problemAt(merged, { path, atKey: false, message: NOT_CONTENT }));
      continue;
    }
    if (reader === undefined) {
      problems.push(problemAt(merged, { path, atKey: false, message: NO_FILES }));
      continue;
    }
    const file = resolve(dirname(merged.home(path).source.file), name);
    const content = reader.bytes(file);
    if (Buffer.isBuffer(content)) files.set(path.join('.'), { path: file, content });
    else problems.push(problemAt(merged, { path, atKey: false, ...content }));
  }
  return { files, problems };
}

function problemAt(merged: Merged, { path, atKey, message }: Pick<Finding, 'path' | 'atKey' | 'message'>): Problem {
  const { source, path: inFile } = merged.home(path);
  return { ...source.position(inFile, atKey), path: formatPath(inFile), message };
}

/** A place that could not be read is missing further on as well: only the first is said about it. */
function firstOfEachPlace(first: readonly Problem[], then: readonly Problem[]): readonly Problem[] {
  const place = ({ file, path }: Problem) => JSON.stringify([file, path]);
  const seen = new Set(first.map(place));
  return [...first, ...then.filter((problem) => !seen.has(place(problem)))];
}
