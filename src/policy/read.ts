// Reads the policy's files: the configuration, what it includes and the files it names; the only input of the core folders.

import type { ConfigPath, Position, Problem } from './problem.ts';
import type { Config } from './schema.ts';

/** A file that a key names. */
export interface NamedFile {
  /** Absolute. */
  readonly path: string;
  readonly content: Buffer;
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
  /** Whether it is written in an included file. */
  included(path: ConfigPath): boolean;
  /** Source of all files, environment not substituted. */
  readonly text: string;
}
