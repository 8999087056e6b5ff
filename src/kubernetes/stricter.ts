// The order of demands: for two written ones the joint one, key by key.

import type { z } from 'zod';
import { admitsAlgorithm } from '../jose/algorithms.ts';
import { AUTHORIZATION_RANKS, NONCE_RANKS, REQUIREMENT_RANKS } from '../config/compile/weaker.ts';
import { defaults } from '../config/schema/route.ts';
import { duration, sizeOrNone } from '../config/schema/values.ts';
import { asText, type Json, mapping, mappings, texts } from './json.ts';

/** Keys of a route as they are written in a policy, each valid in itself. */
export type WrittenDemand = Json;

/** Two demands that no request could meet together, or that no configuration can say together. */
export interface Irreconcilable {
  readonly key: string;
  /** Completes “KEY …”. */
  readonly message: string;
}

export type Joined = { readonly demand: WrittenDemand } | { readonly irreconcilable: Irreconcilable };

/** One value for two. Both are there; where one is absent, the other counts. */
type Join = (one: unknown, other: unknown) => { readonly value: unknown } | { readonly clash: string };

const clash = (message: string) => ({ clash: message });
const value = (joined: unknown) => ({ value: joined });

/**
 * The weakest demand that is at least as strict as both. The order of the two changes nothing but the order of lists, except for
 * keys that demand nothing of a sender, where the first one counts (`forward.host`, `forward.identity`, `cors`, `resource`, `shadow`).
 * NOT checked: whether the result compiles.
 */
export function joinDemands(one: WrittenDemand, other: WrittenDemand): Joined {
  return joinMembers(one, other, (key) => JOINS[key]);
}

/** Seconds of a signature that are not written are those of the configuration's schema. */
const SIGNATURE_DEFAULTS = { components: ['content-type', 'content-encoding'], max_age: '60s', clock_tolerance: '15s' };

const { dpop: PROOFS, forward: FORWARD } = defaults.parse({});
/** What holds where no one says anything, of keys that have an order. */
const WITHOUT_WORD: WrittenDemand = {
  dpop: {
    nonce: PROOFS.nonce,
    max_age: `${PROOFS.max_age}s`,
    clock_tolerance: `${PROOFS.clock_tolerance}s`,
    algorithms: PROOFS.algorithms,
  },
  signature: { max_age: SIGNATURE_DEFAULTS.max_age, clock_tolerance: SIGNATURE_DEFAULTS.clock_tolerance },
  forward: { authorization: FORWARD.authorization },
  // Of listeners: slow clients of one route take connections from all.
  limits: { upload_rate: '512B', download_rate: '512B', rate_grace: '10s' },
};

/** A demand with the defaults of what another one says and it does not: whoever adds to it adds to them as well. */
export function withDefaults(demand: WrittenDemand, added: WrittenDemand): WrittenDemand {
  const filled: Record<string, unknown> = { ...demand };
  for (const [key, members] of Object.entries(WITHOUT_WORD)) {
    const said = mapping(added[key]) ?? {};
    const missing = Object.entries(mapping(members) ?? {}).filter(([member]) => Object.hasOwn(said, member));
    if (missing.length > 0) filled[key] = { ...Object.fromEntries(missing), ...mapping(demand[key]) };
  }
  return filled;
}

const CERTIFICATE_FIELDS = ['client-cert', 'client-cert-chain'];

/**
 * The first field for the upstream that a demand names and that neither another one nor the defaults do. What one route names is
 * taken from the clients of all routes of a gateway.
 */
export function newField(demand: WrittenDemand, known: WrittenDemand): string | undefined {
  const names = new Set([...Object.keys(FORWARD.identity), ...CERTIFICATE_FIELDS, ...fieldsOf(known)].map(lower));
  return fieldsOf(demand).find((name) => !names.has(lower(name)));
}

function lower(name: string): string {
  return name.toLowerCase();
}

function fieldsOf(demand: WrittenDemand): readonly string[] {
  const { identity: set, remove, client_certificate: certificate } = mapping(demand.forward) ?? {};
  return [
    ...Object.keys(mapping(set) ?? {}),
    ...texts(remove),
    ...mappings(certificate).flatMap(({ field }) => asText(field) ?? []),
  ];
}

/** @param joinOf undefined: the first value counts */
function joinMembers(one: Json, other: Json, joinOf: (key: string) => Join | undefined): Joined {
  const demand: Record<string, unknown> = { ...one };
  for (const [key, theirs] of Object.entries(other)) {
    const ours = Object.hasOwn(one, key) ? one[key] : undefined;
    if (ours === undefined) {
      demand[key] = theirs;
      continue;
    }
    const joined = joinOf(key)?.(ours, theirs) ?? value(ours);
    if ('clash' in joined) return { irreconcilable: { key, message: joined.clash } };
    demand[key] = joined.value;
  }
  return { demand };
}

/** Mappings, member by member. */
function within(joinOf: (key: string) => Join | undefined): Join {
  return (one, other) => {
    const joined = joinMembers(mapping(one) ?? {}, mapping(other) ?? {}, joinOf);
    if ('demand' in joined) return value(joined.demand);
    return clash(`${joined.irreconcilable.message} (${joined.irreconcilable.key})`);
  };
}

function membersOf(joins: Readonly<Record<string, Join>>): Join {
  return within((key) => joins[key]);
}

function list(written: unknown): readonly unknown[] {
  return Array.isArray(written) ? written : [written];
}

/** What both lists have. */
function common(what: string): Join {
  return (one, other) => {
    const theirs = new Set(list(other));
    const both = list(one).filter((item) => theirs.has(item));
    return both.length === 0 ? clash(`have no ${what} in common`) : value(both);
  };
}

