// The key that the token confirms, and its algorithm for messages (RFC 9421 §3.3).

import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { RSA_BITS } from '../jose/algorithms.ts';
import type { JsonObject } from '../jose/jws.ts';
import { jwkThumbprint } from '../jose/thumbprint.ts';
import type { VerifiedProof } from '../proof/dpop-proof.ts';
import type { CertificateFacts } from '../request-facts.ts';

export interface ConfirmedKey {
  /** undefined: there is none, as of an unbound token, or where the proxy in front told the hash of the certificate alone. */
  readonly key: KeyObject | undefined;
  /** As `cnf` has it: of the JWK, or of the certificate. */
  readonly thumbprint: string;
}

/** One algorithm of the registry (§6.2.2). */
export interface MessageAlgorithm {
  readonly name: string;
  /** null: the algorithm hashes by itself. */
  readonly hash: string | null;
  readonly options: { readonly dsaEncoding?: 'ieee-p1363'; readonly padding?: number; readonly saltLength?: number };
}

const ecdsa = (name: string, hash: string): MessageAlgorithm => ({
  name,
  hash,
  options: { dsaEncoding: 'ieee-p1363' },
});

/** One for each kind of key, so that nobody chooses; RSA with PKCS #1 v1.5 (§3.3.2) is not taken. */
const BY_CURVE: Readonly<Record<string, MessageAlgorithm>> = {
  prime256v1: ecdsa('ecdsa-p256-sha256', 'sha256'),
  secp384r1: ecdsa('ecdsa-p384-sha384', 'sha384'),
};
const ED25519: MessageAlgorithm = { name: 'ed25519', hash: null, options: {} };
const RSA_PSS: MessageAlgorithm = {
  name: 'rsa-pss-sha512',
  hash: 'sha512',
  options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 },
};

/** What was found out about keys; a certificate comes with every request of its connection. */
const algorithms = new WeakMap<KeyObject, MessageAlgorithm | 'none'>();
const certificateKeys = new WeakMap<CertificateFacts, ConfirmedKey>();

/** That of the proof, else that of the certificate, both of which were found to be the token's. */
export function confirmedKey(
  proof: Pick<VerifiedProof, 'key' | 'jkt'> | undefined,
  certificate: CertificateFacts | undefined,
): ConfirmedKey {
  if (proof !== undefined) return { key: proof.key, thumbprint: proof.jkt };
  return certificate === undefined ? { key: undefined, thumbprint: '' } : keyOfCertificate(certificate);
}

function keyOfCertificate(facts: CertificateFacts): ConfirmedKey {
  const known = certificateKeys.get(facts);
  if (known !== undefined) return known;
  const { der, thumbprint } = facts;
  const confirmed = { key: der && publicKeyOf(der), thumbprint };
  certificateKeys.set(facts, confirmed);
  return confirmed;
}

/** undefined: a kind of key that OpenSSL does not know, in a certificate that a proxy in front took. */
function publicKeyOf(der: Uint8Array): KeyObject | undefined {
  try {
    return new X509Certificate(der).publicKey;
  } catch {
    return undefined; // The caller names the reason.
  }
}

/** @returns undefined: a key of this kind or size verifies no messages here */
export function algorithmOf({ key }: ConfirmedKey): MessageAlgorithm | undefined {
  if (key === undefined) return undefined;
  const known = algorithms.get(key) ?? readAlgorithm(key) ?? 'none';
  algorithms.set(key, known);
  return known === 'none' ? undefined : known;
}

function readAlgorithm(key: KeyObject): MessageAlgorithm | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key;
  if (type === 'ec') return BY_CURVE[details.namedCurve ?? ''];
  if (type === 'ed25519') return ED25519;
  const { modulusLength = 0, publicExponent = 0n } = details;
  // As of proofs: a long exponent costs a hundred times as much to verify.
  const isUsable = modulusLength >= RSA_BITS && modulusLength <= 4096 && publicExponent < 2n ** 32n;
  return type === 'rsa' && isUsable ? RSA_PSS : undefined;
}

/** Whether `keyid` means the key: its thumbprint (RFC 7638), or that of its certificate. The key has an algorithm. */
export function isNamedBy({ key, thumbprint }: ConfirmedKey, keyid: string): boolean {
  return keyid === thumbprint || keyid === jwkThumbprint(key?.export({ format: 'jwk' }) as JsonObject);
}

/** Verifies over the bytes of a signature base (§3.2 step 7). */
export function verifyMessage(
  { key }: ConfirmedKey,
  { hash, options }: MessageAlgorithm,
  base: string,
  signature: Buffer,
): boolean {
  return key !== undefined && verify(hash, Buffer.from(base, 'latin1'), { key, ...options }, signature);
}
