// The changes of a reload in words: names and keys, never values.

import { isDeepStrictEqual } from 'node:util';
import type { Demand, Policy, Route } from '../../policy/policy.ts';

/** What has no name of its own: the section as people know it. */
const SECTIONS = {
  log: 'log',
  tracing: 'tracing',
  drain: 'drain',
  nonce: 'nonce',
  replay: 'replay',
  problemBase: 'problem_base',
} as const satisfies { readonly [K in keyof Policy]?: string };

/** One line for each listener, issuer, upstream and route that is new, gone or another one, and each section that differs. */
export function describeChanges(before: Policy, after: Policy): readonly string[] {
  return [
    ...changesByName('listener', before.listeners, after.listeners),
    ...changesByName('issuer', before.issuers, after.issuers),
    ...changesByName('upstream', before.upstreams, after.upstreams),
    ...changesByName('route', before.routes, after.routes, alone),
    ...Object.entries(SECTIONS)
      .filter(([key]) => !isDeepStrictEqual(before[key as keyof Policy], after[key as keyof Policy]))
      .map(([, section]) => `${section}: changed`),
  ];
}

interface Named {
  readonly name: string;
}

/** @param told what of each counts; the same object means the same */
function changesByName<T extends Named>(
  kind: string,
  before: readonly T[],
  after: readonly T[],
  told: (one: T) => object = (one) => one,
): readonly string[] {
  const old = new Map(before.map((one) => [one.name, one]));
  const names = new Set(after.map(({ name }) => name));
  const gone = before.filter(({ name }) => !names.has(name));
  const lines = after.flatMap((one) => {
    const was = old.get(one.name);
    if (was === undefined) return [`${kind} ${one.name}: new`];
    const keys = was === one ? [] : differing(told(was), told(one));
    return keys.length === 0 ? [] : [`${kind} ${one.name}: ${keys.join(', ')}`];
  });
  return [...lines, ...gone.map(({ name }) => `${kind} ${name}: gone`)];
}

/** Keys whose values differ, as the configuration spells them. */
function differing(before: object, after: object): readonly string[] {
  const [old, now] = [before, after] as readonly Readonly<Record<string, unknown>>[];
  return Object.keys({ ...old, ...now })
    .filter((key) => !isDeepStrictEqual(old?.[key], now?.[key]))
    .map((key) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

/** A route without the content of what it names: that is told once, where it is. */
function alone({ upstream, split, mirrors, own, demand, shadow, challenge, signed, ...rest }: Route): object {
  const named = ({ issuers, ...others }: Demand) => ({ issuers: issuers.map(({ name }) => name), ...others });
  void [challenge, signed]; // made of the demand
  const upstreams = split?.map((share) => [share.upstream?.name, share.weight]);
  return {
    ...rest,
    upstream: upstream.name,
    upstreams,
    mirror: mirrors?.map((one) => [one.upstream.name, one.share]),
    ...(own && { [own.kind]: own }),
    demand: named(demand),
    shadow: shadow && named(shadow),
  };
}
