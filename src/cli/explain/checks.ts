// The list of checks that `explain` shows, each with its reasons and expected values.

import { Rejection, REASON_NAMES, type Reason } from '../../rejection/rejection.ts';
import { targetUri } from '../../http/uri.ts';
import { sha256 } from '../../jose/thumbprint.ts';
import { oblige, type Requirement } from '../../binding/binding.ts';
import { audienceClaimOf } from '../../token/access-claims.ts';
import { readConfirmation } from '../../token/confirmation.ts';
import { type CompactJws, type JsonObject, readCompactJws } from '../../jose/jws.ts';
import { isOpaque } from '../../token/opaque-token.ts';
import { presentedScheme, readPresentation } from '../../token/presentation.ts';
import type { RequestFacts } from '../../request-facts.ts';
import type { Route } from '../../policy/policy.ts';
import type { Check, Claims, Shown } from './check.ts';
import { SIGNATURE_CHECKS } from './signature-checks.ts';
import { kindExpected, kindSaid, moment, shorten } from './words.ts';

/** How a check came out. `not needed`: this sender did not have to show it. */
export type CheckOutcome = 'passed' | 'failed' | 'not reached' | 'not needed';

export interface CheckedStep {
  readonly check: string;
  readonly rfc: string;
  readonly expected: string;
  readonly received: string;
  readonly outcome: CheckOutcome;
}

const claimed = (jws: Claims | undefined, claim: string) => shorten(jws?.payload[claim]);
const said = (jws: Partial<CompactJws> | undefined, parameter: string) => shorten(jws?.header?.[parameter]);

function audienceClaimShown({ demand }: Route, token: Claims | undefined): string {
  const issuer = demand.issuers.find(({ issuer }) => issuer === token?.payload.iss);
  return audienceClaimOf(token?.payload ?? {}, issuer ?? { audienceClaim: 'aud' });
}

/** The claim that holds the scope: of the issuer that the token names. */
function scopeClaimOf({ demand }: Route, token: Claims | undefined): string {
  const names = demand.issuers.find(({ issuer }) => issuer === token?.payload.iss)?.scopeClaim ?? [];
  return names.find((name) => Object.hasOwn(token?.payload ?? {}, name)) ?? 'scope';
}

const issuers = ({ route }: Shown) => route.demand.issuers;
const signed = ({ opaque }: Shown) => !opaque;
const byProof = ({ jkt }: Shown) => jkt !== undefined;
const byCertificate = ({ x5tS256 }: Shown) => x5tS256 !== undefined;

/** What `oblige` asks of token and scheme, in words. */
const BINDINGS: Readonly<Record<Requirement, string>> = {
  public: 'nothing',
  token: 'unbound by Bearer, cnf.jkt by DPoP, or cnf.x5t#S256 alone by Bearer',
  'sender-constrained': 'cnf.jkt by DPoP, or cnf.x5t#S256 alone by Bearer',
  dpop: 'cnf.jkt by DPoP',
  mtls: 'cnf.x5t#S256, alone by Bearer, with cnf.jkt by DPoP',
};

/**
 * In the order of rejections.md. Reasons that no check here has cannot come out of enforce: `explain` is given a certificate, and no
 * field of a proxy in front.
 */
