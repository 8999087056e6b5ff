// The compiled policy: plain frozen data that the decision and the edge read.

import type { RouteMatch } from './match.ts';
import type { OwnAnswer } from './own-answer.ts';
import type { RedisPolicy } from './redis.ts';
import type { TracingRules } from './tracing.ts';
import type { SigningKey } from '../jose/signing-key.ts';
import type { Requirement } from '../binding/binding.ts';
import type { CertificateFormat } from '../certificate/formats.ts';
import type { XfccElement } from '../certificate/xfcc.ts';
import type { DpopRules } from '../proof/dpop-proof.ts';
import type { SignatureRules } from '../signature/message-signature.ts';
import type { ChallengeTerms } from '../rejection/challenge.ts';
import type { ClaimRule } from '../token/claims.ts';
import type { Encoding, IdentityRule } from '../token/identity.ts';
import type { TokenExchangeTerms } from '../token/exchanged-token.ts';
import type { Issuer } from '../token/issuer.ts';
import type { RateLimit } from '../rate/limit.ts';
import type { Origin } from '../http/origin.ts';
import type { FieldEdits, PathRewrite } from './edits.ts';
import type { ScopeRule } from '../token/scope.ts';
import type { Mirror, Upstream, UpstreamShare } from './upstream.ts';

/** What a route demands of a sender; `shadow` has one of its own. */
export interface Demand {
  readonly requirement: Requirement;
  readonly issuers: readonly Issuer[];
  /** Narrows the issuers' audiences; undefined: theirs alone count. */
  readonly audience: readonly string[] | undefined;
  readonly dpop: DpopRules;
  /** Of the message signature that every request needs; undefined: it needs none. */
  readonly signature?: SignatureRules | undefined;
  readonly scope: ScopeRule | undefined;
  readonly claims: readonly ClaimRule[];
  readonly acr: readonly string[];
  /** Seconds; undefined: any age. */
  readonly maxAuthAge: number | undefined;
}

export interface CertificateFieldRule {
  readonly format: 'rfc9440' | 'xfcc' | 'pem-escaped';
  /** Field name; for rfc9440 the leaf's (the chain goes in `Client-Cert-Chain`). */
  readonly field: string;
}

export interface ForwardRules {
  readonly host: 'preserve' | 'upstream';
  readonly authorization: 'remove' | 'as-received' | 'bearer' | 'exchange';
  /** For whom a token is asked for in exchange; undefined: none is. */
  readonly exchange: TokenExchangeTerms | undefined;
  readonly identity: readonly IdentityRule[];
  readonly encoding: Encoding;
  /** Lower-cased names, beside the managed ones, that never pass. */
  readonly remove: readonly string[];
  readonly clientCertificate: readonly CertificateFieldRule[];
  /** A signed statement about each request; undefined: none. */
  readonly assertion: AssertionRules | undefined;
}

/** What the gateway signs about a request (edge/fields/assertion.ts). */
export interface AssertionRules {
  readonly field: string;
  /** The first signs. */
  readonly keys: readonly SigningKey[];
  readonly issuer: string;
  readonly audience: string;
  /** Seconds. */
  readonly lifetime: number;
  /** Names of claims of the access token. */
  readonly claims: readonly string[];
}

export interface CorsRules {
  /** Serialised origins; exact. */
  readonly origins: readonly string[];
  readonly expose: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
  readonly credentials: boolean;
}

/** Seconds; `total` undefined: no limit. */
export interface Timeouts {
  readonly connect: number;
  readonly responseHeader: number;
  readonly idle: number;
  readonly total: number | undefined;
}

export interface Route {
  readonly name: string;
  readonly match: RouteMatch;
  /** All requests go there; NO_UPSTREAM where `split` says it, or the proxy in front forwards. */
  readonly upstream: Upstream;
  /** What answers in place of an upstream, to what is permitted; absent: requests are forwarded. */
  readonly own?: OwnAnswer;
  /** Upstreams among which requests are divided by weight; absent: `upstream` takes all. */
  readonly split?: readonly UpstreamShare[];
  /** Upstreams that get copies of its requests. */
  readonly mirrors?: readonly Mirror[];
  readonly demand: Demand;
  /** Evaluated beside the real demand, never enforced. */
  readonly shadow: Demand | undefined;
  /** Of the fields that sign its requests: lower-cased names by what imitations have in common with them. Absent: none has to. */
  readonly signed?: ReadonlyMap<string, readonly string[]>;
  readonly challenge: ChallengeTerms;
  readonly encodedSlash: boolean;
  /** Of the path for the upstream, after every check; absent: as received. */
  readonly path?: PathRewrite;
  /** Authority in `Host`, in place of what `forward.host` says. */
  readonly host?: string;
  /** When a request is sent again after an answer; absent: never. */
  readonly retries?: { readonly codes: readonly number[]; readonly attempts: number; readonly backoff: number };
  /** Of what passes to the upstream, and from it to the client. */
  readonly requestFields?: FieldEdits;
  readonly responseFields?: FieldEdits;
  readonly forward: ForwardRules;
  readonly cors: CorsRules | undefined;
  readonly rateLimit: RateLimit | undefined;
  /** In place of the listener's. */
  readonly limits: Partial<RequestLimits>;
  readonly timeouts: Timeouts;
  /** Part of which protected resource it is; undefined: of none that says so. */
  readonly resource: ResourceRules | undefined;
}

