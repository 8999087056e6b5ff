// The answer to a refusal: status, fields and a problem document (RFC 9457), or gRPC.

import type { Field } from '../http/field.ts';
import { type GrpcCall, grpcMessage } from '../http/grpc.ts';
import { type ChallengeTerms, challenges, type Scheme } from './challenge.ts';
import { toldFacts } from './facts.ts';
import { quotaFields } from '../rate/quota.ts';
import { grpcCodeOf, type Reason, REASONS, type Rejection, wordingOf } from './rejection.ts';

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
  /** URL of the page about reasons (`problem_base`); undefined: there is none. */
  readonly problemBase?: string | undefined;
  /** Whether X-Holdfast-Reason says the reason: to a proxy in front, which may pass on nothing else. */
  readonly reasonField?: boolean;
  /** The request is a gRPC call; undefined: it is any other. */
  readonly grpc?: GrpcCall | undefined;
}

/** What follows a message that can be read in two ways is not read (RFC 9112 §11.2). */
const CLOSING: ReadonlySet<Reason> = new Set(['draining', 'request_malformed']);

/**
 * Makes the answer to a refusal: what was wrong, and with `explain` what was expected and received (facts.ts). Of the request nothing is
 * repeated in a field. What to do next is in `detail`, the same text for every client.
 * To a gRPC call it is 200 with fields alone, grpc-status by the table of reasons: gRPC clients drop the fields of any other status,
 * challenges and nonces too (decision 72).
 */
export function rejectionAnswer(rejection: Rejection, terms: AnswerTerms): Answer {
  return terms.grpc ? grpcAnswer(rejection, terms, terms.grpc) : problemAnswer(rejection, terms);
}

function problemAnswer(rejection: Rejection, terms: AnswerTerms): Answer {
  const { status } = rejection;
  const { title, remedy } = wordingOf(rejection);
  const body = {
    type: pageOf(rejection, terms) ?? `urn:holdfast:rejection:${rejection.reason}`,
    title,
    status,
    detail: remedy,
    reason: rejection.reason,
    request_id: terms.requestId,
    ...toldFacts(rejection.facts, terms.explain),
  };
  const fields: Field[] = [
    ['Content-Type', 'application/problem+json'],
    ['X-Content-Type-Options', 'nosniff'],
    ...commonFields(rejection, terms),
  ];
  return { status, fields, body: `${JSON.stringify(body)}\n` };
}

/** Trailers only (PROTOCOL-HTTP2.md): everything is in the fields, so that every client finds it among the metadata of the status. */
function grpcAnswer(rejection: Rejection, terms: AnswerTerms, { contentType }: GrpcCall): Answer {
  const { title, remedy } = wordingOf(rejection);
  const facts = Object.entries(toldFacts(rejection.facts, terms.explain))
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}: ${JSON.stringify(value)}.`);
  const message = `${title}. ${remedy}${facts.join('')} (${rejection.reason}, request_id ${terms.requestId})`;
  const fields: Field[] = [
    ['Content-Type', contentType],
    ['grpc-status', String(grpcCodeOf(rejection))],
    ['grpc-message', grpcMessage(message)],
    ...commonFields(rejection, terms),
  ];
  return { status: 200, fields, body: '' };
}

/** Where the reason is explained. */
function pageOf({ reason }: Rejection, { problemBase }: AnswerTerms): string | undefined {
  return problemBase === undefined ? undefined : `${problemBase}#${reason}`;
}

function commonFields(rejection: Rejection, terms: AnswerTerms): Field[] {
  const { retryAfter, quota, allow, acceptSignature } = rejection.facts;
  const context = { ...terms, errorUri: pageOf(rejection, terms) };
  const challenged = terms.challenge ? challenges(rejection, terms.challenge, context) : [];
  const fields: Field[] = [
    ['Cache-Control', 'no-store'],
    ...challenged.map((value): Field => ['WWW-Authenticate', value]),
  ];
  if (REASONS[rejection.reason].error === 'use_dpop_nonce') fields.push(['DPoP-Nonce', terms.nonce()]);
  if (retryAfter !== undefined) fields.push(['Retry-After', String(Math.ceil(retryAfter))]);
  if (quota !== undefined) fields.push(...quotaFields(quota));
  if (allow !== undefined) fields.push(['Allow', allow]);
  if (acceptSignature !== undefined) fields.push(['Accept-Signature', acceptSignature]);
  if (rejection.reason === 'content_digest_invalid') fields.push(['Want-Content-Digest', 'sha-256=10, sha-512=10']);
  if (terms.reasonField) fields.push(['X-Holdfast-Reason', rejection.reason]);
  if (CLOSING.has(rejection.reason)) fields.push(['Connection', 'close']);
  return fields;
}
