// The checks of a message signature (RFC 9421 §3.2) by the key that the token confirms.

import type { CertificateFacts } from '../request-facts.ts';
import { isForgotten, type ShorterMemory, type VerifiedProof } from '../proof/dpop-proof.ts';
import { type Difference, isMilliseconds, mismatch } from '../rejection/difference.ts';
import type { RejectionFacts } from '../rejection/facts.ts';
import { Rejection, reject } from '../rejection/rejection.ts';
import { sha256 } from '../jose/thumbprint.ts';
import type { ContentDigest } from '../http/body-digest.ts';
import { Components, isCovered, type SignableRequest, signatureBase } from './components.ts';
import {
  algorithmOf,
  type ConfirmedKey,
  confirmedKey,
  isNamedBy,
  type MessageAlgorithm,
  verifyMessage,
} from './confirmed-key.ts';
import { readContentDigest } from './content-digest.ts';
import { type PresentedSignature, readPresentedSignature } from './presented-signature.ts';

export interface SignatureRules {
  /** Names of fields, lower-cased, that have to be covered where a request has them. */
  readonly components: readonly string[];
  /** undefined: any. */
  readonly tag: string | undefined;
  /** Seconds. */
  readonly maxAge: number;
  /** Seconds. */
  readonly clockTolerance: number;
}

export interface SignatureTerms {
  readonly rules: SignatureRules;
  /**
   * The proof that came with it, which has to be covered and passes once; with a nonce of ours it says by itself how fresh the
   * request is. undefined: none is owed, and the signature itself has to pass once.
   */
  readonly proof: Pick<VerifiedProof, 'key' | 'jkt' | 'nonce'> | undefined;
  /** The certificate that was shown for the token; undefined: none is owed. */
  readonly certificate: CertificateFacts | undefined;
  /** Seconds since the epoch. */
  readonly now: number;
  /** As of proofs (proof/dpop-proof.ts). */
  readonly rememberedSince: number;
  readonly rememberFor: number;
  readonly shorterMemories: readonly ShorterMemory[];
}

export interface VerifiedSignature {
  /** What the body has to be; undefined: there is none, and no digest was signed. */
  readonly digests: readonly ContentDigest[] | undefined;
  /** Names this signature in the replay store, however it is spelled. */
  readonly id: string;
  /** Until when it would be accepted again; seconds since the epoch. */
  readonly rememberUntil: number;
}

/**
 * Verifies that the holder of the confirmed key signed this very request: method, target, Authorization, the proof if one is owed,
 * the digest of a body, that it asks for a WebSocket if it does, and what the rules name (C4a.3).
 * @returns Rejection of stage `signature`
 * NOT checked: whether it was used before, and whether the body is the one of the digest: both come later.
 */
export function verifyMessageSignature(request: SignableRequest, terms: SignatureTerms): VerifiedSignature | Rejection {
  const components = new Components(request);
  const required = requiredComponents(request, components, terms);
  const verified = verifyCovering(required, components, terms);
  return verified instanceof Rejection ? explained(verified, required, terms.rules) : verified;
}

/** Cheap checks before the signature, as with proofs. */
function verifyCovering(
  required: readonly string[],
  components: Components,
  terms: SignatureTerms,
): VerifiedSignature | Rejection {
  const presented = readPresentedSignature(components, terms.rules.tag);
  if (presented instanceof Rejection) return presented;
  const key = confirmedKey(terms.proof, terms.certificate);
  const algorithm = findAlgorithm(presented, key);
  if (algorithm instanceof Rejection) return algorithm;
  const unmet = checkCovered(presented, components, required) ?? checkFreshness(presented, terms);
  if (unmet !== undefined) return unmet;

  const isDigestCovered = presented.covered.includes('content-digest');
  const digests = isDigestCovered ? readContentDigest(components.field('content-digest') ?? '') : undefined;
  if (isDigestCovered && digests === undefined)
    return reject('content_digest_invalid', { what: 'Content-Digest', differs: 'form' });

  const base = signatureBase(presented.covered, presented.parameters, components);
  if (base === undefined || !verifyMessage(key, algorithm, base, presented.bytes))
    return reject('signature_invalid', { what: 'Signature', differs: 'value' });
  return { digests, id: `signature:${sha256(base)}`, rememberUntil: presented.created + terms.rememberFor };
}

