// A gateway that asks a real authorization server about opaque tokens.

import type { OpaqueServer } from '../support/authorization-server.ts';
import type { GatewayWishes } from '../support/gateway.ts';
import { AUDIENCE } from '../support/tokens.ts';

export const ROUTES = `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop, scope: [orders:read] }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls }
- { name: narrow, match: { path: /narrow/* }, upstream: orders, require: token, audience: ["${AUDIENCE}/narrow"], weaker_than_defaults: [require] }
`;
export const LISTENER = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';
export const METHODS = {
  secret: 'client_id: "by:secret", client_secret_file: issuer.secret',
  key: 'client_id: "by:key", private_key_file: issuer.jwk',
  certificate: 'client_id: "by:certificate", cert: gateway.crt, key_file: gateway.key',
};

export function wishesFor(server: OpaqueServer, introspection: string, keys = 'discovery'): GatewayWishes {
  const { secret, key, certificate } = server.gateway;
  return {
    listener: LISTENER,
    routes: ROUTES,
    issuers: `login: { issuer: "${server.issuer}", audience: ["${AUDIENCE}"], ca_file: issuer-ca.pem, keys: ${keys}, introspection: { ${introspection} } }`,
    files: {
      'issuer-ca.pem': server.ca,
      'issuer.secret': `${secret}\n`,
      'issuer.jwk': key,
      'gateway.crt': certificate.chain,
      'gateway.key': certificate.key,
    },
  };
}

/** How often it was asked so far. */
export const questions = ({ seen }: OpaqueServer): number =>
  seen.filter((path) => path === '/token/introspection').length;
