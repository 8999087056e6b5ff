// An authorization server whose tokens count, as the policy describes it.

import type { AccessTokenMark } from './token-kind.ts';

/** An authorization server whose tokens count. */
export interface Issuer {
  readonly name: string;
  readonly issuer: string;
  /** One of these must be in `aud`, or in the claim that takes its place. */
  readonly audience: readonly string[];
  readonly keys:
    | { readonly from: 'discovery'; readonly uri: string | undefined }
    | { readonly from: 'jwks_uri'; readonly uri: string }
    /** `content`: what the configuration holds itself; else it is in the file. */
    | { readonly from: 'jwks_file'; readonly file: string; readonly content?: Uint8Array };
  /** PEM text of extra CAs for fetching keys. */
  readonly ca: string | undefined;
  readonly insecureHttp: boolean;
  readonly algorithms: readonly string[];
  readonly requireTyp: boolean;
  /** What marks an access token among the issuer's JWTs; undefined: it must not look like an ID token. */
  readonly accessToken: AccessTokenMark | undefined;
  /** The claim that counts where there is no `aud`; `aud`: none, every token needs it. */
  readonly audienceClaim: string;
  readonly scopeClaim: readonly string[];
  /** Seconds. */
  readonly clockTolerance: number;
  readonly requiredForReady: boolean;
  /** undefined: opaque tokens are refused. */
  readonly introspection: IntrospectionRules | undefined;
  /** undefined: no route exchanges its tokens. */
  readonly tokenExchange: TokenExchangeRules | undefined;
}

/** How the gateway calls an endpoint of the issuer, as a client that authenticates itself. */
export interface ClientRules {
  /** undefined: from discovery. */
  readonly endpoint: string | undefined;
  readonly clientId: string;
  readonly credentials: ClientCredentials;
}

/** How tokens of the issuer are exchanged (RFC 8693). */
export interface TokenExchangeRules extends ClientRules {
  /** Seconds for which an issued token is used at most. */
  readonly cache: number;
}

/** How the issuer is asked about tokens (RFC 7662). */
export interface IntrospectionRules extends ClientRules {
  /** What marks an access token in an answer; undefined: `token_type` or an audience of ours says that it is one. */
  readonly accessToken: AccessTokenMark | undefined;
  /** Answers are JWTs signed by the issuer (RFC 9701), and nothing else is taken. */
  readonly signed: boolean;
  /** JWTs too, once they are verified. */
  readonly always: boolean;
  /** Seconds for which an answer about an active token counts. */
  readonly cache: number;
}

/** With what the gateway authenticates itself to the issuer; keys and certificates are PEM texts. */
export type ClientCredentials =
  | { readonly method: 'client_secret_basic'; readonly secret: string }
  | {
      readonly method: 'private_key_jwt';
      readonly key: string;
      readonly alg: string;
      readonly kid: string | undefined;
    }
  | { readonly method: 'tls_client_auth'; readonly cert: string; readonly key: string };
