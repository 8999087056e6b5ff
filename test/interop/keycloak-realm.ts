// A realm of Keycloak with unbound, key-bound and certificate-bound clients.

import type { JWK } from 'jose';
import { AUDIENCE } from '../support/tokens.ts';

export const REALM = 'holdfast';
/** The client that stands for the upstream. */
export const UPSTREAM = 'orders-service';
export const SECRET = 'a secret of the interop tests';
export const USER = { username: 'alice', password: 'a password of the interop tests' };
/** Where the browser application takes its codes; nothing is there. */
export const CALLBACK = 'https://app.example.com/callback';

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
      // What Keycloak did by itself up to version 24: the nonce of the login is in access tokens too.
      scope('nonce', false, [mapper('nonce', 'oidc-nonce-backwards-compatible-mapper', {})]),
      // The client is an API as well, and the audience of its own tokens.
      scope('self', false, [mapper('self', 'oidc-audience-mapper', { 'included.client.audience': 'self' })]),
      // Tokens of clients name the gateway that exchanges them, and those that it gets name the upstream.
      scope('for-exchanger', false, [
        mapper('exchanger', 'oidc-audience-mapper', { 'included.client.audience': 'exchanger' }),
      ]),
      scope('for-upstream', false, [
        mapper('upstream', 'oidc-audience-mapper', { 'included.client.audience': UPSTREAM }),
      ]),
    ],
    users: [
      {
        username: USER.username,
        enabled: true,
        emailVerified: true,
        email: 'alice@example.com',
        firstName: 'Alice',
        lastName: 'Example',
        credentials: [{ type: 'password', value: USER.password, temporary: false }],
      },
    ],
    clients: [
      client('bearer'),
      client('dpop', { 'dpop.bound.access.tokens': 'true' }),
      client('mtls', { 'tls.client.certificate.bound.access.tokens': 'true' }),
      // Without a scope to show.
      client('quiet', {}, { defaultClientScopes: ['basic', 'orders-api'] }),
      client('self', {}, { defaultClientScopes: ['basic', 'self'] }),
      client(
        'browser',
        {},
        {
          standardFlowEnabled: true,
          redirectUris: [CALLBACK],
          defaultClientScopes: ['basic', 'orders:read', 'orders-api', 'nonce'],
        },
      ),
      client('exchangeable', {}, { defaultClientScopes: ['basic', 'orders-api', 'for-exchanger'] }),
      client(
        'exchangeable-dpop',
        { 'dpop.bound.access.tokens': 'true' },
        { defaultClientScopes: ['basic', 'orders-api', 'for-exchanger'] },
      ),
      client(
        'exchanger',
        { 'standard.token.exchange.enabled': 'true' },
        { defaultClientScopes: ['basic', 'for-upstream'] },
      ),
      client(UPSTREAM),
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
