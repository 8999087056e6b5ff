// The answer to a refusal: status, fields and a problem document (RFC 9457).

import type { Field } from '../http/field.ts';
import { type ChallengeTerms, challenges, type Scheme } from './challenge.ts';
import { quotaFields } from '../rate/quota.ts';
import { type Reason, REASONS, type Rejection } from './rejection.ts';

/** An answer of ours, ready to be written. */
export interface Answer {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: string;
}

/** What the answer to a refusal depends on besides the refusal. */
export interface AnswerTerms {
  readonly requestId: string;
  /** undefined: refused before a route was found. */
  readonly challenge: ChallengeTerms | undefined;
  readonly presented: Scheme | 'other' | 'none';
  readonly realm: string;
  /** For challenges with error `use_dpop_nonce`. */
  readonly nonce: () => string;
  /** Whether the body says what was expected and received (`explain_to_clients`). */
  readonly explain: boolean;
}

/** What follows a message that can be read in two ways is not read (RFC 9112 §11.2). */
const CLOSING: ReadonlySet<Reason> = new Set(['draining', 'request_malformed']);

/**
 * Makes the answer to a refusal. Nothing of the request is repeated in it but, with `explain`, the path part of `htu`
 * and the clock offset. The body is the same text for every client: what to do next is in `detail`.
 */
export function rejectionAnswer(rejection: Rejection, terms: AnswerTerms): Answer {
  const { status, title, remedy, error } = REASONS[rejection.reason];
  const { retryAfter, quota, allow, htuPath, clockOffset } = rejection.facts;
  const fields: Field[] = [
    ['Content-Type', 'application/problem+json'],
    ['Cache-Control', 'no-store'],
  ];
  const challenged = terms.challenge ? challenges(rejection, terms.challenge, terms.presented, terms.realm) : [];
  for (const value of challenged) fields.push(['WWW-Authenticate', value]);
  if (error === 'use_dpop_nonce') fields.push(['DPoP-Nonce', terms.nonce()]);
  if (retryAfter !== undefined) fields.push(['Retry-After', String(Math.ceil(retryAfter))]);
  if (quota !== undefined) fields.push(...quotaFields(quota));
  if (allow !== undefined) fields.push(['Allow', allow]);
  if (CLOSING.has(rejection.reason)) fields.push(['Connection', 'close']);
  const body = {
    type: `urn:holdfast:rejection:${rejection.reason}`,
    title,
    status,
    detail: remedy,
    reason: rejection.reason,
    request_id: terms.requestId,
    ...(terms.explain && htuPath ? { htu: htuPath } : {}),
    ...(terms.explain && clockOffset !== undefined ? { clock_offset: clockOffset } : {}),
  };
  return { status, fields, body: `${JSON.stringify(body)}\n` };
}
