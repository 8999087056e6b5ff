// The shares of namespaces in the Secret that configures a data plane.

import type { InSteps } from '../long-work.ts';
import { deflateRawSync } from 'node:zlib';

/** What a route brings into the configuration, as texts. */
export interface SharedRoute {
  readonly whole: string;
  /** Upstreams that it names; several routes may have the same ones. */
  readonly upstreams: readonly string[];
  /** What is left of it where it is not served: 503 in its place. */
  readonly held: string;
}

/** What the objects of one namespace bring into the configuration. */
export interface SharePart {
  /** Of its listeners. */
  readonly fixed: readonly string[];
  /** The first ones have precedence. */
  readonly routes: readonly SharedRoute[];
}

/** By namespace: how many of its routes are served, the first ones; `NOTHING`: nor are its listeners. Who is not named has room for all. */
export type NamespaceShares = ReadonlyMap<string, number>;
export const NOTHING = -1;

/** Bytes that a configuration may have, compressed; a Secret holds a little more. */
const BYTES = 1_000_000;
/** Characters that it may have: data planes read all of them. */
const CHARACTERS = 33_554_432;
/** The smallest share that is tried. */
const LEAST = 1 / 1024;

/**
 * Where a configuration does not fit, each namespace has the same bound: the largest half, quarter, eighth and so on of the whole with
 * which everything fits. Namespaces within it lose nothing, whatever the others do; of the rest the newest routes are not served.
 * @param base of the Gateway itself
 */
export function* namespaceShares(
  base: readonly string[],
  parts: ReadonlyMap<string, SharePart>,
): InSteps<NamespaceShares> {
  const whole = (limited: NamespaceShares) =>
    [...parts].flatMap(([namespace, part]) => textsOf(part, limited.get(namespace)));
  const none: NamespaceShares = new Map();
  if (fits([...base, ...whole(none)], 1)) return none;
  for (let share = 1; ; share /= 2) {
    yield;
    const limited = yield* limitedTo(parts, share);
    if (share <= LEAST || fits([...base, ...whole(limited)], 1)) return limited;
  }
}

function* limitedTo(parts: ReadonlyMap<string, SharePart>, share: number): InSteps<NamespaceShares> {
  const limited = new Map<string, number>();
  for (const [namespace, part] of parts) {
    if (!fits(textsOf(part), share)) limited.set(namespace, yield* mostServed(part, share));
    yield;
  }
  return limited;
}

/** The more routes are served, the larger a part is. */
function* mostServed(part: SharePart, share: number): InSteps<number> {
  if (!fits(textsOf(part, 0), share)) return NOTHING;
  let [served, tooMany] = [0, part.routes.length];
  while (tooMany - served > 1) {
    const middle = Math.floor((served + tooMany) / 2);
    if (fits(textsOf(part, middle), share)) served = middle;
    else tooMany = middle;
    yield;
  }
  return served;
}

function textsOf({ fixed, routes }: SharePart, served: number = routes.length): readonly string[] {
  if (served === NOTHING) return [];
  const upstreams = new Set(routes.slice(0, served).flatMap((route) => route.upstreams));
  return [...fixed, ...upstreams, ...routes.map(({ whole, held }, at) => (at < served ? whole : held))];
}

function fits(texts: readonly string[], share: number): boolean {
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  if (characters > CHARACTERS * share) return false;
  if (characters * 3 <= BYTES * share) return true;
  const text = Buffer.from(texts.join(''));
  const room = BYTES * share;
  // Fast first: that is enough for nearly all.
  return text.length <= room || packed(text, 1) <= room || packed(text, 6) <= room;
}

function packed(text: Buffer, level: number): number {
  return deflateRawSync(text, { level }).length;
}
