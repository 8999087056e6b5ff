// A configuration as one JSON document, whose places are found when they are asked for.

import { hideContents } from '../content.ts';
import { Kept } from '../kept.ts';
import type { ConfigPath } from '../problem.ts';
import { readSource, type Source, substitute } from './source.ts';

/** No document is given an environment. */
const ENV = {};

/**
 * As readSource, of a document that is all there is; what is not JSON without spaces is read as YAML. Problems have their place in the document as it is laid out
 * in lines.
 * @param kept what did not change since the last document of this name is the object that it was
 */
export function readDocumentSource(file: string, text: string, kept = new Kept()): Source {
  const taken = kept.take(file, parse(text));
  const filled = taken === undefined ? undefined : fill(taken, text, kept);
  let whole: Source | undefined;
  const laidOut = () =>
    (whole ??= readSource(file, taken === undefined ? text : JSON.stringify(taken, undefined, 2), ENV));
  if (filled === undefined) return laidOut();
  return {
    file,
    text,
    data: filled.data,
    problems: [],
    position: (path, key) => laidOut().position(path, key),
    written: (path) => writtenAt(taken, path),
    substitutions: [],
  };
}

/**
 * What the text says if it is JSON as JavaScript writes it, which is how the controller does. Of a key that is repeated JSON.parse
 * would take the last value and say nothing: in any other form the reader of YAML reads it, and says what is wrong with it.
 */
function parse(text: string): unknown {
  try {
    const data: unknown = JSON.parse(text);
    return JSON.stringify(data) === text.trimEnd() ? data : undefined;
  } catch {
    return undefined;
  }
}

/** Texts in which something may have to be filled in, or a key refused; any character can be written as an escape. */
const WORTH_A_LOOK = /\$\{|__proto__|\\u00/;

/** The data with `${…}` filled in; undefined: something is wrong with that, or with a key. */
function fill(data: unknown, text: string, kept: Kept): { readonly data: unknown } | undefined {
  if (!WORTH_A_LOOK.test(text)) return { data };
  const filling = new Filling(kept.filled);
  const filled = filling.fill(data);
  return filling.isWrong ? undefined : { data: filled };
}

class Filling {
  isWrong = false;
  readonly #known: WeakMap<object, unknown>;

  /** @param known what was filled in before */
  constructor(known: WeakMap<object, unknown>) {
    this.#known = known;
  }

  fill(value: unknown): unknown {
    if (typeof value === 'string') return value.includes('${') ? this.#fillText(value) : value;
    if (typeof value !== 'object' || value === null) return value;
    if (this.#known.has(value)) return this.#known.get(value);
    const filled = Array.isArray(value) ? this.#fillList(value) : this.#fillMapping(value);
    if (!this.isWrong) this.#known.set(value, filled);
    return filled;
  }

  #fillText(value: string): string {
    const { text, problems } = substitute(value, { env: ENV, given: undefined });
    if (problems.length > 0) this.isWrong = true;
    return text;
  }

  #fillList(list: readonly unknown[]): readonly unknown[] {
    const filled = list.map((item) => this.fill(item));
    return filled.every((item, index) => item === list[index]) ? list : Object.freeze(filled);
  }

  #fillMapping(mapping: object): object {
    const entries = Object.entries(mapping);
    if (entries.some(([key]) => key === '__proto__' || key.includes('${'))) this.isWrong = true;
    const filled = entries.map(([key, value]) => [key, this.fill(value)] as const);
    const isSame = filled.every(([, value], index) => value === entries[index]?.[1]);
    return isSame ? mapping : Object.freeze(Object.fromEntries(filled));
  }
}

/** A scalar as it is written there. */
function writtenAt(data: unknown, path: ConfigPath): string | undefined {
  const found = path.reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    return (value as Readonly<Record<string | number, unknown>>)[key];
  }, data);
  if (found === null) return 'null';
  const isScalar = typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean';
  return isScalar ? hideContents(String(found)) : undefined;
}
