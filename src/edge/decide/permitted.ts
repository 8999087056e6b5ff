// The answer that permits: fields that the front sets, removes or passes to the client.

import type { Permit } from '../../binding/permit.ts';
import type { ManagedFields, Route } from '../../policy/policy.ts';
import { checkFieldName } from '../../policy/managed-fields.ts';
import { quotaFields } from '../../rate/quota.ts';
import type { FieldRules } from '../fields/fields.ts';
import type { AssertedRequest } from '../fields/assertion.ts';
import { addOwnFields } from '../fields/request-fields.ts';
import type { Correlation } from '../intake/correlation.ts';
import type { ReceivedRequest } from '../transaction/transaction.ts';
import type { Permitted } from './dialect.ts';

/** A permitted request on its way through the front. */
export interface Passing {
  readonly permit: Permit;
  readonly question: Pick<ReceivedRequest, 'rawHeaders'>;
  readonly facts: AssertedRequest;
  /** Got in exchange for the client's; undefined: the route exchanges none. */
  readonly upstreamToken: string | undefined;
  readonly correlation: Pick<Correlation, 'requestField'>;
  /** Our CORS fields, names and values in turn. */
  readonly cors: readonly string[];
}

/** The constant part: names in lower case. */
export interface UpstreamFields {
  /** Set by every permitted answer, whatever its route, so that the client's copies are replaced; names and empty values in turn. */
  readonly set: readonly string[];
  /** Name → where it stands in `set`. */
  readonly places: ReadonlyMap<string, number>;
  /** Managed and never set: the front removes them. */
  readonly remove: readonly string[];
  /** All of these, and those of the front. */
  readonly known: ReadonlySet<string>;
  readonly managed: ManagedFields;
}

/** The front writes these itself, for every request. */
const OF_THE_FRONT = new Set(['forwarded', 'x-forwarded', 'x-real-ip']);
/** And these, of a family whose other members are the client's own. */
const FORWARDING = ['x-forwarded-for', 'x-forwarded-proto'];

/** @param routes all that a listener can reach: what one of them sets must not come from the client on another one */
export function compileUpstreamFields(routes: readonly Route[], managed: ManagedFields): UpstreamFields {
  const configured = routes.flatMap(({ forward }) => [
    ...forward.identity.map(({ field }) => field),
    ...forward.clientCertificate.map(({ field }) => field),
    ...(forward.assertion ? [forward.assertion.field] : []),
  ]);
  const chain = configured.some((field) => field.toLowerCase() === 'client-cert') ? ['client-cert-chain'] : [];
  const set = new Set(['authorization', 'dpop', ...configured.map((field) => field.toLowerCase()), ...chain]);
  const both = managed.requestId?.toLowerCase();
  const remove = [...managed.names].filter((name) => !set.has(name) && !OF_THE_FRONT.has(name) && name !== both);
  return {
    set: [...set].flatMap((name) => [name, '']),
    places: new Map([...set].map((name, nth) => [name, 2 * nth])),
    remove,
    known: new Set([...set, ...remove, ...(both === undefined ? [] : [both]), ...OF_THE_FRONT, ...FORWARDING]),
    managed,
  };
}

/** Lower-cased names that the client sent and that are managed by their beginning, such as X-Forwarded-Anything. */
function membersOf(question: Passing['question'], { known, managed }: UpstreamFields): readonly string[] {
  const found = new Set<string>();
  for (let at = 0; at < question.rawHeaders.length; at += 2) {
    const name = question.rawHeaders[at] ?? '';
    if (checkFieldName(managed, name) === 'managed' && !known.has(name.toLowerCase())) found.add(name.toLowerCase());
  }
  return [...found];
}

/**
 * What the front is told. Credentials follow `forward.authorization`: removed ones are set to nothing, because a front that
 * copies fields keeps the client's otherwise.
 */
export function permittedFields(passing: Passing, rules: FieldRules, fields: UpstreamFields): Permitted {
  const { permit, question, cors, correlation } = passing;
  const own = rules.credentials === 'as-received' ? credentialsOf(question) : [];
  addOwnFields(own, rules, permit.facts, passing);
  const set = [...fields.set];
  for (let at = 0; at < own.length; at += 2) {
    const [name = '', value = ''] = [own[at], own[at + 1]];
    const place = fields.places.get(name.toLowerCase()) ?? set.length;
    set[place] = name;
    set[place + 1] = value;
  }
  const { freshNonce, quota } = permit.facts;
  const answer = [...cors];
  if (rules.cors) answer.push('Vary', 'Origin');
  if (freshNonce !== undefined) answer.push('DPoP-Nonce', freshNonce);
  if (quota !== undefined) answer.push(...quotaFields(quota).flat());
  const empty = () => set.filter((_, at) => at % 2 === 0 && set[at + 1] === '');
  const both = correlation.requestField ?? [];
  return { set, both, removeAlways: fields.remove, remove: () => [...membersOf(question, fields), ...empty()], answer };
}

/** The first line of each, as received. */
function credentialsOf({ rawHeaders }: Passing['question']): string[] {
  return ['authorization', 'dpop'].flatMap((name) => {
    const line = rawHeaders.findIndex((one, at) => at % 2 === 0 && one.toLowerCase() === name);
    return line === -1 ? [] : [name, rawHeaders[line + 1] ?? ''];
  });
}
