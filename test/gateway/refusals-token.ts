// Refusals of the stages presentation and token.

import { type Answered, ISSUER_KEY, type RequestWishes, type TestGateway } from '../support/gateway.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { IntrospectionRules } from '../../src/token/issuer.ts';
import { makeKey, makeToken, signParts } from '../support/tokens.ts';
import { dpop, issue, prove, THIEF, TO_KEY } from './credentials.ts';
import { BEARER, type Challenge, DPOP, type Refusal } from './refusal.ts';

/** The route takes both schemes; the error stands on the challenge of the one that was used. */
const offered = [DPOP, BEARER];
const asBearer = (error: string): readonly Challenge[] => [{ ...BEARER, error }, DPOP];
const asDpop = (error: string): readonly Challenge[] => [{ ...DPOP, error }, BEARER];
const everywhere = (error: string): readonly Challenge[] => offered.map((challenge) => ({ ...challenge, error }));

const ask =
  (wishes: RequestWishes, path = '/any/1') =>
  (gateway: TestGateway) =>
    gateway.request('GET', path, wishes);
const authorized = (...values: readonly string[]) =>
  ask({ fields: values.map((value) => ['Authorization', value] as const) });

const OPAQUE = 'MARK-opaque-token';

/** The policy, but with an issuer that is asked about opaque tokens at this origin. */
const asking =
  (origin: (policy: Policy) => string) =>
  (policy: Policy): Policy => {
    const next = structuredClone(policy);
    const introspection: IntrospectionRules = {
      endpoint: `${origin(policy)}/introspect`,
      clientId: 'gateway',
      credentials: { method: 'client_secret_basic', secret: 'MARK-secret' },
      accessToken: undefined,
      signed: false,
      always: false,
      cache: 30,
    };
    for (const issuer of next.issuers) Object.assign(issuer, { introspection });
    return next;
  };

const missing = { reason: 'credentials_missing', stage: 'presentation', status: 401 } as const;
const bad = { reason: 'credentials_malformed', stage: 'presentation', status: 400 } as const;
const repeated = {
  reason: 'credentials_repeated',
  stage: 'presentation',
  status: 400,
  challenges: everywhere('invalid_request').toReversed(),
} as const;
const foreign = {
  reason: 'scheme_not_accepted',
  stage: 'presentation',
  status: 401,
  challenges: offered,
} as const;

export const PRESENTATION: readonly Refusal[] = [
  { ...missing, when: 'there are none (RFC 9449 figure 17)', challenges: offered, send: ask({}) },
  {
    ...missing,
    when: 'there are none on a route for DPoP alone (figure 15)',
    challenges: [DPOP],
    send: ask({}, '/dpop/1'),
  },
  {
    ...missing,
    when: 'there are none on a route for certificates',
    challenges: [BEARER, DPOP],
    send: ask({}, '/mtls/1'),
  },
  {
    ...missing,
    when: 'there are none on a route with a scope',
    challenges: offered.map((challenge) => ({ ...challenge, scope: 'orders:write' })),
    send: ask({}, '/scope/1'),
  },
  { ...bad, when: 'there is no token', challenges: asBearer('invalid_request'), send: authorized('Bearer') },
  { ...bad, when: 'there are two tokens', challenges: asDpop('invalid_request'), send: authorized('DPoP MARK b') },
  {
    ...bad,
    when: 'the token is larger than 16 KiB',
    challenges: asBearer('invalid_request'),
    send: authorized(`Bearer ${'MARK'.repeat(4097)}`),
  },
  {
    ...bad,
    when: 'the token comes without a scheme',
    challenges: everywhere('invalid_request'),
    send: authorized('MARK.b.c'),
  },
  { ...bad, when: 'the field is empty', challenges: everywhere('invalid_request'), send: authorized('') },
  { ...repeated, when: 'there are two Authorization lines (figure 19)', send: authorized('Bearer MARK', 'DPoP MARK') },
  {
    ...repeated,
    when: 'access_token stands in the query',
    send: ask({ token: 'MARK' }, '/any/1?x=1&access%5Ftoken=MARK'),
  },
  {
    ...repeated,
    reason: 'credentials_in_query',
    when: 'access_token stands in the query and nowhere else',
    challenges: everywhere('invalid_request'),
    send: ask({}, '/any/1?access_token=MARK'),
  },
  { ...foreign, when: 'the scheme is Basic', send: authorized('Basic MARK') },
  { ...foreign, when: 'the scheme has parameters', send: authorized('Digest username="MARK", realm="b"') },
  {
    reason: 'proof_missing',
    when: 'scheme DPoP comes without a DPoP field',
    stage: 'presentation',
    status: 401,
    challenges: asDpop('invalid_dpop_proof'),
    send: async (gateway) => ask({ scheme: 'DPoP', token: await issue(gateway, TO_KEY) })(gateway),
  },
  {
    reason: 'proof_repeated',
    when: 'there are two DPoP lines',
    stage: 'presentation',
    status: 401,
    challenges: asDpop('invalid_dpop_proof'),
    send: (gateway) => twoProofs(gateway, (one, two) => [one, two]),
  },
  {
    reason: 'proof_repeated',
    when: 'one DPoP line has two proofs',
    stage: 'presentation',
    status: 401,
    challenges: asDpop('invalid_dpop_proof'),
    send: (gateway) => twoProofs(gateway, (one, two) => [`${one}, ${two}`]),
  },
];

async function twoProofs(gateway: TestGateway, spell: (one: string, two: string) => string[]): Promise<Answered> {
  const token = await issue(gateway, TO_KEY);
  const proofs = [await prove(gateway, token, 'GET', '/any/1'), await prove(gateway, token, 'GET', '/any/1')] as const;
  return ask({ scheme: 'DPoP', token, fields: spell(...proofs).map((proof) => ['DPoP', proof] as const) })(gateway);
}

