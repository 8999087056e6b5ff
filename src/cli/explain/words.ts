// The words of explanations: values, times, kinds of tokens.

import { describeMark } from '../../config/report/describe.ts';
import type { JsonObject } from '../../jose/jws.ts';
import type { Issuer } from '../../token/issuer.ts';
import { KIND_CLAIMS } from '../../token/token-kind.ts';

/** JSON.stringify refuses integers beyond 2^53, and says null of numbers that have no exact value. */
const digitsOf = (_name: string, value: unknown) => {
  if (typeof value === 'bigint') return String(value);
  return Number.isNaN(value) ? 'a number without exact value' : value;
};

/** A value of a claim or parameter, at most 120 characters. */
export function shorten(value: unknown): string {
  if (value === undefined) return 'absent';
  const text = typeof value === 'string' ? value : JSON.stringify(value, digitsOf);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/** Seconds since the epoch as a date, where they are one. */
export const moment = (value: unknown) =>
  typeof value === 'number' && Math.abs(value) < 8e12 ? new Date(value * 1000).toISOString() : shorten(value);

/** What has to say that a token of this issuer is an access token. */
export function kindExpected({ requireTyp, accessToken, introspection }: Issuer, opaque: boolean): string {
  const mark = opaque ? introspection?.accessToken : accessToken;
  const usual = opaque ? 'token_type Bearer or DPoP, or an aud of ours' : 'nothing that ID tokens have';
  const typ = requireTyp ? 'typ at+jwt' : 'typ at+jwt, JWT or absent';
  return [...(opaque ? [] : [typ]), mark === undefined ? usual : describeMark(mark)].join('; ');
}

/** What the claims say of it. */
export function kindSaid(claims: JsonObject = {}): string {
  const said = KIND_CLAIMS.filter((claim) => claims[claim] !== undefined);
  return said.map((claim) => `${claim} ${shorten(claims[claim])}`).join(', ') || 'no claim says more';
}