/** What either list has. */
const either: Join = (one, other) => value([...new Set([...list(one), ...list(other)])]);

function highest(ranks: Readonly<Record<string, number>>): Join {
  const rank = (written: unknown): number => ranks[written === false ? 'none' : String(written)] ?? 0;
  return (one, other) => value(rank(other) > rank(one) ? other : one);
}

/** `none`, or the boolean that YAML makes of it, is more than every duration or size. */
function amount(schema: z.ZodType): (written: unknown) => number {
  return (written) => {
    const read = schema.safeParse(written);
    return typeof read.data === 'number' ? read.data : Number.POSITIVE_INFINITY;
  };
}

const seconds = amount(duration('0s'));
const bytes = amount(sizeOrNone);

function least(read: (written: unknown) => number): Join {
  return (one, other) => value(read(other) < read(one) ? other : one);
}

/** Rates that senders have to reach: `none` demands nothing. */
const fastest: Join = (one, other) => {
  const [ours, theirs] = [bytes(one), bytes(other)];
  if (!Number.isFinite(ours)) return value(other);
  return value(Number.isFinite(theirs) && theirs > ours ? other : one);
};

const requirements: Join = (one, other) => {
  const rank = (written: unknown) => REQUIREMENT_RANKS[written as keyof typeof REQUIREMENT_RANKS];
  if (one === other || rank(one) > rank(other)) return value(one);
  if (rank(other) > rank(one)) return value(other);
  return clash(`is ${String(one)} here and ${String(other)} there, and neither is the stricter one`);
};

const algorithms: Join = (one, other) => {
  const [ours, theirs] = [list(one) as string[], list(other) as string[]];
  const both = [
    ...ours.filter((alg) => admitsAlgorithm(theirs, alg)),
    ...theirs.filter((alg) => admitsAlgorithm(ours, alg)),
  ];
  return both.length === 0 ? clash('have no algorithm in common') : value([...new Set(both)]);
};

/** Alternatives of a scope; undefined: all are demanded. */
function alternatives(written: unknown): readonly unknown[] | undefined {
  const any = mapping(written)?.any;
  return any === undefined ? undefined : list(any);
}

const scopes: Join = (one, other) => {
  const [ours, theirs] = [alternatives(one), alternatives(other)];
  if (ours === undefined && theirs === undefined) return either(one, other);
  if (ours !== undefined && theirs !== undefined) {
    const both = common('alternative')(ours, theirs);
    return 'clash' in both ? both : value({ any: both.value });
  }
  const [all, any] = ours === undefined ? [list(one), theirs ?? []] : [list(other), ours];
  if (any.some((scope) => all.includes(scope))) return value(all);
  // One alternative alone is demanded like any other scope.
  return any.length === 1 ? value([...all, ...any]) : clash('is all of some here and any of others there');
};

/** Each claim by its name: a value, or a list of values that do. */
const claims: Join = within(() => common('value'));

/** Two limits cannot be counted at once. */
const sameLimit: Join = (one, other) =>
  one === other ? value(one) : clash(`is ${String(one)} here and ${String(other)} there, expected one limit`);

const sameText: Join = (one, other) => (one === other ? value(one) : clash('differs, and a signature has one tag'));

const signature: Join = (one, other) =>
  membersOf({ components: either, tag: sameText, max_age: least(seconds), clock_tolerance: least(seconds) })(
    { ...SIGNATURE_DEFAULTS, ...mapping(one) },
    { ...SIGNATURE_DEFAULTS, ...mapping(other) },
  );

/** Fields that are set for the upstream: those of the first stay as they are, whatever the spelling of their names. */
const identity: Join = (one, other) => {
  const ours = mapping(one) ?? {};
  const names = new Set(Object.keys(ours).map((name) => name.toLowerCase()));
  const more = Object.entries(mapping(other) ?? {}).filter(([name]) => !names.has(name.toLowerCase()));
  return value({ ...ours, ...Object.fromEntries(more) });
};

const encoded: Join = (one, other) => value(list(one).filter((item) => list(other).includes(item)));

const CORS_AGE = '10m';
const cors: Join = (one, other) => {
  const [ours, theirs] = [mapping(one) ?? {}, mapping(other) ?? {}];
  const origins = common('origin')(ours.origins, theirs.origins);
  if ('clash' in origins) return origins;
  const age = least(seconds)(ours.max_age ?? CORS_AGE, theirs.max_age ?? CORS_AGE);
  return value({
    origins: origins.value,
    expose: list(ours.expose ?? []).filter((field) => list(theirs.expose ?? []).includes(field)),
    ...('value' in age && { max_age: age.value }),
    credentials: ours.credentials === true && theirs.credentials === true,
  });
};

const JOINS: Readonly<Record<string, Join>> = {
  require: requirements,
  issuers: common('issuer'),
  audience: common('audience'),
  dpop: membersOf({
    nonce: highest(NONCE_RANKS),
    max_age: least(seconds),
    clock_tolerance: least(seconds),
    algorithms,
  }),
  signature,
  scope: scopes,
  claims,
  acr: common('acr'),
  max_auth_age: least(seconds),
  forward: membersOf({
    authorization: highest(AUTHORIZATION_RANKS),
    encoding: (one, other) => value(one === 'strict' ? one : other),
    identity,
    remove: either,
  }),
  encoded,
  limits: membersOf({
    request_body: least(bytes),
    upload_rate: fastest,
    download_rate: fastest,
    rate_grace: least(seconds),
  }),
  cors,
  rate_limit: sameLimit,
};
