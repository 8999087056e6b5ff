// CORS (Fetch standard): preflights, and the fields that let a page read an answer.

import type { CorsRules, Route } from '../../policy/policy.ts';
import type { PreflightReach } from '../../policy/route-table.ts';
import type { Field } from '../../http/field.ts';
import type { GrpcCall } from '../../http/grpc.ts';
import type { Answer } from '../../rejection/answer.ts';
import type { PreflightResult } from '../../observe/labels.ts';
import { mismatch } from '../../rejection/difference.ts';
import { Rejection, reject } from '../../rejection/rejection.ts';
import type { EdgeFacts } from './facts.ts';

/** What every client of DPoP must be able to read: nonces and challenges. */
const EXPOSED = ['DPoP-Nonce', 'WWW-Authenticate'];
/** What a client of gRPC-Web must read besides where an answer is fields alone. */
const EXPOSED_GRPC = ['grpc-status', 'grpc-message'];
const CREDENTIALS = ['Authorization', 'DPoP'];
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const MAX_FIELDS = 64;

/**
 * The CORS fields of any answer of a route, `Vary: Origin` aside, which such a route's answers have whatever the origin. Origins
 * are compared as browsers write them; to a page that is not listed nothing is said, and its browser keeps the answer from it.
 * Never `*`.
 * @param browserOrigin value of the one Origin field; undefined where there is none
 * @param grpc of the request, if it is one
 */
export function corsFields(cors: CorsRules, browserOrigin: string | undefined, grpc?: GrpcCall): Field[] {
  const allowed = allowOrigin(cors, browserOrigin);
  if (allowed.length === 0) return allowed;
  const exposed = [...EXPOSED, ...(grpc?.web === true ? EXPOSED_GRPC : []), ...cors.expose];
  allowed.push(['Access-Control-Expose-Headers', exposed.join(', ')]);
  return allowed;
}

/**
 * The answer to a preflight (Fetch §4.8); undefined where the request is none. The routes that may take the method asked for decide, so
 * that CORS is as narrow as the routes are: the fields of the request are not known yet, so where routes ask for fields all that may
 * take it have to allow it. Where no route of the path has `cors`, OPTIONS is a request like any other, and is refused
 * here only where it would be for its credentials, which a preflight never has.
 * Allowed are the credentials and every field that the page asks for, up to 64: the policy has no list of them, and a page
 * whose origin may send tokens may send a content type. What reaches the upstream is decided when it comes.
 * @returns Rejection: preflight_refused, whose `what` is the field that does not fit, or `preflight` where no page may call
 * NOT checked: credentials.
 */
export function preflightAnswer(
  reach: PreflightReach,
  { browserOrigin, preflight, authorization }: Pick<EdgeFacts, 'browserOrigin' | 'preflight' | 'authorization'>,
): Answer | Rejection | undefined {
  if (preflight === undefined) return undefined;
  if (reach.routes.every(({ cors }) => cors === undefined)) {
    const route = reach.options;
    const asks = route !== undefined && route.demand.requirement !== 'public' && authorization.length === 0;
    return asks ? reject('preflight_refused', { what: 'preflight' }) : undefined;
  }
  const cors = TOKEN.test(preflight.method) ? narrowest(reach.taking(preflight.method)) : undefined;
  if (cors === undefined) {
    const methods = methodsFor(reach, '', browserOrigin).split(', ').filter(Boolean);
    return reject('preflight_refused', mismatch('Access-Control-Request-Method', methods, preflight.method));
  }
  const allowed = allowOrigin(cors, browserOrigin);
  if (allowed.length === 0) return reject('preflight_refused', mismatch('Origin', cors.origins, browserOrigin));
  const fields: Field[] = [
    ['Cache-Control', 'no-store'],
    ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
    ...allowed,
    ['Access-Control-Allow-Methods', methodsFor(reach, preflight.method, browserOrigin)],
    ['Access-Control-Allow-Headers', readFieldNames(preflight.fieldNames)],
    ['Access-Control-Max-Age', String(Math.floor(cors.maxAge))],
  ];
  return { status: 204, fields, body: '' };
}

/** What all of these routes allow; undefined: one of them allows nothing, or there is none. */
function narrowest(routes: readonly Route[]): CorsRules | undefined {
  let all: CorsRules | undefined;
  for (const { cors } of routes) {
    if (cors === undefined) return undefined;
    all ??= cors;
    if (all === cors) continue;
    all = {
      ...all,
      origins: all.origins.filter((origin) => cors.origins.includes(origin)),
      maxAge: Math.min(all.maxAge, cors.maxAge),
      credentials: all.credentials && cors.credentials,
    };
  }
  return all;
}

/** For the metrics. */
export function preflightResult(answered: Answer | Rejection): PreflightResult {
  if (!(answered instanceof Rejection)) return 'allowed';
  const { what } = answered.facts;
  return what === 'Origin' ? 'origin' : what === 'Access-Control-Request-Method' ? 'method' : 'no_cors';
}

/** Whether the browser of a page keeps from it what the route answers: the Origin is neither listed nor the route's own (Fetch §4.10). */
export function isKeptFromPage(cors: CorsRules | undefined, facts: KeptFacts | undefined): boolean {
  const { browserOrigin, preflight, origin } = facts ?? {};
  if (cors === undefined || browserOrigin === undefined || preflight !== undefined || origin === undefined)
    return false;
  return browserOrigin !== `${origin.scheme}://${origin.authority}` && !cors.origins.includes(browserOrigin);
}

type KeptFacts = Pick<EdgeFacts, 'browserOrigin' | 'preflight' | 'origin'>;

function allowOrigin(cors: CorsRules, browserOrigin: string | undefined): Field[] {
  if (browserOrigin === undefined || !cors.origins.includes(browserOrigin)) return [];
  const fields: Field[] = [['Access-Control-Allow-Origin', browserOrigin]];
  if (cors.credentials) fields.push(['Access-Control-Allow-Credentials', 'true']);
  return fields;
}

/** Methods of all routes that this page may call; of a route that takes every method, the one asked for. */
function methodsFor({ routes, taking }: PreflightReach, asked: string, browserOrigin: string | undefined): string {
  const named = new Set(routes.flatMap(({ match }) => match.methods ?? [asked]));
  const allowed = [...named].filter((method) => {
    const cors = narrowest(taking(method));
    return cors !== undefined && allowOrigin(cors, browserOrigin).length > 0;
  });
  return allowed.join(', ');
}

/** Authorization has to be named: no wildcard covers it (Fetch §4.8). */
function readFieldNames(value: string): string {
  const asked = value
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => TOKEN.test(name) && !CREDENTIALS.some((credential) => credential.toLowerCase() === name));
  return [...CREDENTIALS, ...asked.slice(0, MAX_FIELDS)].join(', ');
}
