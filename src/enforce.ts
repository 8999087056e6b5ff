// THE PATH: facts of a request and its route's demand → Permit or Rejection, step by step.

import { type Obligation, oblige } from './binding/binding.ts';
import { Permit } from './binding/permit.ts';
import { checkCertificate, checkThumbprint } from './certificate/evidence.ts';
import type { SeenCertificates } from './certificate/seen-certificates.ts';
import type { Demand, Route } from './policy/policy.ts';
import {
  type ProofKeyCache,
  type ProofTerms,
  type ShorterMemory,
  type VerifiedProof,
  verifyProof,
} from './proof/dpop-proof.ts';
import type { Nonces } from './proof/nonce.ts';
import { targetUri } from './http/uri.ts';
import type { Quota } from './rate/quota.ts';
import { Rejection, reject } from './rejection/rejection.ts';
import type { Counted, RateLimiter } from './rate/limiter.ts';
import type { Coverage, ReplayStore } from './proof/replay-store.ts';
import { sha256 } from './jose/thumbprint.ts';
import type { KeySource } from './token/issuer-signature.ts';
import { type TokenCache, type VerifiedToken, verifyAccessToken } from './token/access-token.ts';
import type { Introspect } from './token/opaque-token.ts';
import { checkAuthentication, checkClaims } from './token/claims.ts';
import { readConfirmation } from './token/confirmation.ts';
import { readIdentity } from './token/identity.ts';
import type { Issuer } from './token/issuer.ts';
import { NO_PROOF, type Presentation, readPresentation } from './token/presentation.ts';
import { clientKey, type RateLimit, rateKey, type Sender } from './rate/limit.ts';
import type { CertificateEvidence, RequestFacts } from './request-facts.ts';
import { rememberUse } from './signature/remember.ts';
import type { SignatureRules, SignatureTerms, VerifiedSignature } from './signature/message-signature.ts';
import { checkScope, readScopes } from './token/scope.ts';

/** What the decision needs beside facts and policy; everything with state or I/O comes in through here. */
export interface Ports {
  readonly keysOf: (issuer: Issuer) => KeySource;
  readonly tokens: TokenCache;
  readonly introspect: Introspect;
  readonly proofKeys: ProofKeyCache;
  readonly nonces: Nonces;
  readonly replay: ReplayStore;
  readonly rates: RateLimiter;
  /** The memory of this process, for proofs with a nonce that no other process takes; undefined: there are no such nonces. */
  readonly ownReplay?: ReplayStore;
  /** Seconds after its `iat` for which a proof must be remembered, where the replay store does not say: the longest of any route. */
  readonly rememberFor: number;
  /** Of policies before the last reload; where the replay store does not say. */
  readonly shorterMemories: readonly ShorterMemory[];
  /** For the log: tells a renewed certificate from another one. */
  readonly seenCertificates: SeenCertificates;
}

/** What is learned on the way of a decision, whatever comes of it: for the metrics. */
export interface Notes {
  /** Measures this request; undefined: it is not measured. */
  readonly watch?: Watch | undefined;
  /** Name of the issuer that vouches for the access token, once that is known. */
  issuer?: string;
}

export interface Watch {
  /** A stage is over, and good; it began when the one before it ended. */
  passed(stage: 'token' | 'certificate' | 'proof' | 'signature' | 'policy' | 'replay'): void;
  /** @param offset seconds by which the clock of a sender with a good signature is ahead */
  clock(offset: number, result: 'accepted' | 'refused'): void;
}

/** A request that met a demand; whether its proof or signature was used before is not known yet. */
interface Examined {
  readonly presentation: Presentation;
  readonly token: VerifiedToken;
  readonly obligation: Obligation;
  /** Members of `cnf` that nobody checks, beside one that was checked. */
  readonly unknownConfirmations: number;
  /** undefined: no proof was owed. */
  readonly proof: VerifiedProof | undefined;
  /** undefined: no message signature was owed. */
  readonly signature: VerifiedSignature | undefined;
  /** What the replay store said of itself when the proof was judged. */
  readonly judgedBy: Coverage;
}

export type Decision = Permit | Rejection;

