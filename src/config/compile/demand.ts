// Compilation of what a route demands of a sender, with the defaults, and of its shadow.

import type { Requirement } from '../../binding/binding.ts';
import { metadataUri } from '../../policy/protected-resource.ts';
import type { ChallengeTerms, Scheme } from '../../rejection/challenge.ts';
import { isExact } from '../../jose/exact-numbers.ts';
import type { ClaimRule } from '../../token/claims.ts';
import type { Issuer } from '../../token/issuer.ts';
import { type Compilation, expectedName, listed, merged } from './compilation.ts';
import type { ConfigPath } from '../problem.ts';
import type { Demand } from '../../policy/policy.ts';
import type { Config } from '../schema/schema.ts';

export type RouteConfig = Config['routes'][number];
type DemandConfig = Pick<RouteConfig, 'audience' | 'scope' | 'claims' | 'acr' | 'max_auth_age' | 'signature'> &
  Pick<Config['defaults'], 'require' | 'dpop'>;

/** By which schemes a route can be met, the preferred one first: what challenges offer (RFC 9449 §7.1). */
const SCHEMES: Readonly<Record<Requirement, readonly Scheme[]>> = {
  public: [],
  token: ['DPoP', 'Bearer'],
  'sender-constrained': ['DPoP', 'Bearer'],
  dpop: ['DPoP'],
  mtls: ['Bearer', 'DPoP'],
};

/**
 * The demand of a route and that of its shadow. Problems: issuers missing, unknown or alike, claims that are no JSON Pointer,
 * conditions on a public route, which looks at no token, a signature without a key. NOT checked: `weaker_than_defaults` (weaker.ts).
 */
export function compileDemands(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  issuers: ReadonlyMap<string, Issuer>,
): { demand: Demand; shadow: Demand | undefined } {
  const real = demandConfig(compilation, config);
  const shadow = config.shadow && {
    ...merged(real, { require: config.shadow.require, signature: config.shadow.signature }),
    dpop: merged(real.dpop, config.shadow.dpop),
  };
  const looks = real.require !== 'public' || (shadow !== undefined && shadow.require !== 'public');
  if (!looks) checkNoConditions(compilation, at, config);
  checkSignature(compilation, [...at, 'signature'], real);
  if (shadow) checkSignature(compilation, [...at, 'shadow'], shadow);
  checkClaims(compilation, [...at, 'claims'], config);
  const from = looks ? issuersOf(compilation, at, config, issuers) : [];
  return { demand: compileDemand(real, from), shadow: shadow && compileDemand(shadow, from) };
}

/**
 * What challenges of a route say. `scope` names all scopes even where one of them is enough.
 * @param resource identifier of the protected resource that the route is part of
 */
export function compileChallenge(
  { requirement, dpop, scope, acr, maxAuthAge }: Demand,
  resource: string | undefined,
): ChallengeTerms {
  return {
    schemes: SCHEMES[requirement],
    algs: dpop.algorithms.join(' '),
    scope: scope?.scopes.join(' '),
    acrValues: acr.length === 0 ? undefined : acr.join(' '),
    maxAge: maxAuthAge === undefined ? undefined : Math.floor(maxAuthAge),
    ...(resource !== undefined && { resourceMetadata: metadataUri(resource) }),
  };
}

function demandConfig({ read }: Compilation, config: RouteConfig): DemandConfig {
  const { defaults } = read.config;
  return { ...config, require: config.require ?? defaults.require, dpop: merged(defaults.dpop, config.dpop) };
}

function compileDemand(config: DemandConfig, issuers: readonly Issuer[]): Demand {
  const { scope, dpop } = config;
  return {
    requirement: config.require,
    issuers,
    audience: config.audience,
    dpop: {
      nonce: dpop.nonce,
      maxAge: dpop.max_age,
      clockTolerance: dpop.clock_tolerance,
      algorithms: dpop.algorithms,
    },
    signature: config.signature && {
      components: config.signature.components,
      tag: config.signature.tag,
      maxAge: config.signature.max_age,
      clockTolerance: config.signature.clock_tolerance,
    },
    scope: scope && ('any' in scope ? { match: 'any', scopes: scope.any } : { match: 'all', scopes: scope }),
    claims: Object.entries(config.claims ?? {}).map(([name, value]) => compileClaim(name, value)),
    acr: config.acr ?? [],
    maxAuthAge: config.max_auth_age,
  };
}

function compileClaim(name: string, value: ClaimRule['anyOf'][number] | ClaimRule['anyOf']): ClaimRule {
  return { name, path: readClaimPath(name) ?? [], anyOf: typeof value === 'object' ? value : [value] };
}

