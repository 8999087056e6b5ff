// DPoP.

export interface DpopRules {
  readonly nonce: 'none' | 'required' | 'on-skew';
  /** Seconds. */
  readonly maxAge: number;
  /** Seconds. */
  readonly clockTolerance: number;
  readonly algorithms: readonly string[];
}
