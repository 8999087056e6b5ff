// The outcome of a forwarded request.

import type { TunnelFacts } from '../observe/log.ts';
import type { Rejection } from '../rejection/rejection.ts';

/** How a forwarded request ended. `bytes` of the answer's body were passed on. */
export type Outcome =
  | { readonly kind: 'forwarded'; readonly status: number; readonly bytes: number }
  /** The upstream answered 101; `bytes` went through the tunnel to the client. */
  | { readonly kind: 'tunnelled'; readonly status: 101; readonly bytes: number; readonly tunnel: TunnelFacts }
  /** Nothing was answered yet: the caller answers. */
  | { readonly kind: 'rejected'; readonly rejection: Rejection }
  /** The answer had begun, and what the client still sent was refused: both sides were broken off. */
  | { readonly kind: 'cut_off'; readonly status: number; readonly bytes: number; readonly rejection: Rejection }
  /** The client closed its connection, or stopped reading. */
  | { readonly kind: 'client_gone'; readonly bytes: number }
  /** The answer broke off after it had begun; the client's stream was broken too. `code` of Node or undici, for the log. */
  | { readonly kind: 'upstream_broke'; readonly status: number; readonly bytes: number; readonly code: string };
