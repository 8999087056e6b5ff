// The state that compile steps share: the files as read, and the problems found.

import { FILE_KEYS } from '../schema/marked-keys.ts';
import { nearest } from '../nearest.ts';
import { type ConfigPath, inOrder, type Problem } from '../problem.ts';
import type { NamedFile, ReadPolicy } from '../read/read.ts';

const FILE_KEY = new RegExp(
  `^(?:${FILE_KEYS.map((key) => key.replaceAll('.', '\\.').replaceAll('*', '[^.]+')).join('|')})$`,
);

/** Whether the value at a path is the name of a file. */
function isFileKey(path: ConfigPath): boolean {
  return FILE_KEY.test(path.map((part) => String(part).replaceAll('.', '_')).join('.'));
}

/** One run of the compiler. Steps report problems here and go on with what is left, so that all are found at once. */
export class Compilation {
  readonly read: ReadPolicy;
  /** Seconds since the epoch. */
  readonly now: number;
  readonly #problems: Problem[] = [];
  readonly #warnings: Problem[] = [];

  constructor(read: ReadPolicy, now: number) {
    this.read = read;
    this.now = now;
  }

  /** Refuses the configuration. `message`: what is wrong, then `expected …`; no value that can be secret. */
  problem(at: ConfigPath, message: string): void {
    // Read.ts said what is wrong with it; and where a file may be absent, nothing more is wrong with it.
    if (this.isAbsent(at) || (at[0] === 'routes' && this.read.faulty?.has(Number(at[1])))) return;
    this.#problems.push(this.#place(at, message));
  }

  /** Something that works and may not be what was meant; `check` prints it. */
  warning(at: ConfigPath, message: string): void {
    this.#warnings.push(this.#place(at, message));
  }

  /** The file that a key names; undefined where the key is absent. */
  fileAt(at: ConfigPath): NamedFile | undefined {
    return this.read.files.get(at.join('.'));
  }

  /** Whether a key names a file that is not here, which is allowed where a configuration is only checked. */
  isAbsent(at: ConfigPath): boolean {
    return this.fileAt(at) === undefined && isFileKey(at) && this.read.written(at) !== undefined;
  }

  /** `FILE:LINE:COLUMN` of something else, for messages about two places. */
  placeOf(at: ConfigPath): string {
    const { file, line, column } = this.read.position(at);
    return `${file}:${line}:${column}`;
  }

  /** In the order of the files, and there by line. */
  get problems(): readonly Problem[] {
    return inOrder(this.#problems);
  }

  get warnings(): readonly Problem[] {
    return inOrder(this.#warnings);
  }

  #place(at: ConfigPath, message: string): Problem {
    return { ...this.read.position(at), path: this.read.shownPath(at), message };
  }
}

/** `over` on top of `under`, key by key; keys that `over` does not give keep what `under` says. */
export function merged<T extends object>(under: T, over: { [K in keyof T]?: T[K] | undefined } | undefined): T {
  const given = Object.entries(over ?? {}).filter(([, value]) => value !== undefined);
  return { ...under, ...Object.fromEntries(given) };
}

/** `none` of the configuration as the compiled policy says it. */
export function unlessNone<T>(value: T | 'none'): T | undefined {
  return value === 'none' ? undefined : value;
}

/** What was expected in place of a name that nothing has: the one that was meant, or all. */
export function expectedName(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  return near === undefined ? `expected one of: ${listed(names)}` : `did you mean ${near}?`;
}

/** Names for people: `orders, invoices`, the first ten of many. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none is configured';
  return names.length > 10 ? `${names.slice(0, 10).join(', ')}, …` : names.join(', ');
}
