// Everything else that is wrong with a refused request, as if its first fault were none.

import { enforce, type Ports } from '../../enforce.ts';
import type { Route } from '../../policy/policy.ts';
import { readCompactJws } from '../../jose/jws.ts';
import { readOrigin } from '../../http/uri.ts';
import type { Reason } from '../../rejection/rejection.ts';
import { Rejection } from '../../rejection/rejection.ts';
import type { CertificateEvidence, RequestFacts } from '../../request-facts.ts';
import { readConfirmation } from '../../token/confirmation.ts';
import type { Issuer } from '../../token/issuer.ts';

/** What a decision is made of. */
interface Trial {
  readonly facts: RequestFacts;
  readonly route: Route;
  readonly ports: Ports;
}

/** Seconds that no clock is off by. */
const FOR_EVER = 1e10;
/** Faults that are looked for behind the first one. */
const MOST = 12;

type Demand = Route['demand'];

const demanding = (trial: Trial, changed: Partial<Demand>): Trial => ({
  ...trial,
  route: { ...trial.route, demand: { ...trial.route.demand, ...changed } },
});
const ruling = (trial: Trial, changed: Partial<Demand['dpop']>) =>
  demanding(trial, { dpop: { ...trial.route.demand.dpop, ...changed } });
const issuing = (trial: Trial, changed: (issuer: Issuer) => Partial<Issuer>) =>
  demanding(trial, { issuers: trial.route.demand.issuers.map((issuer) => ({ ...issuer, ...changed(issuer) })) });
const proofOf = ({ facts }: Trial) => readCompactJws(facts.dpop[0] ?? '')?.payload;
const tokenOf = ({ facts }: Trial) => readCompactJws(facts.authorization[0]?.split(' ')[1] ?? '')?.payload;
const textOf = (value: unknown) => (typeof value === 'string' ? value : '');

/**
 * For reasons behind which others can be found: the same request with the demand, or with the part of the request, that makes this fault
 * none. undefined: nothing more can be said.
 */
const REPAIRS: { readonly [R in Reason]?: (trial: Trial) => Trial | undefined } = {
  credentials_in_query: (trial) => ({ ...trial, facts: { ...trial.facts, query: undefined } }),
  scheme_not_accepted: (trial) => demanding(trial, { requirement: 'token' }),
  proof_repeated: (trial) => ({ ...trial, facts: { ...trial.facts, dpop: trial.facts.dpop.slice(0, 1) } }),
  token_type_refused: (trial) => issuing(trial, () => ({ requireTyp: false, accessToken: 'any' })),
  token_expired: (trial) => issuing(trial, () => ({ clockTolerance: FOR_EVER })),
  token_not_yet_valid: (trial) => issuing(trial, () => ({ clockTolerance: FOR_EVER })),
  token_audience_mismatch: (trial) => {
    const aud = tokenOf(trial)?.['aud'];
    const audience = (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string');
    if (audience.length === 0) return undefined;
    return demanding(
      issuing(trial, () => ({ audience })),
      { audience: undefined },
    );
  },
  binding_required: (trial) =>
    trial.route.demand.requirement === 'token' ? undefined : demanding(trial, { requirement: 'token' }),
  binding_downgraded: (trial) => ({
    ...trial,
    facts: { ...trial.facts, authorization: [`DPoP ${trial.facts.authorization[0]?.split(' ')[1] ?? ''}`] },
  }),
  certificate_missing: withItsCertificate,
  certificate_untrusted: withItsCertificate,
  certificate_mismatch: withItsCertificate,
  proof_method_mismatch: (trial) => ({ ...trial, facts: { ...trial.facts, method: textOf(proofOf(trial)?.['htm']) } }),
  proof_uri_mismatch: withItsUri,
  // Of on-skew it is the clock that a nonce would have made good.
  nonce_required: (trial) =>
    ruling(trial, {
      nonce: 'none',
      ...(trial.route.demand.dpop.nonce === 'on-skew' && { maxAge: FOR_EVER, clockTolerance: FOR_EVER }),
    }),
  nonce_stale: (trial) => ({ ...trial, ports: { ...trial.ports, nonces: ANY_NONCE } }),
  proof_stale: (trial) => ruling(trial, { maxAge: FOR_EVER }),
  proof_from_future: (trial) => ruling(trial, { clockTolerance: FOR_EVER }),
  authentication_insufficient: (trial) => demanding(trial, { acr: [], maxAuthAge: undefined }),
  scope_insufficient: (trial) => demanding(trial, { scope: undefined }),
  claim_mismatch: (trial) => demanding(trial, { claims: [] }),
};

/** Takes every nonce for one of ours, that was minted as late as a nonce can be. */
const ANY_NONCE: Ports['nonces'] = {
  mint: () => '',
  read: (_nonce, now) => ({ mintedAt: now, expiresAt: now + FOR_EVER }),
};

/** As if it had been shown: its thumbprint is in the token. */
function withItsCertificate(trial: Trial): Trial | undefined {
  const confirmation = readConfirmation(tokenOf(trial) ?? {});
  const thumbprint = confirmation instanceof Rejection ? undefined : confirmation.x5tS256;
  if (thumbprint === undefined) return undefined;
  const facts: CertificateEvidence['facts'] = {
    der: undefined,
    thumbprint,
    chain: [],
    subject: '',
    issuer: '',
    uris: [],
    dnsNames: [],
    notBefore: Number.NEGATIVE_INFINITY,
    notAfter: Number.POSITIVE_INFINITY,
  };
  return { ...trial, facts: { ...trial.facts, certificate: { facts, verify: 'possession', trusted: false } } };
}

function withItsUri(trial: Trial): Trial | undefined {
  const [, root = '', path = '/'] = /^([a-z]+:\/\/[^/?#]+)([^?#]*)/i.exec(textOf(proofOf(trial)?.['htu'])) ?? [];
  const origin = readOrigin(root);
  if (origin === undefined) return undefined;
  return { ...trial, facts: { ...trial.facts, origin: { ...origin, pathPrefix: '' }, path: path === '' ? '/' : path } };
}

/**
 * Every further reason, in the order in which the gateway would come to them. Each is a decision of `enforce` about the same request with
 * what failed before taken for good; where that cannot be imagined, as of a signature, the list ends.
 */
export async function findAlsoWrong(trial: Trial, first: Rejection): Promise<readonly Rejection[]> {
  const found: Rejection[] = [];
  let [at, refused]: [Trial, Rejection] = [trial, first];
  while (found.length < MOST) {
    const next = REPAIRS[refused.reason]?.(at);
    if (next === undefined) break;
    const decision = await enforce(next.facts, next.route, next.ports);
    if (!(decision instanceof Rejection) || decision.stage === 'replay') break;
    if ([first, ...found].some(({ reason }) => reason === decision.reason)) break;
    found.push(decision);
    [at, refused] = [next, decision];
  }
  return found;
}