/** What a route says about the resource that it is part of. */
export interface ResourceRules {
  /** RFC 9728 §1.2. */
  readonly identifier: string;
  /** undefined: the scopes that its routes demand. */
  readonly scopesSupported: readonly string[] | undefined;
  /** Parameters of the document that the operator writes as they are. */
  readonly written: Readonly<Record<string, string>>;
  /** `iss` of the signed copy in its document; undefined: this route asks for none. */
  readonly signedBy: string | undefined;
}

/** Routes with the same host and path. The most specific group takes a request whatever its method, unless the listener has `fall_through`. */
export interface RouteGroup {
  readonly routes: readonly Route[];
  readonly byMethod: ReadonlyMap<string, Route>;
  /** The route that names no methods. */
  readonly anyMethod: Route | undefined;
  /** In the order in which they are tried; undefined: none asks for fields or parameters, and the method alone decides. */
  readonly ordered: readonly Route[] | undefined;
  /** Of the fields that its routes ask for: lower-cased names by what imitations have in common with them. Absent: for none. */
  readonly asked?: ReadonlyMap<string, readonly string[]> | undefined;
  /** Value of `Allow`. */
  readonly allow: string;
  /** The higher the more specific its host, then the longer its path, and exact above a final `/*` (path-tree.ts). */
  readonly rank: number;
}

/** Paths as a tree of segments. */
export interface PathNode {
  readonly literals: ReadonlyMap<string, PathNode>;
  /** What an inner `*` leads to. */
  readonly anySegment: PathNode | undefined;
  readonly exact: RouteGroup | undefined;
  /** The group of a final `/*`. */
  readonly below: RouteGroup | undefined;
}

/** The routes of one listener; `wildcard` is keyed by what follows `*.`, `subdomains` by what follows `**.`. */
export interface HostTables {
  readonly exact: ReadonlyMap<string, PathNode>;
  readonly wildcard: ReadonlyMap<string, PathNode>;
  readonly subdomains: ReadonlyMap<string, PathNode>;
  readonly every: PathNode | undefined;
  /** A group of which no route fits is left for the next one of the same host. */
  readonly fallThrough: boolean;
}

/** By name of the listener (route-table.ts). */
export type RouteTable = ReadonlyMap<string, HostTables>;

export interface CertificateFiles {
  /** PEM texts. */
  readonly cert: string;
  readonly key: string;
  /** Where the certificate came from, for messages and the expiry metric. */
  readonly certFile: string;
  /** Names of SNI in small letters, with `*.` for one label and `**.` for more; absent: those in the certificate. */
  readonly names?: readonly string[];
}

/** What one request may cost. */
export interface RequestLimits {
  /** Bytes; infinite for `none`. */
  readonly requestBody: number;
  /** Bytes per second that a client has to send of a body whose length it announced, and to take of an answer; 0: any. */
  readonly uploadRate: number;
  readonly downloadRate: number;
  /** Seconds of silence before they count. */
  readonly rateGrace: number;
}

export interface ListenerLimits extends RequestLimits {
  /** Bytes. */
  readonly headerSize: number;
  readonly urlLength: number;
  readonly connections: number;
  readonly streamsPerConnection: number;
  /** Seconds. */
  readonly headerTimeout: number;
  readonly idleTimeout: number;
}

export interface ClientCertificatePolicy {
  readonly request: 'none' | 'optional' | 'required';
  readonly verify: 'chain' | 'possession';
  /** PEM texts. */
  readonly ca: string | undefined;
  readonly crl: string | undefined;
}

/** Whose forwarding fields are believed; both conditions where both are given. */
export interface TrustedPeer {
  readonly cidr: string | undefined;
  readonly certificateSan: string | undefined;
  readonly forwarding?: Forwarding | undefined;
}

/** The fields in which a trusted peer writes who called it; undefined: one of the two, or both if they say the same. */
export type Forwarding = 'x-forwarded' | 'forwarded';

/** Where a trusted peer that terminated TLS put the client's certificate. */
export interface CertificateSource {
  readonly format: CertificateFormat;
  /** Field name, lower-cased. */
  readonly field: string;
  /** Of format xfcc; absent: the only one. */
  readonly element?: XfccElement;
}

