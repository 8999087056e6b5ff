// An authorization server whose tokens count, as the policy describes it.

/** An authorization server whose tokens count. */
export interface Issuer {
  readonly name: string;
  readonly issuer: string;
  /** One of these must be in `aud`. */
  readonly audience: readonly string[];
  readonly keys:
    | { readonly from: 'discovery'; readonly uri: string | undefined }
    | { readonly from: 'jwks_uri'; readonly uri: string }
    | { readonly from: 'jwks_file'; readonly file: string };
  /** PEM text of extra CAs for fetching keys. */
  readonly ca: string | undefined;
  readonly insecureHttp: boolean;
  readonly algorithms: readonly string[];
  readonly requireTyp: boolean;
  readonly scopeClaim: readonly string[];
  /** Seconds. */
  readonly clockTolerance: number;
  readonly requiredForReady: boolean;
}