/**
 * Decides about a request. Only a Permit opens the upstream. Where nothing is waited for there is no promise either.
 * @param notes is written into
 * NOT checked: anything of stages `edge` and `route`, which come before, except `certificate_field_malformed`.
 */
export function enforce(
  request: RequestFacts,
  route: Route,
  ports: Ports,
  notes: Notes = {},
): Decision | Promise<Decision> {
  const certificate = forwardableCertificate(request);
  const { requirement } = route.demand;
  return requirement === 'public'
    ? decidePublic(request, route, certificate, ports)
    : decideDemand(request, route, ports, { certificate, notes });
}

/** Steps 1 to 12, of a route that demands anything. */
async function decideDemand(
  request: RequestFacts,
  route: Route,
  ports: Ports,
  { certificate, notes }: { readonly certificate: CertificateEvidence | undefined; readonly notes: Notes },
): Promise<Decision> {
  // 1–8. What the sender presents, and whether it meets the demand.
  const examined = await examine(request, route.demand, ports, notes);
  if (examined instanceof Rejection) return examined;

  // 9. Who it is, in fields for the upstream.
  const identity = identify(examined, route, certificate);
  if (identity instanceof Rejection) return identity;

  // 10. The rate of the route counts what would pass: no challenge, and nothing that was refused.
  const { claims } = examined.token;
  const thumbprint = thumbprintOf(examined.obligation);
  const sender = { issuer: examined.token.issuer.issuer, claims, thumbprint, address: request.clientAddress };
  const counted = countRequest(request, route, sender, ports.rates);
  const quota = counted instanceof Promise ? await counted : counted;
  if (quota instanceof Rejection) return quota;
  const { watch } = notes;
  watch?.passed('policy');

  // 11. Last of all: the proof or signature is remembered, in one atomic call, and only now that everything else is good.
  const remembering = rememberUse({ ...examined, certificate: examined.obligation.certificate }, request.now, ports);
  const replayed = remembering && (await remembering);
  if (replayed !== undefined) {
    // Or whoever has seen one request could use up its sender's rate by sending it again.
    if (route.rateLimit !== undefined)
      ports.rates.giveBack(route.rateLimit, rateKey(route.rateLimit.key, sender), request.now);
    return replayed;
  }

  // 12. The way is open.
  const { presentation, obligation, proof, signature, unknownConfirmations } = examined;
  if (proof !== undefined || signature !== undefined) watch?.passed('replay');
  return Permit.grant({
    route: route.name,
    scheme: presentation.scheme,
    binding: obligation.binding,
    accessToken: presentation.accessToken,
    issuer: examined.token.issuer,
    identity,
    certificate,
    freshNonce: proof?.nonceAges ? ports.nonces.mint(request.now) : undefined,
    nonceUsed: proof !== undefined && proof.nonce !== 'none',
    expiresAt: expiryOf(examined.token),
    quota,
    client: clientKey(sender),
    claims,
    confirmed: { jkt: obligation.proofBy, 'x5t#S256': obligation.certificate },
    digests: signature?.digests,
    unknownConfirmations,
  });
}

/**
 * Evaluates a demand without consequences (`shadow`): nothing is remembered, no nonce is minted, no answer changes.
 * @returns the Rejection that the demand would have caused
 */
export async function shadow(request: RequestFacts, demand: Demand, ports: Ports): Promise<Rejection | undefined> {
  const examined = await examine(request, demand, ports);
  return examined instanceof Rejection ? examined : undefined;
}