/** A member name, or with a leading slash a JSON Pointer (RFC 6901 §3, §4); undefined where `~` is followed by neither 0 nor 1. */
function readClaimPath(name: string): readonly string[] | undefined {
  if (!name.startsWith('/')) return [name];
  if (/~(?![01])/.test(name)) return undefined;
  const members = name.slice(1).split('/');
  return members.map((member) => member.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function checkClaims(compilation: Compilation, at: ConfigPath, { claims }: RouteConfig): void {
  for (const [name, value] of Object.entries(claims ?? {})) {
    if (readClaimPath(name) === undefined) {
      compilation.problem([...at, name], 'is not a valid JSON Pointer, expected ~0 for "~" and ~1 for "/" (RFC 6901)');
    }
    const values =
      typeof value === 'object' ? value.map((one, index) => [[name, index], one] as const) : [[[name], value] as const];
    for (const [key, one] of values) {
      if (typeof one === 'number') checkExact(compilation, [...at, ...key]);
    }
  }
}

/** Whole numbers are in their bounds by the schema; this is for fractions, of which a double keeps 15 digits. */
function checkExact(compilation: Compilation, at: ConfigPath): void {
  const written = compilation.read.written(at) ?? '';
  if (!/^-?[0-9]+[.eE]/.test(written) || isExact(written)) return;
  compilation.problem(at, 'has more digits than a number keeps, expected 15 digits at most');
}

/** An unbound token confirms no key by which anything could be signed. */
function checkSignature(
  compilation: Compilation,
  at: ConfigPath,
  { require: requirement, signature }: DemandConfig,
): void {
  if (signature === undefined || requirement !== 'token') return;
  compilation.problem(
    at,
    'needs a key to which the token is bound, and require: token takes unbound ones, expected require: sender-constrained, dpop or mtls',
  );
}

const CONDITIONS = ['issuers', 'audience', 'dpop', 'signature', 'scope', 'claims', 'acr', 'max_auth_age'] as const;

function checkNoConditions(compilation: Compilation, at: ConfigPath, config: RouteConfig): void {
  for (const key of CONDITIONS) {
    if (config[key] === undefined) continue;
    compilation.problem([...at, key], `is never looked at on a public route, expected no ${key}, or another require`);
  }
}

function issuersOf(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  issuers: ReadonlyMap<string, Issuer>,
): readonly Issuer[] {
  const names = config.issuers ?? mainIssuer(compilation, at, issuers);
  const chosen = new Map<string, string>();
  let asked: string | undefined;
  return names.flatMap((name, index) => {
    const here = [...at, 'issuers', index];
    const issuer = issuers.get(name);
    if (issuer === undefined) {
      compilation.problem(here, `is not a declared issuer, ${expectedName(name, [...issuers.keys()])}`);
      return [];
    }
    const twin = chosen.get(issuer.issuer);
    if (twin !== undefined) {
      const message = `has the iss of ${twin}, so that nothing tells their tokens apart, expected each iss once`;
      compilation.problem(here, twin === name ? 'is named before, expected each issuer once' : message);
    }
    chosen.set(issuer.issuer, name);
    if (issuer.introspection !== undefined && asked !== undefined && twin !== name) {
      const message = `is asked about opaque tokens as ${asked} is, and nothing in a token says whose it is`;
      compilation.problem(here, `${message}, expected one such issuer at most`);
    }
    if (issuer.introspection !== undefined) asked ??= name;
    return [issuer];
  });
}

/** A route that names no issuers takes the main file's, if that has exactly one; routes of included files name theirs. */
function mainIssuer(compilation: Compilation, at: ConfigPath, issuers: ReadonlyMap<string, Issuer>): readonly string[] {
  const { read } = compilation;
  const here = [...at, 'issuers'];
  if (read.includedBy(at) !== undefined) {
    compilation.problem(here, 'is missing, expected the names of issuers: routes of an included file name theirs');
    return [];
  }
  const names = [...issuers.keys()].filter((name) => read.includedBy(['issuers', name]) === undefined);
  if (names.length === 1) return names;
  if (issuers.size === 0) {
    const expected = 'expected an issuer under issuers, whose tokens count here, or require: public';
    compilation.problem(here, `is missing and no issuer is declared, ${expected}`);
    return [];
  }
  const found = names.length === 0 ? 'there is no issuer' : 'there are several issuers';
  compilation.problem(here, `is missing and ${found}, expected the names of issuers: ${listed([...issuers.keys()])}`);
  return [];
}
