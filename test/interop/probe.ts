// `holdfast probe` against a real Envoy with jwt_authn, which binds no token.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { CATALOGUE } from '../../src/cli/probe/catalogue.ts';
import { runProbe } from '../cli/probe/probing.ts';
import { type ProbeRig, startRig } from '../cli/probe/rig.ts';
import { ORIGIN, SERVER } from '../support/gateway.ts';
import { freePort, startProgram } from '../support/programs.ts';
import { findEnvoy } from './programs.ts';

const found = findEnvoy();
const skip = 'skip' in found ? found.skip : false;
const TYPE = 'type.googleapis.com/envoy.extensions';

const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** The issuer's tokens for this API on /orders, nothing on the rest; paths as Envoy's manual has it for an edge. */
function connectionManager({ issuer, jwks }: ProbeRig): object {
  const http = (name: string, kind: string, more: object) => ({
    name: `envoy.filters.http.${name}`,
    typed_config: { '@type': `${TYPE}.filters.http.${name}.v3.${kind}`, ...more },
  });
  return {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'api',
    use_remote_address: true,
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    http_filters: [
      http('jwt_authn', 'JwtAuthentication', {
        providers: {
          login: { issuer, audiences: [ORIGIN], forward: true, local_jwks: { inline_string: jwks } },
        },
        rules: [{ match: { prefix: '/orders' }, requires: { provider_name: 'login' } }],
      }),
      http('router', 'Router', {}),
    ],
    route_config: {
      virtual_hosts: [
        { name: 'api', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'echo' } }] },
      ],
    },
  };
}

async function startEnvoy(t: TestContext, rig: ProbeRig): Promise<number> {
  const [folder, port] = [mkdtempSync(join(tmpdir(), 'holdfast-envoy-')), await freePort()];
  const transport = {
    '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: {
      tls_certificates: [{ certificate_chain: { filename: 'tls.crt' }, private_key: { filename: 'tls.key' } }],
    },
  };
  const chain = {
    transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: transport },
    filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: connectionManager(rig) }],
  };
  const endpoint = { endpoint: { address: address(rig.upstream) } };
  const cluster = {
    name: 'echo',
    type: 'STATIC',
    load_assignment: { cluster_name: 'echo', endpoints: [{ lb_endpoints: [endpoint] }] },
  };
  const configuration = {
    static_resources: {
      listeners: [{ name: 'api', address: address(port), filter_chains: [chain] }],
      clusters: [cluster],
    },
  };
  const files = { 'envoy.json': JSON.stringify(configuration), 'tls.crt': SERVER.chain, 'tls.key': SERVER.key };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const file = 'file' in found ? found.file : '';
  chmodSync(file, 0o755);
  const args = ['-c', 'envoy.json', '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  await startProgram(t, { file, args, folder, ports: [port] });
  return port;
}

const idsOf = (group: string) => CATALOGUE.filter((attack) => attack.group === group).map(({ id }) => id);

describe('Envoy with jwt_authn', { skip }, () => {
  test('holds every forged token and no proof: a bound token passes as Bearer', async (t) => {
    const rig = await startRig(t);
    const port = await startEnvoy(t, rig);
    const options = { ...rig.options('dpop', port), marker: '"path": "/orders/1' };
    const { exit, report, ids } = await runProbe(`${ORIGIN}/orders/1`, options);
    assert.deepEqual([exit, report.good, report.without], [1, '200', '401']);
    assert.deepEqual(ids('not_held'), [
      'token-in-query',
      'unbound-token',
      ...idsOf('proof'),
      ...idsOf('replay'),
      'two-hosts',
    ]);
    assert.deepEqual(ids('different'), [
      'path-overlong-dots',
      'path-twice',
      'path-case',
      'other-host',
      'folded-line',
      'bare-lf',
      'bare-cr',
      'challenge-dpop',
    ]);
    assert.deepEqual(ids('unclear'), []);
    assert.deepEqual(ids('not_tried'), [
      'foreign-token',
      ...idsOf('nonce'),
      ...idsOf('certificate'),
      'identity-forged',
      'identity-forged-public',
    ]);
    assert.match(report.notes.join(' '), /takes the bound token as Bearer and not as DPoP/);
    assert.deepEqual(Object.keys(report.next), ['token', 'proof', 'replay', 'lines']);
  });

  test('takes a certificate-bound token with any certificate and with none', async (t) => {
    const rig = await startRig(t);
    const port = await startEnvoy(t, rig);
    const { exit, ids } = await runProbe(`${ORIGIN}/orders/1`, { ...rig.options('mtls', port), only: 'certificate' });
    assert.deepEqual([exit, ids('not_held')], [1, idsOf('certificate')]);
  });
});