/** For every request the same, whatever its signer chose; fields only where they are, for one that is absent cannot be covered (§2.5). */
function requiredComponents(
  { message }: SignableRequest,
  components: Components,
  { proof, rules }: SignatureTerms,
): readonly string[] {
  const hasBody = message.bodyLength !== undefined && message.bodyLength() !== 0;
  const isThere = (name: string) => components.field(name) !== undefined;
  return [
    '@method',
    '@target-uri',
    'authorization',
    ...(proof === undefined ? [] : ['dpop']),
    ...(hasBody || isThere('content-digest') ? ['content-digest'] : []),
    // Or a request that was signed would open a WebSocket to whoever adds the fields for one.
    ...(message.upgrade === undefined ? [] : ['upgrade']),
    ...rules.components.filter(isThere),
  ];
}

/** The key says which it is (§3.2 step 6); `alg` and `keyid`, where they are there, may say nothing else. */
function findAlgorithm({ alg, keyid }: PresentedSignature, key: ConfirmedKey): MessageAlgorithm | Rejection {
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) return reject('signature_key_unusable', { what: 'key', differs: 'type' });
  if (keyid !== undefined && !isNamedBy(key, keyid))
    return reject('signature_key_mismatch', mismatch('keyid', [key.thumbprint], keyid));
  if (alg === undefined || alg === algorithm.name) return algorithm;
  return reject('signature_algorithm_refused', mismatch('alg', [algorithm.name], alg));
}

function checkCovered(
  { covered }: PresentedSignature,
  components: Components,
  required: readonly string[],
): Rejection | undefined {
  if (covered.some((name) => components.value(name) === undefined))
    return reject('signature_component_refused', { what: 'component', differs: 'missing' });
  const missing = required.find((name) => !isCovered(covered, name));
  return missing === undefined
    ? undefined
    : reject('signature_component_missing', { what: missing, differs: 'missing' });
}

/** C4a.7, C4a.8. */
function checkFreshness({ created, expires }: PresentedSignature, terms: SignatureTerms): Rejection | undefined {
  const { now, rules, proof, rememberedSince } = terms;
  if (expires !== undefined && expires + rules.clockTolerance < now)
    return reject('signature_stale', { what: 'expires', differs: 'age', received: String(expires) });
  if (proof !== undefined && proof.nonce !== 'none') return undefined;
  const unknown = proof === undefined && created < rememberedSince;
  const stale = created < now - rules.maxAge || unknown || isForgotten(created, terms);
  if (stale) return reject('signature_stale', timeFacts(created, 'age', terms));
  const differs = isMilliseconds(created, now) ? 'milliseconds' : 'future';
  return created > now + rules.clockTolerance
    ? reject('signature_from_future', timeFacts(created, differs, terms))
    : undefined;
}

function timeFacts(created: number, differs: Difference, { now, rules }: SignatureTerms): RejectionFacts {
  const clockOffset = Math.round(Math.max(-1e9, Math.min(1e9, created - now)));
  const expected = `${Math.ceil(now - rules.maxAge)} to ${Math.floor(now + rules.clockTolerance)}`;
  return { what: 'created', differs, expected, received: String(created), clockOffset };
}

/** A signer that does not do what is asked learns what is (§5.1): names of the policy and of ours, nothing that was sent. */
function explained({ reason, facts }: Rejection, required: readonly string[], { tag }: SignatureRules): Rejection {
  const components = required.map((name) => `"${name}"`).join(' ');
  const acceptSignature = `sig=(${components});created${tag === undefined ? '' : `;tag="${tag}"`}`;
  return reject(reason, { ...facts, acceptSignature });
}
