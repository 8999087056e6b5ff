// A row of the table of reasons: stage, statuses, challenge and words.

import { GRPC_STATUS, type GrpcStatus, type HttpStatus } from './grpc-status.ts';

/** The stages of the path, in the order in which a request meets them. */
export const STAGES = [
  'edge',
  'route',
  'presentation',
  'token',
  'binding',
  'certificate',
  'proof',
  'signature',
  'policy',
  'replay',
  'exchange',
  'upstream',
] as const;
export type Stage = (typeof STAGES)[number];

/** `error` of a challenge: RFC 6750 §3.1, RFC 9449 §7.1 and §9, RFC 9470 §3. */
export type ChallengeError =
  | 'invalid_request'
  | 'invalid_token'
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'
  | 'insufficient_scope'
  | 'insufficient_user_authentication';

export interface ReasonRow {
  readonly stage: Stage;
  readonly status: HttpStatus;
  /** What a gRPC client is told instead of `status`. */
  readonly grpcStatus: GrpcStatus;
  /** `false`: no challenge at all. `none`: challenges without `error` (RFC 6750 §3, last paragraph). */
  readonly error: ChallengeError | 'none' | false;
  /** Title of the problem document and `error_description`; ASCII without `"` and `\` (RFC 6750 §3). */
  readonly title: string;
  /** What the client does next; no key of the configuration, which is none of its business. */
  readonly remedy: string;
  /** What the operator does where it is not the client's to mend. */
  readonly operator?: string;
  /** Words for causes that need other ones, by `differs` of the facts, or else by `what`. */
  readonly causes?: Readonly<Record<string, Wording>>;
}

/** What is said about a refusal: to both, and to the operator alone. */
export type Wording = Pick<ReasonRow, 'title' | 'remedy' | 'operator'>;

type Words = readonly [title: string, remedy: string, operator?: string];

/** One reason; what it says of gRPC follows from its status. */
export const row = (stage: Stage, status: HttpStatus, error: ReasonRow['error'], ...words: Words): ReasonRow => ({
  stage,
  status,
  grpcStatus: GRPC_STATUS[status],
  error,
  ...wording(words),
});

const wording = ([title, remedy, operator]: Words): Wording =>
  operator === undefined ? { title, remedy } : { title, remedy, operator };

/** @param causes words by `differs` or `what` of the facts */
export const byCause = (reason: ReasonRow, causes: Readonly<Record<string, Words>>): ReasonRow => ({
  ...reason,
  causes: Object.fromEntries(Object.entries(causes).map(([cause, words]) => [cause, wording(words)])),
});
