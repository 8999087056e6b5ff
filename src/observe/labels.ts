// Closed sets of words: the labels of metrics, and the same words in the log.

import type { Scheme } from '../rejection/challenge.ts';
import type { Reason } from '../rejection/rejection.ts';

/**
 * How a request ended. `answered`: by the gateway itself, without a refusal (CORS preflights, OPTIONS *, routes with respond or redirect). `challenged`: asked for a
 * proof with a nonce, which is no error yet. `stopped`: cut off by the gateway in the middle, when the time to stop was over.
 */
export const OUTCOMES = [
  'forwarded',
  'permitted',
  'rejected',
  'challenged',
  'upstream_failed',
  'answered',
  'client_gone',
  'stopped',
] as const;
export type OutcomeLabel = (typeof OUTCOMES)[number];

/** `none`: nothing was presented; `other`: a scheme that we do not take. */
export type SchemeLabel = Scheme | 'other' | 'none';
export type Mode = 'enforced' | 'shadow';

/** Class of a status; `none`: the client was gone before there was one. */
export const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'] as const;
export type StatusLabel = (typeof STATUS_CLASSES)[number];

/** @param status from 100 to 599; everything else is `none` */
export function statusLabel(status: number | undefined): StatusLabel {
  return (status === undefined ? undefined : STATUS_CLASSES[Math.floor(status / 100) - 1]) ?? 'none';
}

/** Why a connection was closed: a new one at `limits.connections` or without descriptors, or an open one for others (decision 94). */
export const CONNECTION_REFUSALS = ['limit', 'descriptors', 'share', 'handshakes'] as const;
export type ConnectionRefusal = (typeof CONNECTION_REFUSALS)[number];

/** What came of a preflight: `origin`, `method` and `no_cors` are refusals, by the key of the route that does not fit. */
export const PREFLIGHT_RESULTS = ['allowed', 'origin', 'method', 'no_cors'] as const;
export type PreflightResult = (typeof PREFLIGHT_RESULTS)[number];

/** Stages whose time is measured. */
export const TIMED_STAGES = ['token', 'certificate', 'proof', 'signature', 'policy', 'replay'] as const;
export type TimedStage = (typeof TIMED_STAGES)[number];

/** By whether an offset of a clock was accepted, for itself or because a nonce took its place. */
export type ClockResult = 'accepted' | 'refused';

/** Whether a refusal is a challenge that the client is to meet with a nonce (RFC 9449 §9). */
export function isNonceChallenge(reason: Reason): boolean {
  return reason === 'nonce_required' || reason === 'nonce_stale';
}
