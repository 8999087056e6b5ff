// The files that a configuration was read from, with a digest that shows changes.

import { createHash, hash } from 'node:crypto';

/** Everything that was read for a configuration or should have been, whether what was read is good or not. */
export interface Sources {
  /** Absolute names: the main file (not standard input), what `include` names, and what keys name. Not all of them need exist. */
  readonly files: readonly string[];
  /** Patterns of `include`, each file that matches one belongs to it; relative ones to `directory`. */
  readonly patterns: readonly string[];
  /** Absolute. */
  readonly directory: string;
  /** Of everything above as it was read (digestContents). */
  readonly digest: string;
}

/** By absolute name; undefined: it could not be read. */
export type Contents = ReadonlyMap<string, Uint8Array | undefined>;

/** One text for names and bytes of all files, in whatever order they were read; times, modes and links do not count. */
export function digestContents(contents: Contents): string {
  const digest = createHash('sha256');
  for (const [name, content] of [...contents].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    digest.update(JSON.stringify([name, content && hash('sha256', content)]));
  }
  return digest.digest('hex');
}

/** Whether a name of `include` is a pattern, which may match nothing. */
export function isPattern(name: string): boolean {
  return /[*?[\]{}]/.test(name);
}
