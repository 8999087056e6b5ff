// The contract of all dialects: how another proxy asks for a decision, and its answer.

import type { Answer } from '../../rejection/answer.ts';
import type { Rejection } from '../../rejection/rejection.ts';
import type { ReceivedRequest, Transaction } from '../transaction/transaction.ts';

/** The request that the front got from its client, as the front describes it. */
export interface DescribedRequest extends ReceivedRequest {
  /** By which origin the client called the front; `forwarding` where the dialect, not the policy, says which fields have its address. */
  readonly stated: NonNullable<ReceivedRequest['stated']>;
}

/** What a permitted request means for the front. All fields are names and values in turn. */
export interface Permitted {
  /** For the upstream: every one replaces all of the client's lines; empty where there is no value. */
  readonly set: readonly string[];
  /** Names, in lower case, that must not reach the upstream from the client, whatever the request: the same array each time. */
  readonly removeAlways: readonly string[];
  /** The others, which depend on the request; asked only by dialects that can say them. */
  readonly remove: () => readonly string[];
  /** For both: the request id. */
  readonly both: readonly string[];
  /** For the client, in place of the upstream's: nonce, rate limit, CORS. `Vary` is added to the upstream's; it is there where the route has `cors`. */
  readonly answer: readonly string[];
}

export interface Dialect {
  /**
   * What the front says of its client's request. Nothing is guessed: each part comes in exactly one field line.
   * Rejections: `request_malformed`.
   * NOT checked: who the front is, and everything about the request (facts.ts).
   */
  describe(question: Transaction): DescribedRequest | Rejection | Promise<DescribedRequest | Rejection>;
  /** Answers what asks for no decision, from whomever it comes; false: it asks for one. */
  answerItself?(question: Transaction): Promise<boolean>;
  /** Lets the request pass. */
  permit(question: Transaction, permitted: Permitted): void;
  /** Stops it with this answer, which never has a status that lets it pass. */
  refuse(question: Transaction, answer: Answer): void;
}
