// Proxies that ask for decisions, set up for the tests of mode decide.

import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CLIENT_CA, CLIENT_ROOT, SERVER, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { through } from '../gateway/behind.ts';
import { freePort, startProgram } from '../support/programs.ts';
import { findEnvoy } from './programs.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, require: dpop }
- name: nonce
  match: { path: /nonce/* }
  require: dpop
  dpop: { nonce: required }
- { name: open, match: { path: /open/* }, require: public, weaker_than_defaults: [require] }
`;

const MTLS = `- name: mtls
  match: { path: /mtls/* }
  require: mtls
  forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
`;

/** A gateway without TLS that decides for proxies on this machine. */
export function startDeciding(t: TestContext, listener: string): Promise<TestGateway> {
  return startTestGateway(t, {
    listeners: [
      '- name: public',
      '  bind: "127.0.0.1:0"',
      '  origins: ["https://api.example.com"]',
      '  mode: decide',
      '  trusted_peers: [{ cidr: 127.0.0.0/8 }]',
      '  client_certificate: { ca_file: clients.pem }',
      ...listener.split('\n').map((line) => `  ${line}`),
    ].join('\n'),
    routes: listener.includes('client_certificate_from') ? `${ROUTES}${MTLS}` : ROUTES,
  });
}

const portOfListener = (gateway: TestGateway) => {
  const bind = gateway.running.listeners[0]?.bind;
  return bind !== undefined && 'port' in bind ? bind.port : 0;
};

export type EnvoyDialect = 'envoy-http' | 'envoy-grpc';

export const ENVOY = findEnvoy();

const HTTP_SERVICE = {
  server_uri: { uri: 'http://holdfast', cluster: 'holdfast', timeout: '1s' },
  path_prefix: '/decide',
  authorization_request: {
    allowed_headers: {
      patterns: ['authorization', 'dpop', 'x-forwarded-proto', 'x-forwarded-for', 'origin', 'te'].map((exact) => ({
        exact,
      })),
    },
  },
  authorization_response: {
    allowed_upstream_headers: { patterns: [{ prefix: 'x-auth-' }, { exact: 'authorization' }, { exact: 'dpop' }] },
    allowed_client_headers: {
      patterns: [{ exact: 'www-authenticate' }, { exact: 'dpop-nonce' }, { exact: 'content-type' }],
    },
    allowed_client_headers_on_success: { patterns: [{ exact: 'dpop-nonce' }] },
  },
};

const GRPC_SERVICE = {
  grpc_service: { envoy_grpc: { cluster_name: 'holdfast' }, timeout: '1s' },
  transport_api_version: 'V3',
  include_peer_certificate: true,
  encode_raw_headers: true,
};

/** Envoy terminates TLS, asks the gateway, and forwards to the gateway's test upstream. */
export async function startEnvoy(t: TestContext, dialect: EnvoyDialect): Promise<TestGateway> {
  const extra =
    dialect === 'envoy-http'
      ? 'dialect: envoy-http\npath_prefix: /decide'
      : 'dialect: envoy-grpc\nclient_certificate_from: { format: envoy-attribute }';
  const gateway = await startDeciding(t, extra);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-envoy-'));
  const files = {
    'server.pem': SERVER.chain,
    'server.key': SERVER.key,
    'clients.pem': `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}`,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const port = await freePort();
  writeFileSync(join(folder, 'envoy.json'), JSON.stringify(configuration(gateway, dialect, port)));
  const file = 'file' in ENVOY ? ENVOY.file : '';
  chmodSync(file, 0o755);
  const args = ['-c', 'envoy.json', '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  await startProgram(t, { file, args, folder, ports: [port] });
  return through(gateway, port);
}

function configuration(gateway: TestGateway, dialect: EnvoyDialect, port: number): object {
  const service = dialect === 'envoy-http' ? { http_service: HTTP_SERVICE } : GRPC_SERVICE;
  const authz = { '@type': `${TYPE}.filters.http.ext_authz.v3.ExtAuthz`, failure_mode_allow: false, ...service };
  const manager = {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'api',
    use_remote_address: true,
    normalize_path: false,
    merge_slashes: false,
    path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
    http_filters: [
      { name: 'envoy.filters.http.ext_authz', typed_config: authz },
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } },
    ],
    route_config: {
      virtual_hosts: [
        { name: 'api', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'orders' } }] },
      ],
    },
  };
  return {
    static_resources: {
      listeners: [
        {
          name: 'api',
          address: address(port),
          filter_chains: [
            {
              transport_socket: {
                name: 'envoy.transport_sockets.tls',
                typed_config: {
                  '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
                  common_tls_context: {
                    alpn_protocols: ['h2', 'http/1.1'],
                    tls_certificates: [
                      { certificate_chain: { filename: 'server.pem' }, private_key: { filename: 'server.key' } },
                    ],
                    validation_context: { trusted_ca: { filename: 'clients.pem' } },
                  },
                },
              },
              filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
            },
          ],
        },
      ],
      clusters: [
        cluster('holdfast', portOfListener(gateway), dialect === 'envoy-grpc'),
        cluster('orders', Number(new URL(gateway.upstream.origin).port), false),
      ],
    },
  };
}

function cluster(name: string, port: number, http2: boolean): object {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
    ...(http2 && {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    }),
  };
}
