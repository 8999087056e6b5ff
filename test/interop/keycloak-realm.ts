// A realm of Keycloak for the interop tests: clients whose tokens are unbound, bound to a key, or bound to a certificate, and the gateway's.

import type { JWK } from 'jose';
import { AUDIENCE } from '../support/tokens.ts';

export const REALM = 'holdfast';
export const SECRET = 'a secret of the interop tests';

const client = (clientId: string, attributes: Readonly<Record<string, string>> = {}, more: object = {}) => ({
  clientId,
  enabled: true,
  protocol: 'openid-connect',
  clientAuthenticatorType: 'client-secret',
  secret: SECRET,
  serviceAccountsEnabled: true,
  standardFlowEnabled: false,
  fullScopeAllowed: false,
  attributes,
  defaultClientScopes: ['basic', 'orders:read', 'orders-api'],
  ...more,
});

const mapper = (name: string, protocolMapper: string, config: Readonly<Record<string, string>>) => ({
  name,
  protocol: 'openid-connect',
  protocolMapper,
  config: { 'access.token.claim': 'true', 'introspection.token.claim': 'true', ...config },
});

/** What `kc.sh start-dev --import-realm` reads. @param gateway the public key of its client assertions */
export function realm(gateway: JWK): object {
  const scope = (name: string, shown: boolean, protocolMappers: readonly object[] = []) => ({
    name,
    protocol: 'openid-connect',
    attributes: { 'include.in.token.scope': String(shown) },
    protocolMappers,
  });
  return {
    realm: REALM,
    enabled: true,
    sslRequired: 'none',
    accessTokenLifespan: 300,
    clientScopes: [
      scope('basic', false, [mapper('sub', 'oidc-sub-mapper', {})]),
      scope('orders:read', true),
      // The audience of the API: without it Keycloak puts none into the tokens of these clients.
      scope('orders-api', false, [
        mapper('audience', 'oidc-audience-mapper', { 'included.custom.audience': AUDIENCE }),
      ]),
    ],
    clients: [
      client('bearer'),
      client('dpop', { 'dpop.bound.access.tokens': 'true' }),
      client('mtls', { 'tls.client.certificate.bound.access.tokens': 'true' }),
      client('gateway'),
      client(
        'gateway-by-key',
        {
          'token.endpoint.auth.signing.alg': 'ES256',
          'use.jwks.string': 'true',
          'jwks.string': JSON.stringify({ keys: [{ ...gateway, use: 'sig' }] }),
        },
        { clientAuthenticatorType: 'client-jwt' },
      ),
      client(
        'gateway-by-certificate',
        { 'x509.subjectdn': 'CN=gateway.internal', 'x509.allow.regex.pattern.comparison': 'false' },
        { clientAuthenticatorType: 'client-x509' },
      ),
    ],
  };
}
