// The forwarding of one permitted request: its inputs, and who hears how it went.

import type { RequestFacts } from '../../request-facts.ts';
import type { OwnAnswerFields } from '../fields/answer-fields.ts';
import type { Peer } from '../fields/request-fields.ts';
import type { Correlation } from '../intake/correlation.ts';
import type { Outcome } from '../outcome.ts';
import type { Sending } from '../upstream/sending.ts';
import type { Transaction } from '../transaction/transaction.ts';
import type { RouteAtWork } from './route-at-work.ts';

/** One permitted request, and who is told how it went. */
export interface ForwardExchange {
  readonly transaction: Transaction;
  readonly facts: Pick<RequestFacts, 'method' | 'origin' | 'target' | 'path' | 'matchPath' | 'now'> & {
    readonly peer: Peer;
  };
  /** Got in exchange for the client's; undefined: the route exchanges none. */
  readonly upstreamToken: string | undefined;
  readonly route: RouteAtWork;
  readonly correlation: Correlation;
  /** For the client, with the answer of the upstream. */
  readonly own: OwnAnswerFields;
  readonly owner: ExchangeOwner;
}

export interface ExchangeOwner {
  /** Called when a tunnel opens. @returns seconds from now for which the permit is good */
  tunnelOpened(): number;
  /** Called exactly once, perhaps before `forward` returns. */
  settled(outcome: Outcome, sending: Pick<Sending, 'attempts' | 'upstream' | 'target' | 'count'> | undefined): void;
}
