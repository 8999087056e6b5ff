// Credentials of test clients: keys, access tokens and proofs.

import { randomUUID } from 'node:crypto';
import { CLIENT_CA, ISSUER_KEY, ORIGIN, type RequestWishes, type TestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { makeKey, makeProof, makeToken, type ProofOptions, type TestKey } from '../support/tokens.ts';

/** The key to which bound tokens are bound, and somebody else's. */
export const HOLDER = await makeKey();
export const THIEF = await makeKey();

/** The certificate to which bound tokens are bound, and another client's of the same CA. */
export const CLIENT = await makeCertificate({
  names: ['client.example.net', 'spiffe://example.net/client'],
  subject: 'CN=MARK Client, O="Example; Hash=0, Inc."',
  ca: CLIENT_CA,
});
export const OTHER_CLIENT = await makeCertificate({ names: ['other.example.net'], ca: CLIENT_CA });

type Claims = Readonly<Record<string, unknown>>;

export const TO_KEY = { cnf: { jkt: HOLDER.jkt } };
export const TO_CERTIFICATE = { cnf: { 'x5t#S256': CLIENT.thumbprint } };
export const TO_BOTH = { cnf: { jkt: HOLDER.jkt, 'x5t#S256': CLIENT.thumbprint } };

/** Stands in everything that must never be seen outside: marks.test.ts looks for it. */
export const MARK = 'MARK';
export const SUBJECT = `${MARK}-alice`;
const MARKED = { sub: SUBJECT, client_id: `${MARK}-shop`, jti: `${MARK}-jti`, email: `${MARK}@example.net` };

/** An access token of the one issuer, unbound unless its claims say otherwise. */
export function issue({ now }: TestGateway, claims: Claims = {}, header: Claims = {}): Promise<string> {
  return makeToken(ISSUER_KEY, now(), { claims: { ...MARKED, ...claims }, header });
}

export interface ProofWishes extends Omit<ProofOptions, 'url' | 'token' | 'method'> {
  readonly key?: TestKey;
}

/** A proof of the holder for one request. */
export function prove(
  { now }: TestGateway,
  token: string,
  method: string,
  path: string,
  { key = HOLDER, claims, ...wishes }: ProofWishes = {},
): Promise<string> {
  const marked = { jti: `${MARK}-${randomUUID()}`, ...claims };
  return makeProof(key, now(), { method, url: `${ORIGIN}${path.split('?')[0]}`, token, claims: marked, ...wishes });
}

export interface DpopWishes extends RequestWishes {
  /** Of the access token, beside its binding to the holder's key. */
  readonly claims?: Claims;
  /** Changes to the proof. */
  readonly proving?: ProofWishes;
}

/** A DPoP request that is good but for what is wished. */
export async function dpop(gateway: TestGateway, method: string, path: string, wishes: DpopWishes = {}) {
  const { claims, proving, ...others } = wishes;
  const token = others.token ?? (await issue(gateway, { ...TO_KEY, ...claims }));
  const proof = await prove(gateway, token, method, path, proving);
  return gateway.request(method, path, { token, proof, ...others });
}
