// The check of `weaker_than_defaults`: a weaker route names exactly the keys that differ.

import { admitsAlgorithm } from '../../jose/algorithms.ts';
import { type Compilation, listed } from './compilation.ts';
import type { RouteConfig } from './demand.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';

type Key = RouteConfig['weaker_than_defaults'][number];
type Defaults = Config['defaults'];

/** From the least demanding up; dpop and mtls demand different things, neither more than the other. */
export const REQUIREMENT_RANKS = { public: 0, token: 1, 'sender-constrained': 2, dpop: 3, mtls: 3 } as const;
export const NONCE_RANKS = { none: 0, 'on-skew': 1, required: 2 } as const;
/** By what leaves the gateway: token and proof, the token alone, a token for the upstream, nothing. */
export const AUTHORIZATION_RANKS = { 'as-received': 0, bearer: 1, exchange: 2, remove: 3 } as const;

interface Comparison {
  /** Where the route says it. */
  readonly at: ConfigPath;
  readonly weaker: (route: RouteConfig, defaults: Defaults) => boolean;
}

const COMPARISONS: Readonly<Record<Key, Comparison>> = {
  require: {
    at: ['require'],
    weaker: ({ require }, defaults) =>
      require !== undefined && REQUIREMENT_RANKS[require] < REQUIREMENT_RANKS[defaults.require],
  },
  nonce: {
    at: ['dpop', 'nonce'],
    weaker: ({ dpop }, defaults) =>
      dpop?.nonce !== undefined && NONCE_RANKS[dpop.nonce] < NONCE_RANKS[defaults.dpop.nonce],
  },
  max_age: {
    at: ['dpop', 'max_age'],
    weaker: ({ dpop }, defaults) => (dpop?.max_age ?? 0) > defaults.dpop.max_age,
  },
  clock_tolerance: {
    at: ['dpop', 'clock_tolerance'],
    weaker: ({ dpop }, defaults) => (dpop?.clock_tolerance ?? 0) > defaults.dpop.clock_tolerance,
  },
  algorithms: {
    at: ['dpop', 'algorithms'],
    weaker: ({ dpop }, defaults) =>
      dpop?.algorithms?.some((one) => !admitsAlgorithm(defaults.dpop.algorithms, one)) ?? false,
  },
  authorization: {
    at: ['forward', 'authorization'],
    weaker: ({ forward }, defaults) =>
      forward?.authorization !== undefined &&
      AUTHORIZATION_RANKS[forward.authorization] < AUTHORIZATION_RANKS[defaults.forward.authorization],
  },
  encoded: { at: ['encoded'], weaker: ({ encoded }) => encoded.length > 0 },
};

/** The keys in which a route demands less than the defaults. */
export function weakerKeys(config: RouteConfig, defaults: Defaults): readonly Key[] {
  return (Object.keys(COMPARISONS) as Key[]).filter((key) => COMPARISONS[key].weaker(config, defaults));
}

/**
 * Problems: a key in which the route demands less than the defaults and that it does not name; a key named although it
 * demands no less there; either of them in an included file, where nothing may be weaker.
 * Does not compare what has no default: scope, claims, acr, max_auth_age, audience.
 */
export function checkWeaker(compilation: Compilation, at: ConfigPath, config: RouteConfig): void {
  const { defaults } = compilation.read.config;
  const keys = weakerKeys(config, defaults);
  const named = config.weaker_than_defaults;
  if (compilation.read.includedBy(at) !== undefined) {
    for (const key of keys)
      compilation.problem(
        [...at, ...COMPARISONS[key].at],
        'is weaker than the defaults, which an included file may not be',
      );
    if (named.length > 0)
      compilation.problem(
        [...at, 'weaker_than_defaults'],
        'is not allowed in an included file, expected a route in the main file',
      );
    return;
  }
  for (const key of keys) {
    if (named.includes(key)) continue;
    compilation.problem(
      [...at, ...COMPARISONS[key].at],
      `is weaker than the defaults, expected weaker_than_defaults: [${keys.join(', ')}] on this route, or a value that is not`,
    );
  }
  for (const [index, key] of named.entries()) {
    if (keys.includes(key) && named.indexOf(key) === index) continue;
    const message = keys.includes(key) ? `names ${key} again` : `names ${key}, in which this route is not weaker`;
    compilation.problem(
      [...at, 'weaker_than_defaults', index],
      `${message}, expected ${keys.length === 0 ? 'no key' : listed(keys)}`,
    );
  }
}