export interface ListenerTls {
  readonly certificates: readonly CertificateFiles[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Which suites are offered; absent: intermediate. */
  readonly profile?: TlsProfile;
  /** Patterns of hosts that have separate connections, by SNI (C0.5); in lower case. */
  readonly sniHosts?: ReadonlySet<string>;
}

export type TlsProfile = 'modern' | 'intermediate' | 'fapi';

export type Bind = { readonly host: string; readonly port: number } | { readonly path: string };

export interface Listener {
  readonly name: string;
  readonly bind: Bind;
  readonly origins: readonly ListenerOrigin[];
  readonly tls: ListenerTls | undefined;
  readonly http2: boolean;
  readonly clientCertificate: ClientCertificatePolicy;
  readonly trustedPeers: readonly TrustedPeer[];
  readonly clientCertificateFrom: CertificateSource | undefined;
  /** Every connection begins with a PROXY header. */
  readonly proxyProtocol: boolean;
  /** Name of the field by which clients name a request; absent: none. */
  readonly interactionId?: string;
  readonly explainToClients: boolean;
  /** A group of routes of which none fits is left for a less specific path; absent: it is final. */
  readonly fallThrough?: boolean;
  /** Answers another proxy about requests that it describes; undefined: forwards. */
  readonly decides: DecideRules | undefined;
  readonly limits: ListenerLimits;
}

/** How the proxy in front asks. */
export interface DecideRules {
  readonly dialect: 'forwarded' | 'envoy-http' | 'envoy-grpc';
  /** In front of the path of the request, without a slash at its end; '': none. */
  readonly pathPrefix: string;
}

/** An origin as configured; with `wildcard` its authority has stars (http/host-pattern.ts): `*.example.com`, `**.example.com:8443`, `*`, `*:*`. */
export interface ListenerOrigin extends Origin {
  readonly wildcard: boolean;
}

export interface LogRules {
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** 0 to 1. */
  readonly sampleSuccesses: number;
  /** How lines name the client of the token; absent: not at all. */
  readonly client?: 'id' | 'hash' | undefined;
  /** Of the hash; absent: random per process. */
  readonly clientKey?: Uint8Array | undefined;
}

/** Everything that one configuration means; frozen. */
export interface Policy {
  /** Short hash of the configuration's text and values: names this gateway in `Via`, so that a loop is seen. */
  readonly id: string;
  /** Serving threads. */
  readonly workers: number;
  readonly listeners: readonly Listener[];
  readonly admin: Bind;
  readonly telemetry: {
    readonly bind: Bind;
    /** By which it is called, besides its addresses; in lower case. */
    readonly hosts: readonly string[];
  };
  readonly log: LogRules;
  /** URL of the page about reasons; absent: there is none. */
  readonly problemBase?: string;
  /** undefined: no traces. */
  readonly tracing: TracingRules | undefined;
  /** Seconds. */
  readonly drain: { readonly delay: number; readonly grace: number };
  readonly issuers: readonly Issuer[];
  /** Names of those without whose keys the gateway is not ready. */
  readonly awaitedIssuers: ReadonlySet<string>;
  readonly replay: {
    readonly capacity: number;
    /**
     * Seconds after `iat`, the longest `max_age` and tolerance of any route: a proof can fit two routes, on two listeners of one
     * origin, and what one accepted the other must not.
     */
    readonly retention: number;
    /** undefined: each process has a memory of its own. */
    readonly redis: RedisPolicy | undefined;
  };
  readonly nonce: {
    /** The first mints, all verify; empty: random per process. */
    readonly secrets: readonly Uint8Array[];
    /** Seconds. */
    readonly lifetime: number;
  };
  readonly upstreams: readonly Upstream[];
  readonly routes: readonly Route[];
  readonly routeTable: RouteTable;
  /** Routes whose upstream's DPoP-Nonce is removed although nobody here verifies their requests. */
  readonly withoutUpstreamNonce: ReadonlySet<Route>;
  /** Documents of RFC 9728 as JSON text, by their URIs. */
  readonly resourceMetadata: ReadonlyMap<string, string>;
  /** Fields that only the gateway may set, over all routes. */
  readonly managedFields: ManagedFields;
}

/** `managed`: remove it. `forbidden`: refuse the request (`field_forbidden`). `free`: not our business. */
export type FieldStanding = 'managed' | 'forbidden' | 'free';

/** Names that are removed from every request, and how their imitations are recognised (C6.1 to C6.3). */
export interface ManagedFields {
  /** Lower-cased names; `x-forwarded-*` is in here as a rule of its own, not by name. */
  readonly names: ReadonlySet<string>;
  /** Lower-cased names of fields that pass as they are, and of which there must be no imitations. */
  readonly guarded: ReadonlySet<string>;
  /** Both with everything but letters and digits taken out. */
  readonly squeezed: ReadonlySet<string>;
  /** Of the field with the request id, as configured; undefined: there is none. */
  readonly requestId: string | undefined;
  /** Answers given before, as spelled; bounded, and the one part of a policy that grows. */
  readonly standings: Map<string, FieldStanding>;
}
