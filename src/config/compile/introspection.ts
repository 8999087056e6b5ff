// Compilation of introspection: endpoint, client credentials and limits of an issuer.

import type { IntrospectionRules } from '../../token/issuer.ts';
import { compileAccessToken } from './access-token.ts';
import { compileClient } from './client.ts';
import type { Compilation } from './compilation.ts';
import type { Config } from '../schema/schema.ts';

type IssuerConfig = Config['issuers'][string];

/**
 * The rules of `introspection`; undefined where there are none, and after a problem with the credentials. Problems: those of
 * compileClient (RFC 7662 §4 wants https), and of the mark of access tokens.
 */
export function compileIntrospection(
  compilation: Compilation,
  name: string,
  { introspection, insecure_http: insecure }: IssuerConfig,
): IntrospectionRules | undefined {
  if (introspection === undefined) return undefined;
  const at = ['issuers', name, 'introspection'];
  const { signed, always, cache } = introspection;
  const client = compileClient(compilation, at, introspection, insecure);
  const accessToken = compileAccessToken(compilation, [...at, 'access_token'], introspection.access_token);
  return client && { ...client, accessToken, signed, always, cache };
}
