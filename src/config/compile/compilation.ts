// The state that compile steps share: the files as read, and the problems found.

import { isDeepStrictEqual } from 'node:util';
import { FILE_KEYS } from '../schema/marked-keys.ts';
import { nearest } from '../nearest.ts';
import { type ConfigPath, inOrder, type Problem } from '../problem.ts';
import type { KeptFile, KeptPart, KeptWarning } from '../kept.ts';
import type { NamedFile, ReadPolicy } from '../read/read.ts';

const FILE_KEY = new RegExp(
  `^(?:${FILE_KEYS.map((key) => key.replaceAll('.', '\\.').replaceAll('*', '[^.]+')).join('|')})$`,
);

/** Whether the value at a path is the name of a file. */
function isFileKey(path: ConfigPath): boolean {
  return FILE_KEY.test(path.map((part) => String(part).replaceAll('.', '_')).join('.'));
}

/** What the compilation of one part has looked at and said so far. */
interface Watched {
  readonly at: ConfigPath;
  readonly files: KeptFile[];
  readonly warnings: KeptWarning[];
  timely: boolean;
  /** Something is wrong, or a place is told that moves with other parts. */
  passing: boolean;
}

/** One run of the compiler. Steps report problems here and go on with what is left, so that all are found at once. */
export class Compilation {
  readonly read: ReadPolicy;
  readonly #now: number;
  readonly #problems: Problem[] = [];
  readonly #warnings: (readonly [ConfigPath, string])[] = [];
  #watched: Watched | undefined;

  constructor(read: ReadPolicy, now: number) {
    this.read = read;
    this.#now = now;
  }

  /** Seconds since the epoch. */
  get now(): number {
    if (this.#watched) this.#watched.timely = true;
    return this.#now;
  }

  /** Refuses the configuration. `message`: what is wrong, then `expected …`; no value that can be secret. */
  problem(at: ConfigPath, message: string): void {
    // Read.ts said what is wrong with it; and where a file may be absent, nothing more is wrong with it.
    if (this.isAbsent(at) || (at[0] === 'routes' && this.read.faulty?.has(Number(at[1])))) return;
    if (this.#watched) this.#watched.passing = true;
    this.#problems.push(this.#place(at, message));
  }

  /** Something that works and may not be what was meant; `check` prints it. */
  warning(at: ConfigPath, message: string): void {
    this.#watched?.warnings.push({ ...this.#within(at), message });
    this.#warnings.push([at, message]);
  }

  /** The file that a key names; undefined where the key is absent. */
  fileAt(at: ConfigPath): NamedFile | undefined {
    const file = this.read.files.get(at.join('.'));
    this.#watched?.files.push({ ...this.#within(at), content: file?.content });
    return file;
  }

  /** Whether a key names a file that is not here, which is allowed where a configuration is only checked. */
  isAbsent(at: ConfigPath): boolean {
    return this.fileAt(at) === undefined && isFileKey(at) && this.read.written(at) !== undefined;
  }

  /** `FILE:LINE:COLUMN` of something else, for messages about two places. */
  placeOf(at: ConfigPath): string {
    if (this.#watched) this.#watched.passing = true;
    const { file, line, column } = this.read.position(at);
    return `${file}:${line}:${column}`;
  }

  /**
   * What a part is compiled to: the same object as before (`ReadPolicy.kept`) where the part and all that it depends on are the same.
   * @param at where the part is now, which what it means must not depend on
   * @param from everything that `compile` looks at beside the part, files, and the time; compared by identity
   */
  keep<T extends object>(part: object, at: ConfigPath, from: readonly unknown[], compile: () => T): T {
    const { compiled } = this.read.kept ?? {};
    if (compiled === undefined) return compile();
    const before = compiled.get(part);
    if (before !== undefined && !before.timely && this.#isUnchanged(before, at, from)) {
      for (const { within, at: place, message } of before.warnings)
        this.warning(within ? [...at, ...place] : place, message);
      return before.value as T;
    }
    const watched: Watched = { at, files: [], warnings: [], timely: false, passing: false };
    this.#watched = watched;
    const made = compile();
    this.#watched = undefined;
    // What holds for some time only is looked at each time, and is mostly what it was.
    const value = before?.timely && isDeepStrictEqual(before.value, made) ? (before.value as T) : made;
    const { files, warnings, timely, passing } = watched;
    if (passing) compiled.delete(part);
    else compiled.set(part, { value, from, files, warnings, timely });
    return value;
  }

  #isUnchanged({ from: old, files }: KeptPart, at: ConfigPath, from: readonly unknown[]): boolean {
    if (old.length !== from.length || !old.every((one, index) => one === from[index])) return false;
    return files.every(({ within, at: place, content }) =>
      isSameContent(content, this.read.files.get((within ? [...at, ...place] : place).join('.'))?.content),
    );
  }

  #within(at: ConfigPath): { readonly within: boolean; readonly at: ConfigPath } {
    const outer = this.#watched?.at ?? [];
    const within = outer.every((key, index) => key === at[index]);
    return { within, at: within ? at.slice(outer.length) : at };
  }

  /** In the order of the files, and there by line. */
  get problems(): readonly Problem[] {
    return inOrder(this.#problems);
  }

  get warnings(): readonly Problem[] {
    return inOrder(this.#warnings.map(([at, message]) => this.#place(at, message)));
  }

  #place(at: ConfigPath, message: string): Problem {
    return { ...this.read.position(at), path: this.read.shownPath(at), message };
  }
}

function isSameContent(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === other || (one !== undefined && other !== undefined && one.equals(other));
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