const CHECKS: readonly Check[] = [
  {
    reasons: [
      'credentials_in_query',
      'credentials_missing',
      'credentials_malformed',
      'credentials_repeated',
      'scheme_not_accepted',
    ],
    check: 'access token in one Authorization field',
    rfc: 'RFC 6750 §2, RFC 9449 §7.1',
    expected: ({ route }) => `${route.challenge.schemes.join(' or ')} and one token`,
    received: ({ facts }) => `${facts.authorization.length} in all, scheme ${presentedScheme(facts.authorization)}`,
  },
  {
    reasons: ['proof_missing', 'proof_repeated'],
    check: 'one DPoP field',
    rfc: 'RFC 9449 §4.3 check 1',
    expected: () => '1',
    received: ({ facts }) => String(facts.dpop.length),
    owed: ({ facts }) => presentedScheme(facts.authorization) === 'DPoP',
  },
  {
    reasons: ['token_malformed'],
    check: 'token is a signed JWT',
    owed: signed,
    rfc: 'RFC 7519 §7.2, RFC 8725 §2.6',
    expected: () => 'three parts, no crit, no repeated member',
    received: ({ token }) => (token === undefined ? 'something else' : 'a signed JWT'),
  },
  {
    reasons: ['token_issuer_unknown'],
    check: 'iss',
    owed: signed,
    rfc: 'RFC 9068 §4',
    expected: (shown) =>
      issuers(shown)
        .map(({ issuer }) => issuer)
        .join(' or '),
    received: ({ token }) => claimed(token, 'iss'),
  },
  {
    reasons: ['token_algorithm_refused'],
    check: 'alg of the token',
    owed: signed,
    rfc: 'RFC 8725 §3.1',
    expected: (shown) => [...new Set(issuers(shown).flatMap(({ algorithms }) => algorithms))].join(', '),
    received: ({ token }) => said(token, 'alg'),
  },
  {
    reasons: ['token_key_unknown', 'issuer_unavailable', 'introspection_queue_full'],
    check: 'key of the issuer, or its answer',
    rfc: 'RFC 7517 §4.5, RFC 7662 §2',
    expected: ({ opaque }) => (opaque ? 'an answer about the token' : 'a key of the issuer, loaded'),
    received: ({ token, opaque }) => (opaque ? 'an opaque token' : `kid ${said(token, 'kid')}`),
  },
  {
    reasons: ['token_signature_invalid'],
    check: 'signature of the token',
    owed: signed,
    rfc: 'RFC 7515 §5.2',
    expected: () => 'by that key',
    received: ({ token }) => `one by ${said(token, 'alg')}`,
  },
  {
    reasons: ['token_type_refused'],
    check: 'typ of the token',
    owed: signed,
    rfc: 'RFC 9068 §4, RFC 7662 §2.2',
    expected: (shown) => [...new Set(issuers(shown).map((issuer) => kindExpected(issuer, shown.opaque)))].join(' or '),
    received: ({ token, opaque }) => `${opaque ? '' : `typ ${said(token, 'typ')}; `}${kindSaid(token?.payload)}`,
  },
  {
    reasons: ['token_claim_invalid'],
    check: 'exp, iss, aud and types of claims',
    rfc: 'RFC 7519 §4.1',
    expected: () => 'there, of their types',
    received: ({ token }) => `exp ${claimed(token, 'exp')}`,
  },
  {
    reasons: ['token_expired', 'token_not_yet_valid'],
    check: 'token is valid now',
    rfc: 'RFC 7519 §4.1.4, §4.1.5',
    expected: ({ facts }) => `now, ${moment(facts.now)}`,
    received: ({ token }) => `until ${moment(token?.payload.exp)}`,
  },
  {
    reasons: ['token_audience_mismatch'],
    check: 'aud',
    rfc: 'RFC 9068 §4',
    expected: ({ route: { demand } }) =>
      [demand.issuers.flatMap(({ audience }) => audience), demand.audience ?? []]
        .filter((audience) => audience.length > 0)
        .map((audience) => audience.join(' or '))
        .join(', and '),
    received: ({ route, token }) => claimed(token, audienceClaimShown(route, token)),
  },
  {
    reasons: ['token_inactive'],
    check: 'active, as the issuer says',
    rfc: 'RFC 7662 §2.2',
    expected: () => 'true',
    received: () => 'its answer',
    owed: ({ opaque, route: { demand } }) =>
      opaque || demand.issuers.some(({ introspection }) => introspection?.always),
  },
  {
    reasons: ['confirmation_unsupported'],
    check: 'cnf',
    rfc: 'RFC 7800 §3.1',
    expected: () => 'absent, or with jkt or x5t#S256',
    received: ({ token }) => claimed(token, 'cnf'),
  },
  {
    reasons: ['binding_required', 'binding_downgraded'],
    check: 'binding of the token',
    rfc: 'RFC 9449 §7.2, RFC 8705 §3',
    expected: ({ route }) => BINDINGS[route.demand.requirement],
    received: ({ facts, token }) => `cnf ${claimed(token, 'cnf')} by ${presentedScheme(facts.authorization)}`,
  },
  {
    reasons: ['certificate_missing', 'certificate_untrusted', 'certificate_mismatch'],
    check: 'client certificate',
    rfc: 'RFC 8705 §3',
    expected: ({ x5tS256 }) => shorten(x5tS256),
    received: ({ facts: { certificate } }) => (typeof certificate === 'object' ? certificate.facts.thumbprint : 'none'),
    owed: byCertificate,
  },
  {
    reasons: ['proof_malformed'],
    check: 'proof is a JWS with all claims',
    rfc: 'RFC 9449 §4.3 checks 2, 3',
    expected: () => 'jti, htm, htu, iat and ath',
    received: ({ proof }) => (proof === undefined ? 'something else' : Object.keys(proof.payload).join(', ')),
    owed: byProof,
  },
  {
    reasons: ['proof_type_invalid'],
    check: 'typ of the proof',
    rfc: 'RFC 9449 §4.3 check 4',
    expected: () => 'dpop+jwt',
    received: ({ proof }) => said(proof, 'typ'),
    owed: byProof,
  },
  {
    reasons: ['proof_algorithm_refused'],
    check: 'alg of the proof',
    rfc: 'RFC 9449 §4.3 check 5',
    expected: ({ route }) => route.demand.dpop.algorithms.join(', '),
    received: ({ proof }) => said(proof, 'alg'),
    owed: byProof,
  },
  {
    reasons: ['proof_key_invalid', 'proof_key_mismatch'],
    check: 'the key of the proof is that of the token',
    rfc: 'RFC 9449 §4.3 checks 6, 7, 12',
    expected: ({ jkt }) => `thumbprint ${shorten(jkt)}`,
    received: ({ proof }) => `jwk ${said(proof, 'jwk')}`,
    owed: byProof,
  },
  {
    reasons: ['proof_method_mismatch'],
    check: 'htm',
    rfc: 'RFC 9449 §4.3 check 8',
    expected: ({ facts }) => facts.method,
    received: ({ proof }) => claimed(proof, 'htm'),
    owed: byProof,
  },
  {
    reasons: ['proof_uri_mismatch'],
    check: 'htu',
    rfc: 'RFC 9449 §4.3 check 9',
    expected: ({ facts }) => targetUri(facts.origin, facts.path),
    received: ({ proof }) => claimed(proof, 'htu'),
    owed: byProof,
  },
  {
    reasons: ['proof_token_mismatch'],
    check: 'ath',
    rfc: 'RFC 9449 §4.3 check 12',
    expected: ({ accessToken }) => (accessToken === undefined ? 'absent' : sha256(accessToken)),
    received: ({ proof }) => claimed(proof, 'ath'),
    owed: byProof,
  },
  {
    reasons: ['nonce_required', 'nonce_stale'],
    check: 'nonce',
    rfc: 'RFC 9449 §4.3 check 10, §9',
    expected: ({ route }) => `${route.demand.dpop.nonce}; one that is sent is checked`,
    received: ({ proof }) => (proof?.payload.nonce === undefined ? 'absent' : 'present'),
    owed: byProof,
  },
  {
    reasons: ['proof_stale', 'proof_from_future'],
    check: 'iat of the proof',
    rfc: 'RFC 9449 §4.3 check 11',
    expected: ({ facts, route: { demand } }) =>
      `${moment(facts.now - demand.dpop.maxAge)} to ${moment(facts.now + demand.dpop.clockTolerance)}`,
    received: ({ proof }) => moment(proof?.payload.iat),
    owed: byProof,
  },
  {
    reasons: ['proof_signature_invalid'],
    check: 'signature of the proof',
    rfc: 'RFC 9449 §4.3 check 6',
    expected: () => 'by the key in its header',
    received: ({ proof }) => `one by ${said(proof, 'alg')}`,
    owed: byProof,
  },
  ...SIGNATURE_CHECKS,
  {
    reasons: ['authentication_insufficient'],
    check: 'acr and auth_time',
    rfc: 'RFC 9470 §4',
    expected: ({ route: { demand } }) =>
      `${demand.acr.join(' or ') || 'any'}, ${demand.maxAuthAge === undefined ? 'any time' : `at most ${demand.maxAuthAge} s`} ago`,
    received: ({ token }) => `${claimed(token, 'acr')}, ${moment(token?.payload.auth_time)}`,
    owed: ({ route: { demand } }) => demand.acr.length > 0 || demand.maxAuthAge !== undefined,
  },
  {
    reasons: ['scope_insufficient'],
    check: 'scope',
    rfc: 'RFC 6750 §3.1',
    expected: ({ route: { demand } }) => `${demand.scope?.match ?? 'any'} of ${demand.scope?.scopes.join(' ') ?? ''}`,
    received: ({ route, token }) => claimed(token, scopeClaimOf(route, token)),
    owed: ({ route }) => route.demand.scope !== undefined,
  },
  {
    reasons: ['claim_mismatch'],
    check: 'claims',
    rfc: 'policy',
    expected: ({ route }) => route.demand.claims.map(({ name, anyOf }) => `${name}: ${anyOf.join(' or ')}`).join('; '),
    received: ({ route, token }) =>
      route.demand.claims.map(({ path }) => `${path.join('/')}: ${claimed(token, path[0] ?? '')}`).join('; '),
    owed: ({ route }) => route.demand.claims.length > 0,
  },
  {
    reasons: ['identity_unforwardable'],
    check: 'identity fields can be written',
    rfc: 'RFC 9110 §5.5',
    expected: ({ route }) => `encoding ${route.forward.encoding}`,
    received: ({ token }) => `sub ${claimed(token, 'sub')}`,
  },
  {
    reasons: ['rate_limited', 'rate_store_unavailable'],
    check: 'rate',
    rfc: 'RFC 6585 §4',
    expected: ({ route }) => route.rateLimit?.text ?? 'any',
    received: () => 'this one request',
    owed: ({ route }) => route.rateLimit !== undefined,
  },
];

