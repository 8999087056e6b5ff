// One check as `explain` shows it: its reasons, and the texts that are made of a request.

import type { CompactJws } from '../../jose/jws.ts';
import type { Route } from '../../policy/policy.ts';
import type { Reason } from '../../rejection/rejection.ts';
import type { RequestFacts } from '../../request-facts.ts';

/** Of a token, whichever way they came. */
export type Claims = Pick<CompactJws, 'payload'>;

/** What the texts of checks are made of: nothing here is verified. */
export interface Shown {
  readonly facts: RequestFacts;
  readonly route: Route;
  readonly token: (Claims & Partial<CompactJws>) | undefined;
  readonly proof: CompactJws | undefined;
  readonly accessToken: string | undefined;
  /** The issuer is asked about the token, and its claims are in the answer. */
  readonly opaque: boolean;
  /** `cnf.jkt` and `cnf.x5t#S256` where they are owed. */
  readonly jkt: string | undefined;
  readonly x5tS256: string | undefined;
}

/** One check as `explain` tells of it. */
export interface Check {
  readonly reasons: readonly Reason[];
  readonly check: string;
  readonly rfc: string;
  readonly expected: (shown: Shown) => string;
  readonly received: (shown: Shown) => string;
  /** Absent: owed by everybody. */
  readonly owed?: (shown: Shown) => boolean;
}
