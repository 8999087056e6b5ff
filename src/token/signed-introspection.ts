// Signed answers to introspection (RFC 9701 §5).

import { Rejection } from '../rejection/rejection.ts';
import { readCompactJws } from '../jose/jws.ts';
import { checkTimes } from './access-claims.ts';
import type { Issuer } from './issuer.ts';
import { type KeySource, verifyIssuerSignature } from './issuer-signature.ts';
import { type Introspection, readAnswer } from './opaque-token.ts';

const TYPE = /^(?:application\/)?token-introspection\+jwt$/i;
/** Seconds after `iat` for which a signed answer is one to the question that was just asked. */
const FRESH = 60;

export interface SignedAnswerTerms {
  readonly issuer: Issuer;
  /** As which the gateway asks. */
  readonly clientId: string;
  readonly keys: KeySource;
  /** Seconds since the epoch. */
  readonly now: number;
}

/**
 * Reads a signed answer. Its signature is one of the issuer's, by an algorithm of the issuer's list; `typ` is
 * token-introspection+jwt, `iss` the issuer, `aud` has the client identifier of the gateway or an audience of the issuer, and
 * `iat` is at most a minute ago.
 * @returns what the issuer says about the token; otherwise `problem`, in words fit for logs
 * NOT checked: what it says about an active token (`checkIntrospected`). Encrypted answers are not read.
 */
export async function readSignedIntrospection(
  text: string,
  { issuer, clientId, keys, now }: SignedAnswerTerms,
): Promise<{ readonly says: Exclude<Introspection, 'unavailable' | 'busy'> } | { readonly problem: string }> {
  const jws = readCompactJws(text);
  if (jws === undefined) return { problem: 'the answer is not a signed JWT (RFC 9701); encrypted ones are not read' };
  const { header, payload } = jws;
  if (typeof header.typ !== 'string' || !TYPE.test(header.typ))
    return { problem: 'typ is not token-introspection+jwt' };
  if (payload.iss !== issuer.issuer) return { problem: `iss is not ${issuer.issuer}` };
  const signed = await verifyIssuerSignature(jws, issuer, keys, now);
  if (signed instanceof Rejection) return { problem: `the signature does not count: ${signed.reason}` };
  const { aud, iat, exp = Number.POSITIVE_INFINITY, token_introspection: answer } = payload;
  const receivers: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (![clientId, ...issuer.audience].some((one) => receivers.includes(one))) {
    return { problem: `aud is neither ${clientId} nor an audience of the issuer` };
  }
  const { clockTolerance } = issuer;
  const fresh = typeof iat === 'number' && iat <= now + clockTolerance && iat + FRESH + clockTolerance >= now;
  if (!fresh || checkTimes({ ...payload, exp }, clockTolerance, now) !== undefined) {
    return { problem: `iat is not within ${FRESH} s before the question, or the answer is not valid now` };
  }
  const says = readAnswer(answer);
  return says === 'malformed' ? { problem: 'token_introspection does not say whether the token is active' } : { says };
}
