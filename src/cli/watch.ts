// The watcher of a configuration's files, which tells when their content changes.

import { type FSWatcher, watch } from 'node:fs';
import { glob, lstat, readFile, readlink, stat } from 'node:fs/promises';
import { basename, dirname, join, parse, resolve, sep } from 'node:path';
import { digestContents, isPattern, type Sources } from '../config/read/sources.ts';

export interface WatchTimes {
  /** Milliseconds of quiet after the last event, and for which a new content has to stay the same. */
  readonly quiet: number;
  /** Milliseconds after which a change is told although it is not quiet. */
  readonly atMost: number;
  /** Milliseconds between two looks that need no event: for file systems that send none. */
  readonly poll: number;
}

const TIMES: WatchTimes = { quiet: 250, atMost: 2000, poll: 15_000 };

/**
 * Watches the sources of a configuration: the main file, includes, also new ones that match a pattern, and files that keys name,
 * through every symbolic link on their way (Kubernetes swaps `..data`), there or not. Only content counts: what was touched, moved
 * or linked otherwise and reads the same is no change. Events of the file system make it fast, looking again makes it certain.
 *
 * `changed` is called once, then again only after `follow`: whoever is told reads the configuration, and says with `follow` what was
 * read, good or bad. What changed while it was being read is told at once then; nothing is lost. Keeps no process alive.
 * NOT watched: the environment, and standard input.
 */
export class SourcesWatch {
  readonly #changed: () => void;
  readonly #times: WatchTimes;
  /** By name and inode of a directory. */
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #poll: NodeJS.Timeout;
  #sources: Sources;
  #timer: NodeJS.Timeout | undefined;
  /** When the change that is being waited for was first seen, by `performance.now()`. */
  #since: number | undefined;
  /** A digest that was seen once and has to be seen again. */
  #seen: string | undefined;
  #told = false;
  #looking = false;
  #lookAgain = false;
  #closed = false;

  constructor(sources: Sources, changed: () => void, times: Partial<WatchTimes> = {}) {
    this.#sources = sources;
    this.#changed = changed;
    this.#times = { ...TIMES, ...times };
    this.#poll = setInterval(() => void this.#look(), this.#times.poll).unref();
    void this.#look();
  }

  /** What was read last: from now on everything that differs from it is a change. */
  follow(sources: Sources): void {
    this.#sources = sources;
    this.#told = false;
    this.#since = this.#seen = undefined;
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Something happened: a look when it has become quiet. */
  #stir(): void {
    if (this.#closed) return;
    const now = performance.now();
    this.#since ??= now;
    clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(this.#times.quiet, this.#since + this.#times.atMost - now));
    this.#timer = setTimeout(() => void this.#look(), wait).unref();
  }

  /** One look at a time; what happens meanwhile is looked at after it. */
  async #look(): Promise<void> {
    if (this.#closed) return;
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    while (this.#lookAgain) {
      this.#lookAgain = false;
      const sources = this.#sources;
      const digest = await this.#digestOf(sources);
      if (sources !== this.#sources) this.#lookAgain = true;
      else if (digest !== undefined) this.#compare(digest);
    }
    this.#looking = false;
  }

  /** undefined: it cannot be said now; the next look may know. */
  async #digestOf(sources: Sources): Promise<string | undefined> {
    try {
      // Directories first: what changes after this is an event, what changed before is read.
      this.#watch(await directoriesOf(sources));
      return await digestSources(sources);
    } catch {
      return undefined;
    }
  }

  #compare(digest: string): void {
    if (this.#told || this.#closed) return;
    if (digest === this.#sources.digest) {
      this.#since = this.#seen = undefined;
      return;
    }
    const late = this.#since !== undefined && performance.now() - this.#since >= this.#times.atMost;
    if (digest !== this.#seen && !late) {
      this.#seen = digest;
      return this.#stir();
    }
    this.#told = true;
    clearTimeout(this.#timer);
    this.#changed();
  }

  #watch(directories: ReadonlyMap<string, string>): void {
    if (this.#closed) return;
    for (const [key, watcher] of this.#watchers) {
      if (directories.has(key)) continue;
      watcher.close();
      this.#watchers.delete(key);
    }
    for (const [key, path] of directories) {
      if (this.#watchers.has(key)) continue;
      try {
        this.#watchers.set(key, this.#open(key, path));
      } catch {
        // It has gone meanwhile, or this system has no events left to give: looking again is slower and needs none.
      }
    }
  }

  #open(key: string, path: string): FSWatcher {
    const watcher = watch(path, { persistent: false }, (_event, name) => {
      // It may have happened to the directory itself: a new one in its place can have its name and its inode.
      if (name === basename(path)) forget();
      this.#stir();
    });
    const forget = () => {
      watcher.close();
      if (this.#watchers.get(key) === watcher) this.#watchers.delete(key); // looking again opens another
    };
    return watcher.on('error', forget);
  }
}

/** The digest that reading the same configuration anew would have (read.ts). */
export async function digestSources({ files, patterns, directory }: Sources): Promise<string> {
  const names = new Set(files);
  for (const pattern of patterns) for (const name of await matches(pattern, directory)) names.add(name);
  const contents = [...names].map(async (name) => [name, await readFile(name).catch(() => undefined)] as const);
  return digestContents(new Map(await Promise.all(contents)));
}

async function matches(pattern: string, directory: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const name of glob(pattern, { cwd: directory })) names.push(resolve(directory, name));
  return names;
}

/** Every directory in which something can happen that changes what is read: by name and inode, since both can become another. */
async function directoriesOf({ files, patterns, directory }: Sources): Promise<ReadonlyMap<string, string>> {
  const names = new Set<string>();
  const found = await Promise.all(patterns.map((pattern) => matches(pattern, directory)));
  for (const file of [...files, ...found.flat()]) await walk(file, names);
  for (const pattern of patterns) {
    await walkPattern(pattern, directory, names);
  }
  const keyed = [...names].map(async (name) => [await stat(name).catch(() => undefined), name] as const);
  const entries = await Promise.all(keyed);
  return new Map(entries.flatMap(([is, name]) => (is?.isDirectory() ? [[`${is.dev} ${is.ino} ${name}`, name]] : [])));
}

/** Adds the directories in which files that match may appear: those that stand for the pattern without its last name, and so on. */
async function walkPattern(pattern: string, directory: string, names: Set<string>): Promise<void> {
  const above = dirname(pattern);
  const found = isPattern(above) ? await matches(above, directory) : [resolve(directory, above)];
  for (const name of found) await walk(join(name, 'any'), names);
  if (isPattern(above)) await walkPattern(above, directory, names);
}

/** Links that are followed; more are a circle. */
const LINKS = 40;

/** Adds the directories of a path that hold a link on its way, and the last one that exists: there the rest will appear. */
async function walk(path: string, names: Set<string>, links = 0): Promise<void> {
  const { root } = parse(path);
  const parts = path.slice(root.length).split(sep);
  let at = root;
  for (const [index, part] of parts.entries()) {
    const next = join(at, part);
    const is = await lstat(next).catch(() => undefined);
    const isLast = index === parts.length - 1;
    if (is === undefined || isLast || is.isSymbolicLink()) names.add(at);
    if (is === undefined) return;
    if (is.isSymbolicLink()) {
      const target = await readlink(next).catch(() => '');
      if (links < LINKS) await walk(join(resolve(at, target), ...parts.slice(index + 1)), names, links + 1);
      return;
    }
    at = next;
  }
}
