// The metrics of calls to issuers: questions about tokens, and exchanges of tokens.

import type { IntrospectionEvent } from '../issuer/introspection.ts';
import type { TokenExchangeEvent } from '../issuer/token-exchange.ts';
import { addCounter, addHistogram, type Definition, DURATION_BUCKETS, type MetricRegistry } from './instruments.ts';

export const ISSUER_CALL_METRICS = {
  introspections: {
    name: 'holdfast_introspections_total',
    help: 'Questions to the issuer about a token (RFC 7662), by result: active, inactive, failed, or refused: not asked, because too many waited.',
    labels: ['issuer', 'result'],
  },
  introspectionDuration: {
    name: 'holdfast_introspection_duration_seconds',
    help: 'Of calls to the issuer about a token.',
    labels: ['issuer'],
  },
  introspectionCacheHits: {
    name: 'holdfast_introspection_cache_hits_total',
    help: 'Tokens about which an answer of the issuer was still remembered.',
    labels: ['issuer'],
  },
  tokenExchanges: {
    name: 'holdfast_token_exchanges_total',
    help: 'Tokens to be exchanged by the issuer (RFC 8693), by result: issued, refused, failed, or queue_full: not asked, because too many waited.',
    labels: ['issuer', 'result'],
  },
  tokenExchangeDuration: {
    name: 'holdfast_token_exchange_duration_seconds',
    help: 'Of calls to the issuer that exchange a token.',
    labels: ['issuer'],
  },
  tokenExchangeCacheHits: {
    name: 'holdfast_token_exchange_cache_hits_total',
    help: 'Tokens whose exchange was still remembered.',
    labels: ['issuer'],
  },
} as const;

/** What a worker counts of its calls to issuers. */
export interface IssuerCallCounts {
  countIntrospection(event: IntrospectionEvent): void;
  countTokenExchange(event: TokenExchangeEvent): void;
}

export function createIssuerCallCounts(registry: MetricRegistry): IssuerCallCounts {
  const { introspections, introspectionDuration, introspectionCacheHits } = ISSUER_CALL_METRICS;
  const { tokenExchanges, tokenExchangeDuration, tokenExchangeCacheHits } = ISSUER_CALL_METRICS;
  return {
    countIntrospection: countCalls(registry, [introspections, introspectionDuration, introspectionCacheHits]),
    countTokenExchange: countCalls(registry, [tokenExchanges, tokenExchangeDuration, tokenExchangeCacheHits]),
  };
}

/** @param definitions of calls by result, of how long they took, and of those that were not needed */
function countCalls(
  registry: MetricRegistry,
  [calls, duration, hits]: readonly [Definition, Definition, Definition],
): (event: IntrospectionEvent | TokenExchangeEvent) => void {
  const counted = addCounter(registry, calls);
  const took = addHistogram(registry, duration, DURATION_BUCKETS);
  const saved = addCounter(registry, hits);
  return (event) => {
    const { issuer, result } = event;
    if (result === 'cached') return saved.inc({ issuer });
    counted.inc({ issuer, result });
    if ('seconds' in event) took.observe(issuer, event.seconds);
  };
}