/**
 * Lists the checks of a route that is not public, in their order, as a decision left them: what stands before the reason of a
 * refusal passed, what stands behind was not reached. Decides nothing: the decision is enforce's.
 * @param refused undefined: permitted
 * @param answered what the issuer said about an opaque token
 */
export function listChecks(
  facts: RequestFacts,
  route: Route,
  refused: Reason | undefined,
  answered: JsonObject = {},
): CheckedStep[] {
  const shown = show(facts, route, answered);
  const failedAt = refused === undefined ? Number.POSITIVE_INFINITY : REASON_NAMES.indexOf(refused);
  return CHECKS.map(({ reasons, check, rfc, expected, received, owed }) => ({
    check,
    rfc,
    expected: expected(shown),
    received: received(shown),
    outcome: outcomeOf(reasons, failedAt, refused, owed === undefined || owed(shown)),
  }));
}

function outcomeOf(
  reasons: readonly Reason[],
  failedAt: number,
  refused: Reason | undefined,
  owed: boolean,
): CheckOutcome {
  if (refused !== undefined && reasons.includes(refused)) return 'failed';
  if (Math.min(...reasons.map((reason) => REASON_NAMES.indexOf(reason))) > failedAt) return 'not reached';
  return owed ? 'passed' : 'not needed';
}

function show(facts: RequestFacts, route: Route, answered: JsonObject): Shown {
  const presentation = readPresentation(facts);
  const accessToken = presentation instanceof Rejection ? undefined : presentation.accessToken;
  const proof = facts.dpop[0] === undefined ? undefined : readCompactJws(facts.dpop[0]);
  const asked = route.demand.issuers.some(({ introspection }) => introspection !== undefined);
  const opaque = asked && accessToken !== undefined && isOpaque(accessToken);
  const token = opaque ? { payload: answered } : readCompactJws(accessToken ?? '');
  const confirmation = readConfirmation(token?.payload ?? {});
  const scheme = presentedScheme(facts.authorization) === 'DPoP' ? 'DPoP' : 'Bearer';
  const owed =
    confirmation instanceof Rejection ? confirmation : oblige(route.demand.requirement, scheme, confirmation);
  const [jkt, x5tS256] = owed instanceof Rejection ? [] : [owed.proofBy, owed.certificate];
  return { facts, route, token, proof, accessToken, opaque, jkt, x5tS256 };
}
