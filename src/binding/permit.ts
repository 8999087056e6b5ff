// The Permit: the only key to the upstream, granted by enforce.ts, demanded by forward.

import type { ContentDigest } from '../http/body-digest.ts';
import type { JsonObject } from '../jose/jws.ts';
import type { Scheme } from '../rejection/challenge.ts';
import type { Issuer } from '../token/issuer.ts';
import type { Quota } from '../rate/quota.ts';
import type { CertificateEvidence } from '../request-facts.ts';

export type BindingName = 'dpop' | 'mtls' | 'dpop+mtls' | 'none';

export interface PermitFacts {
  /** Name of the route that was enforced. */
  readonly route: string;
  /** `none` on public routes. */
  readonly scheme: Scheme | 'none';
  readonly binding: BindingName;
  /** The access token that was verified; undefined on public routes. */
  readonly accessToken: string | undefined;
  /** Whose token it is; undefined on public routes. */
  readonly issuer: Issuer | undefined;
  /** Identity fields, name and value, ready to be sent. */
  readonly identity: readonly (readonly [string, string])[];
  /** The client's certificate, only if it passed the listener's `verify`. */
  readonly certificate: CertificateEvidence | undefined;
  /** For the DPoP-Nonce field of the answer: the nonce used is in its last half (RFC 9449 §8.2). */
  readonly freshNonce: string | undefined;
  /** The proof was fresh by its nonce: perhaps the answer to a challenge. */
  readonly nonceUsed: boolean;
  /** `exp` of the access token, seconds since the epoch: a tunnel ends with it; undefined on public routes, and where introspection did not say. */
  readonly expiresAt: number | undefined;
  /** What the rate limit of the route leaves the sender; undefined: there is none. */
  readonly quota: Quota | undefined;
  /** Who counts as one client (rate/limit.ts). */
  readonly client: string;
  /** Verified claims; undefined on public routes. */
  readonly claims: JsonObject | undefined;
  /** Thumbprints of the key and the certificate that were shown for the token; undefined: it is bound to neither. */
  readonly confirmed: { readonly jkt?: string | undefined; readonly 'x5t#S256'?: string | undefined } | undefined;
  /** What the body has to be, as its sender signed it; undefined: nobody said. */
  readonly digests?: readonly ContentDigest[] | undefined;
  /** Members of `cnf` that nobody checks, beside one that was checked: counted. */
  readonly unknownConfirmations: number;
}

/** Proof that a request was decided upon and may be forwarded. The constructor is private: see `grant`. */
export class Permit {
  /** Also makes the type nominal: an object that only looks like a permit does not compile. */
  readonly #facts: PermitFacts;
  private constructor(facts: PermitFacts) {
    this.#facts = facts;
  }
  get facts(): PermitFacts {
    return this.#facts;
  }
  /** Called by enforce.ts alone (a lint rule and a test keep it so). Checks nothing itself. */
  static grant(facts: PermitFacts): Permit {
    return new Permit(facts);
  }
}