const ES384 = await makeKey('ES384');
type Part = Readonly<Record<string, unknown>>;

/** A token that is good but for its claims and header, presented as Bearer. */
const bearer =
  (claims: Part, header: Part = {}) =>
  async (gateway: TestGateway) =>
    ask({ token: await issue(gateway, claims, header) })(gateway);

/** The parts of a good token, changed, and signed by whom it says. */
const spelled =
  (change: (header: Part, claims: Part) => readonly [unknown, unknown], key = ISSUER_KEY) =>
  async (gateway: TestGateway) => {
    const [header = '', payload = ''] = (await issue(gateway)).split('.');
    const parse = (part: string): Part => JSON.parse(Buffer.from(part, 'base64url').toString());
    return ask({ token: await signParts(key, ...change(parse(header), parse(payload))) })(gateway);
  };

const refused = { stage: 'token', status: 401, challenges: asBearer('invalid_token') } as const;
const malformed = { ...refused, reason: 'token_malformed' } as const;
const algorithm = { ...refused, reason: 'token_algorithm_refused' } as const;
const type = { ...refused, reason: 'token_type_refused' } as const;
const claim = { ...refused, reason: 'token_claim_invalid' } as const;

export const TOKEN: readonly Refusal[] = [
  { ...malformed, when: 'it is opaque (figure 18)', send: ask({ token: 'MARK_TOKEN' }) },
  { ...malformed, when: 'it is a JWE of five parts', send: ask({ token: 'e30.e30.e30.e30.e30' }) },
  {
    ...malformed,
    when: 'its header has crit',
    send: spelled((header, claims) => [{ ...header, crit: ['MARK'] }, claims]),
  },
  {
    ...malformed,
    when: 'a member of its claims is repeated',
    send: spelled((header, claims) => [header, `{"cnf":{"jkt":"x"},"cnf":null,${JSON.stringify(claims).slice(1)}`]),
  },
  {
    ...refused,
    reason: 'token_inactive',
    when: 'its issuer was asked about it',
    wishes: { adjust: asking((policy) => policy.upstreams[0]?.targets[0]?.origin ?? '') },
    // The upstream plays the issuer as well.
    reached: 1,
    send(gateway) {
      gateway.upstream.answer = (_request, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"active":false}');
      return ask({ token: OPAQUE })(gateway);
    },
  },
  {
    ...refused,
    reason: 'token_issuer_unknown',
    when: 'iss is no issuer',
    send: bearer({ iss: 'https://MARK.example' }),
  },
  { ...algorithm, when: 'alg is none', send: spelled((header, claims) => [{ ...header, alg: 'none' }, claims]) },
  { ...algorithm, when: 'alg is HMAC', send: spelled((header, claims) => [{ ...header, alg: 'HS256' }, claims]) },
  {
    ...algorithm,
    when: 'alg is not that of the key',
    send: spelled((header, claims) => [{ ...header, alg: 'ES384' }, claims], ES384),
  },
  { ...refused, reason: 'token_key_unknown', when: 'no key has its kid', send: bearer({}, { kid: 'MARK' }) },
  {
    reason: 'issuer_unavailable',
    when: 'the keys were never loaded',
    stage: 'token',
    status: 503,
    challenges: [],
    fields: { 'Retry-After': '5' },
    wishes: {
      unready: true,
      issuers: `login: { issuer: https://login.example.com, audience: [https://api.example.com], keys: { jwks_uri: "http://127.0.0.1:1/jwks" } }`,
    },
    send: bearer({}),
  },
  {
    reason: 'issuer_unavailable',
    when: 'it is opaque and its issuer does not answer',
    stage: 'token',
    status: 503,
    challenges: [],
    fields: { 'Retry-After': '5' },
    wishes: { adjust: asking(() => 'http://127.0.0.1:1') },
    send: ask({ token: OPAQUE }),
  },
  {
    ...refused,
    reason: 'token_signature_invalid',
    when: 'somebody else signed it',
    send: async (gateway) =>
      ask({ token: await makeToken(THIEF, gateway.now(), { header: { kid: ISSUER_KEY.jwk.kid } }) })(gateway),
  },
  { ...type, when: 'it is a DPoP proof by its typ', send: bearer({}, { typ: 'dpop+jwt' }) },
  { ...type, when: 'it is an ID token by its claims', send: bearer({ nonce: 'MARK' }, { typ: 'JWT' }) },
  { ...claim, when: 'exp is missing', send: bearer({ exp: undefined }) },
  { ...claim, when: 'iss is missing', send: bearer({ iss: undefined }) },
  { ...claim, when: 'aud is missing', send: bearer({ aud: undefined }) },
  { ...claim, when: 'sub is a number', send: bearer({ sub: 7 }) },
  { ...refused, reason: 'token_expired', when: 'exp is past', send: expiring(-16) },
  {
    ...refused,
    reason: 'token_not_yet_valid',
    when: 'nbf is to come',
    send: (gateway) => bearer({ nbf: gateway.now() + 60 })(gateway),
  },
  {
    ...refused,
    reason: 'token_audience_mismatch',
    when: 'aud is another service',
    send: bearer({ aud: ['https://MARK-audience.example'] }),
  },
  {
    ...refused,
    reason: 'token_expired',
    when: 'scheme and proof are DPoP, whose challenge then has the error',
    challenges: asDpop('invalid_token'),
    send: (gateway) => dpop(gateway, 'GET', '/any/1', { claims: { exp: gateway.now() - 60 } }),
  },
];

function expiring(seconds: number) {
  return (gateway: TestGateway) => bearer({ exp: gateway.now() + seconds })(gateway);
}
