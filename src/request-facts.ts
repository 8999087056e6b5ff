// The facts of a request: plain data, all that the decision knows about it.

import type { Origin } from './http/origin.ts';

/** A client certificate, parsed once per connection (certificate/leaf.ts). */
export interface CertificateFacts {
  /** DER of the leaf; undefined: the proxy in front told its hash alone, and so nothing is known but the thumbprint. */
  readonly der: Uint8Array | undefined;
  /** base64url SHA-256 of the DER (RFC 8705 §3.1, `x5t#S256`). */
  readonly thumbprint: string;
  /** DER of the issuers that the validator used, leaf excluded, nearest first; empty unless `verify: chain` built it. */
  readonly chain: readonly Uint8Array[];
  /** Subject and issuer distinguished names on one line, for people and fields. */
  readonly subject: string;
  readonly issuer: string;
  /** Subject alternative names of type URI and DNS. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** Validity in seconds since the epoch: it ends with that of the first in `chain` to expire (RFC 5280 §6.1.3 (a)(2)). */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** How far a certificate can be relied upon, as the listener's `verify` decides it. */
export interface CertificateEvidence {
  readonly facts: CertificateFacts;
  /** `chain`: its names are vouched for by the CA (RFC 8705 §2.1). `possession`: only its key counts (§2.2). */
  readonly verify: 'chain' | 'possession';
  /** Under `chain`: whether path and CRL were good at the handshake; dates are checked on every request. */
  readonly trusted: boolean;
}

/** The message as received, of which signatures cover parts. */
export interface Message {
  /** Names and values of all field lines in turn. */
  readonly rawHeaders: readonly string[];
  /** Octets of body that it announces: 0 without one, undefined where it does not say how many. Absent: nobody knows of a body. */
  bodyLength?(): number | undefined;
  /** undefined: it asks for no other protocol behind it, such as that of WebSockets. */
  readonly upgrade?: object | undefined;
}

export interface RequestFacts {
  readonly listener: string;
  /** As received; methods are case-sensitive (RFC 9110 §9.1). */
  readonly method: string;
  /** The listener's origin that this request named. */
  readonly origin: Origin;
  /** Path and query exactly as received: what is forwarded. */
  readonly target: string;
  /** The path in RFC 3986 §6.2.2 form: what `htu` is compared with. */
  readonly path: string;
  /** The path with `;params` cut from each segment as well: what routes are matched with. */
  readonly matchPath: string;
  /** Whether the path has an encoded slash (%2F), which only routes with `encoded: [slash]` accept. */
  readonly encodedSlash: boolean;
  /** The raw query without `?`; undefined when there is none. */
  readonly query: string | undefined;
  /** One entry per Authorization field line. */
  readonly authorization: readonly string[];
  /** One entry per DPoP field line. */
  readonly dpop: readonly string[];
  readonly message: Message;
  /**
   * The client's certificate on this connection (or from a trusted peer), whether trusted or not; undefined: none was shown.
   * `malformed`: a trusted peer's field cannot be read, so that nothing is known.
   */
  readonly certificate: CertificateEvidence | 'malformed' | undefined;
  /** IP address of the client, as far as it is known; IPv4-mapped ones as IPv4. */
  readonly clientAddress: string | undefined;
  /** Arrival, seconds since the epoch (fractional). */
  readonly now: number;
}
