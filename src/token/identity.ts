// Verified claims as identity fields for the upstream.

export type Encoding = 'strict' | 'base64url' | 'rfc8187';

export type IdentitySource =
  | { readonly claims: readonly string[] }
  | { readonly fact: 'binding' | 'thumbprint' | 'issuer' | 'expires' | 'certificate_subject' };

export interface IdentityRule {
  /** Field name as sent to the upstream. */
  readonly field: string;
  readonly source: IdentitySource;
}