/** Steps 1 to 8; they change nothing but caches of what was verified. */
async function examine(
  request: RequestFacts,
  demand: Demand,
  ports: Ports,
  notes: Notes = {},
): Promise<Examined | Rejection> {
  // 0. A route that demands anything may come to owe the certificate, of which nothing is known here (C5.10).
  const { certificate, now } = request;
  if (certificate === 'malformed') return reject('certificate_field_malformed', { what: 'client certificate' });

  // 1. Presentation: scheme, access token and proof as sent (RFC 6750 §2, RFC 9449 §7.1).
  const presentation = readPresentation(request);
  if (presentation instanceof Rejection) return presentation;

  // 2. The access token (RFC 9068 §4, RFC 8725; RFC 7662).
  const { issuers, audience } = demand;
  const verified = verifyAccessToken(presentation.accessToken, {
    issuers,
    audience,
    now,
    keysOf: ports.keysOf,
    cache: ports.tokens,
    introspect: ports.introspect,
    client: request.clientAddress,
  });
  const token = verified instanceof Promise ? await verified : verified;
  if (token instanceof Rejection) return token;
  const { watch } = notes;
  notes.issuer = token.issuer.name;
  watch?.passed('token');

  // 3. Its confirmation (RFC 7800 §3.1).
  const confirmation = readConfirmation(token.claims);
  if (confirmation instanceof Rejection) return confirmation;

  // 4. What this sender must show.
  const obligation = oblige(demand.requirement, presentation.scheme, confirmation);
  if (obligation instanceof Rejection) return obligation;

  // 5. The certificate (RFC 8705 §3).
  const unshown = checkCertificateEvidence(certificate, now, obligation.certificate, ports.seenCertificates);
  if (unshown !== undefined) return unshown;
  if (obligation.certificate !== undefined) watch?.passed('certificate');

  // 6. The proof (RFC 9449 §4.3).
  const judgedBy = ports.replay.coverage;
  const onClock = watch && ((offset: number, result: 'accepted' | 'refused') => watch.clock(offset, result));
  const proof = checkProof(request, { presentation, token, obligation }, { rules: demand.dpop, onClock }, ports);
  if (proof instanceof Rejection) return proof;
  if (proof !== undefined) watch?.passed('proof');

  // 7. The message signature (RFC 9421 §3.2).
  const shown = { proof, certificate: obligation.certificate === undefined ? undefined : certificate?.facts };
  const signature = demand.signature && (await checkSignature(request, demand.signature, shown, ports));
  if (signature instanceof Rejection) return signature;
  if (signature !== undefined) watch?.passed('signature');

  // 8. Strength of authentication (RFC 9470), scope (RFC 6750 §3.1), claims.
  const { claims, issuer } = token;
  const unmet =
    checkAuthentication(demand, claims, issuer.clockTolerance, now) ??
    checkScope(demand.scope, readScopes(claims, issuer.scopeClaim)) ??
    checkClaims(demand.claims, claims);
  if (unmet !== undefined) return unmet;

  const unknownConfirmations = confirmation.unknownMembers;
  return { presentation, token, obligation, proof, signature, judgedBy, unknownConfirmations };
}

function checkCertificateEvidence(
  certificate: CertificateEvidence | undefined,
  now: number,
  thumbprint: string | undefined,
  seen: SeenCertificates,
): Rejection | undefined {
  if (thumbprint === undefined) return undefined;
  if (certificate === undefined) return reject('certificate_missing', { what: 'client certificate' });
  return checkCertificate(certificate, now) ?? checkThumbprint(certificate, thumbprint, seen);
}

function checkProof(
  request: RequestFacts,
  { presentation, token, obligation }: Pick<Examined, 'presentation' | 'token' | 'obligation'>,
  { rules, onClock }: Pick<ProofTerms, 'rules' | 'onClock'>,
  ports: Ports,
): VerifiedProof | Rejection | undefined {
  const { proofBy: jkt } = obligation;
  if (jkt === undefined) return undefined;
  if (presentation.proof === undefined) return reject('proof_missing', NO_PROOF);
  const { since, noncesSince, retention = ports } = ports.replay.coverage;
  return verifyProof(presentation.proof, {
    method: request.method,
    targetUri: targetUri(request.origin, request.path),
    ath: token.ath ?? sha256(presentation.accessToken),
    jkt,
    rules,
    now: request.now,
    rememberedSince: since,
    noncesSince,
    rememberFor: retention.rememberFor,
    shorterMemories: retention.shorterMemories,
    nonces: ports.nonces,
    keys: ports.proofKeys,
    onClock,
  });
}

/**
 * The room is loaded with the first signature that is owed, and its library with it.
 * @param shown evidence to which the token is bound
 */
