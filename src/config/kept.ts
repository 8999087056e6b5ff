// Parts of a configuration that are kept for the next one, and what was made of them.

import { isDeepStrictEqual } from 'node:util';
import type { ConfigPath } from './problem.ts';

/** A warning about a part: its place within the part, or in the whole. */
export interface KeptWarning {
  readonly within: boolean;
  readonly at: ConfigPath;
  readonly message: string;
}

/** The content of a file that a key names, as it was; undefined: there was none. */
export interface KeptFile {
  readonly within: boolean;
  readonly at: ConfigPath;
  readonly content: Buffer | undefined;
}

/** What a part was compiled to, and what that depends on beside the part. */
export interface KeptPart {
  readonly value: object;
  readonly from: readonly unknown[];
  readonly files: readonly KeptFile[];
  readonly warnings: readonly KeptWarning[];
  /** It depends on the time too, and has to be compiled each time. */
  readonly timely: boolean;
}

/** Levels of a document: the contract has fewer. */
const LEVELS = 64;

/**
 * The memory of a gateway that reads its configuration again and again. Whether something is found here decides what a reload costs, and never
 * what it means: each entry is bound to frozen data by identity.
 */
export class Kept {
  /** By the data of a part: the same part with its defaults, as the schema takes it. */
  readonly checked = new WeakMap<object, object>();
  /** By the part with its defaults. */
  readonly compiled = new WeakMap<object, KeptPart>();
  /** By data as written: with `${…}` filled in. */
  readonly filled = new WeakMap<object, unknown>();
  readonly #documents = new Map<string, unknown>();
  #surroundings: object = {};

  /**
   * The data of a document, frozen, in which every part that was there before is the object that it was; a part with a name is known by that.
   * @returns undefined: it is nested deeper than any configuration, or there was none
   */
  take(document: string, data: unknown): unknown {
    const sharing = new Sharing();
    const taken = sharing.share(this.#documents.get(document), data, LEVELS);
    if (sharing.isTooDeep) return undefined;
    this.#documents.set(document, taken);
    return taken;
  }

  /** The object that an equal one was before; that one from now on otherwise. */
  surroundings<T extends object>(now: T): T {
    if (isDeepStrictEqual(this.#surroundings, now)) return this.#surroundings as T;
    this.#surroundings = now;
    return now;
  }
}

type Mapping = Readonly<Record<string, unknown>>;

class Sharing {
  isTooDeep = false;

  share(before: unknown, now: unknown, levels: number): unknown {
    if (typeof now !== 'object' || now === null) return now;
    if (levels === 0) {
      this.isTooDeep = true;
      return now;
    }
    const old = typeof before === 'object' && before !== null ? before : undefined;
    if (Array.isArray(now)) return this.#shareList(Array.isArray(old) ? old : [], now, levels - 1);
    return this.#shareMapping(
      Array.isArray(old) ? undefined : (old as Mapping | undefined),
      now as Mapping,
      levels - 1,
    );
  }

  #shareList(before: readonly unknown[], now: readonly unknown[], levels: number): readonly unknown[] {
    const old = byName(before);
    const shared = now.map((item, index) => {
      const name = nameOf(item);
      if (name === undefined) return this.share(before[index], item, levels);
      const same = old.get(name);
      old.delete(name); // each of two that are equal is a part
      return this.share(same, item, levels);
    });
    const isSame = shared.length === before.length && shared.every((item, index) => item === before[index]);
    return isSame && Object.isFrozen(before) ? before : Object.freeze(shared);
  }

  #shareMapping(before: Mapping | undefined, now: Mapping, levels: number): Mapping {
    const keys = Object.keys(now);
    const old = before === undefined ? [] : Object.keys(before);
    let isSame = before !== undefined && old.length === keys.length;
    const entries = keys.map((key, index) => {
      const was = before !== undefined && Object.hasOwn(before, key) ? before[key] : undefined;
      const shared = this.share(was, now[key], levels);
      isSame &&= old[index] === key && Object.is(shared, was);
      return [key, shared] as const;
    });
    return isSame && before !== undefined ? before : Object.freeze(Object.fromEntries(entries));
  }
}

function nameOf(item: unknown): string | undefined {
  const name = typeof item === 'object' && item !== null && Object.hasOwn(item, 'name') && (item as Mapping)['name'];
  return typeof name === 'string' ? name : undefined;
}

function byName(items: readonly unknown[]): Map<string, unknown> {
  const named = new Map<string, unknown>();
  for (const item of items) {
    const name = nameOf(item);
    if (name !== undefined) named.set(name, item);
  }
  return named;
}
