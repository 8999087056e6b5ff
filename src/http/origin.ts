// An origin by which clients call a listener.

/** One origin by which clients call a listener; all parts normalised (uri.ts). */
export interface Origin {
  readonly scheme: 'http' | 'https';
  /** Lower-cased host, IPv6 in brackets, default port dropped: `api.example.com`, `[2001:db8::1]:8443`. */
  readonly authority: string;
  /** Path that a proxy in front stripped and that clients see: '' or `/prefix`, normalised, no trailing slash. */
  readonly pathPrefix: string;
}