async function checkSignature(
  request: RequestFacts,
  rules: SignatureRules,
  shown: Pick<SignatureTerms, 'proof' | 'certificate'>,
  { replay, ...ports }: Ports,
): Promise<VerifiedSignature | Rejection> {
  const { verifyMessageSignature } = await import('./signature/message-signature.ts');
  const { since: rememberedSince, retention = ports } = replay.coverage;
  const { rememberFor, shorterMemories } = retention;
  const { now } = request;
  return verifyMessageSignature(request, { ...shown, rules, now, rememberedSince, rememberFor, shorterMemories });
}

/** Only a certificate that passed the listener's `verify` goes to an upstream, on any route. */
function forwardableCertificate(request: RequestFacts): CertificateEvidence | undefined {
  const { certificate, now } = request;
  if (certificate === undefined || certificate === 'malformed') return undefined;
  return checkCertificate(certificate, now) === undefined ? certificate : undefined;
}

function identify({ token, obligation }: Examined, route: Route, certificate: CertificateEvidence | undefined) {
  const { identity, encoding } = route.forward;
  return readIdentity(identity, encoding, {
    claims: token.claims,
    scopeClaims: token.issuer.scopeClaim,
    facts: {
      binding: obligation.binding,
      thumbprint: thumbprintOf(obligation),
      issuer: token.issuer.issuer,
      expires: expiryOf(token)?.toString(),
      certificate_subject: subjectOf(certificate),
    },
  });
}

/** Of the key or certificate that was shown; undefined: the token is bound to none. */
function thumbprintOf({ proofBy, certificate }: Obligation): string | undefined {
  return proofBy ?? certificate;
}

/** @returns what is left, undefined without a limit; Rejection: rate_limited, rate_store_unavailable */
function countRequest(
  { now }: RequestFacts,
  { rateLimit }: Route,
  sender: Sender,
  rates: RateLimiter,
): Quota | Rejection | undefined | Promise<Quota | Rejection> {
  if (rateLimit === undefined) return undefined;
  const counted = rates.take(rateLimit, rateKey(rateLimit.key, sender), now);
  return counted instanceof Promise
    ? counted.then((later) => quotaLeft(rateLimit, later))
    : quotaLeft(rateLimit, counted);
}

function quotaLeft({ name: what }: RateLimit, counted: Counted): Quota | Rejection {
  if (counted === 'unavailable') return reject('rate_store_unavailable', { what });
  const { quota, retryAfter } = counted;
  return retryAfter === undefined ? quota : reject('rate_limited', { what, retryAfter, quota });
}

/** Seconds since the epoch; undefined: an issuer that was asked did not say. */
function expiryOf({ claims }: VerifiedToken): number | undefined {
  return claims.exp === undefined ? undefined : Number(claims.exp);
}

/** Under `possession` the names in a certificate are the sender's own words (RFC 8705 §6.2). */
function subjectOf(certificate: CertificateEvidence | undefined): string | undefined {
  return certificate?.verify === 'chain' ? certificate.facts.subject : undefined;
}

/** Anybody may call a public route, as often as its rate lets an address. */
function decidePublic(
  request: RequestFacts,
  route: Route,
  certificate: CertificateEvidence | undefined,
  { rates }: Ports,
): Decision | Promise<Decision> {
  const sender = { issuer: undefined, claims: undefined, thumbprint: undefined, address: request.clientAddress };
  const counted = countRequest(request, route, sender, rates);
  const decide = (quota: Quota | Rejection | undefined) =>
    quota instanceof Rejection ? quota : permitPublic(route, certificate, sender, quota);
  return counted instanceof Promise ? counted.then(decide) : decide(counted);
}

function permitPublic(
  route: Route,
  certificate: CertificateEvidence | undefined,
  sender: Sender,
  quota: Quota | undefined,
): Permit {
  return Permit.grant({
    route: route.name,
    scheme: 'none',
    binding: 'none',
    accessToken: undefined,
    issuer: undefined,
    identity: [],
    certificate,
    freshNonce: undefined,
    nonceUsed: false,
    expiresAt: undefined,
    quota,
    client: clientKey(sender),
    claims: undefined,
    confirmed: undefined,
    unknownConfirmations: 0,
  });
}
