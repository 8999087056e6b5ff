// Envoy as a TLS proxy: without a filter, with jwt_authn, and with its cache of tokens.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { AUDIENCE, type Credentials, ISSUER } from './credentials.ts';
import { freePort } from '../test/support/programs.ts';
import { type Program, startProgram } from './peers.ts';

const TYPES = 'type.googleapis.com/envoy.extensions';

/** @param file the program @param checks `jwt`: every token is verified; `cached`: a hundred of them are kept */
export async function startEnvoy(
  { file, folder }: { readonly file: string; readonly folder: string },
  upstream: Program,
  made: Credentials,
  checks: 'none' | 'jwt' | 'cached',
): Promise<Program> {
  const port = await freePort();
  const at = (value: number) => ({ socket_address: { address: '127.0.0.1', port_value: value } });
  const provider = {
    issuer: ISSUER,
    audiences: [AUDIENCE],
    local_jwks: { inline_string: made.keySet },
    ...(checks === 'cached' ? { jwt_cache_config: { jwt_cache_size: 100 } } : {}),
  };
  const jwt = {
    name: 'envoy.filters.http.jwt_authn',
    typed_config: {
      '@type': `${TYPES}.filters.http.jwt_authn.v3.JwtAuthentication`,
      providers: { login: provider },
      rules: [{ match: { prefix: '/' }, requires: { provider_name: 'login' } }],
    },
  };
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` },
  };
  const manager = {
    '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    http_filters: [...(checks === 'none' ? [] : [jwt]), router],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'api' } }] }],
    },
  };
  const tls = {
    '@type': `${TYPES}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: {
      tls_certificates: [
        {
          certificate_chain: { inline_string: readFileSync(made.server.cert, 'utf8') },
          private_key: { inline_string: readFileSync(made.server.key, 'utf8') },
        },
      ],
    },
  };
  const filters = [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }];
  const transport_socket = { name: 'envoy.transport_sockets.tls', typed_config: tls };
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: at(upstream.port) } }] }];
  const config = join(folder, `envoy-${port}.yaml`);
  const text = stringify({
    static_resources: {
      listeners: [{ name: 'bench', address: at(port), filter_chains: [{ filters, transport_socket }] }],
      clusters: [{ name: 'api', type: 'STATIC', load_assignment: { cluster_name: 'api', endpoints } }],
    },
  });
  writeFileSync(config, text);
  return startProgram(
    file,
    ['-c', config, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'],
    port,
  );
}
