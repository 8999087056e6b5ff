// Cross-origin requests of browsers (Fetch standard): preflights, and the fields that let a page read an answer.

import type { CorsRules, RouteGroup } from '../../policy/policy.ts';
import { routeForMethod } from '../../policy/route-table.ts';
import type { Field } from '../../http/field.ts';
import type { GrpcCall } from '../../http/grpc.ts';
import type { Answer } from '../../rejection/answer.ts';
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
 * The answer to a preflight (Fetch §4.8); undefined where the request is none, or no route of the group has `cors`: then it is a
 * request like any other. The route that takes the method asked for decides, so that CORS is as narrow as the routes are.
 * Allowed are the credentials and every field that the page asks for, up to 64: the policy has no list of them, and a page
 * whose origin may send tokens may send a content type. What reaches the upstream is decided when it comes.
 * NOT checked: credentials, which preflights never have.
 */
export function preflightAnswer(
  group: RouteGroup,
  { browserOrigin, preflight }: Pick<EdgeFacts, 'browserOrigin' | 'preflight'>,
): Answer | undefined {
  if (preflight === undefined || group.routes.every(({ cors }) => cors === undefined)) return undefined;
  const fields: Field[] = [
    ['Cache-Control', 'no-store'],
    ['Vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'],
  ];
  const cors = TOKEN.test(preflight.method) ? routeForMethod(group, preflight.method)?.cors : undefined;
  const allowed = cors === undefined ? [] : allowOrigin(cors, browserOrigin);
  if (cors !== undefined && allowed.length > 0) {
    fields.push(...allowed);
    fields.push(['Access-Control-Allow-Methods', methodsFor(group, preflight.method, browserOrigin)]);
    fields.push(['Access-Control-Allow-Headers', readFieldNames(preflight.fieldNames)]);
    fields.push(['Access-Control-Max-Age', String(Math.floor(cors.maxAge))]);
  }
  return { status: 204, fields, body: '' };
}

function allowOrigin(cors: CorsRules, browserOrigin: string | undefined): Field[] {
  if (browserOrigin === undefined || !cors.origins.includes(browserOrigin)) return [];
  const fields: Field[] = [['Access-Control-Allow-Origin', browserOrigin]];
  if (cors.credentials) fields.push(['Access-Control-Allow-Credentials', 'true']);
  return fields;
}

/** Methods of all routes of the group that this page may call; of a route that takes every method, the one asked for. */
function methodsFor(group: RouteGroup, asked: string, browserOrigin: string | undefined): string {
  const routes = group.routes.filter(({ cors }) => cors !== undefined && allowOrigin(cors, browserOrigin).length > 0);
  return [...new Set(routes.flatMap(({ match }) => match.methods ?? [asked]))].join(', ');
}

/** Authorization has to be named: no wildcard covers it (Fetch §4.8). */
function readFieldNames(value: string): string {
  const asked = value
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => TOKEN.test(name) && !CREDENTIALS.some((credential) => credential.toLowerCase() === name));
  return [...CREDENTIALS, ...asked.slice(0, MAX_FIELDS)].join(', ');
}
