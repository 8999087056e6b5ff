// haproxy-passes-tls-on.yaml at work, behind the HAProxy that its comments describe.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { startHaproxy } from '../support/balancers.ts';
import { sendRequest } from '../support/gateway.ts';
import type { TestCertificate } from '../support/pki.ts';
import { freePort } from '../support/programs.ts';
import { issue, prove, startExample, startIssuer, THIEF } from './example.ts';

const NAME = 'haproxy-passes-tls-on.yaml';
const CLIENT_ADDRESS = '127.0.0.9';

/** @param client whose CA is in `files` */
export async function playPassing(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  client: TestCertificate,
): Promise<void> {
  const issuer = await startIssuer(t);
  const env = { LOGIN_ISSUER: issuer, BALANCER_CIDR: '127.0.0.2/32' };
  const { port: gateway, upstream, count } = await startExample(t, NAME, files, ['ORDERS_URL'], env);
  const port = await freePort();
  const server = `server one 127.0.0.1:${gateway} send-proxy-v2 source 127.0.0.2`;
  const times = 'timeout connect 5s\n  timeout client 5s\n  timeout server 5s';
  await startHaproxy(t, `listen api\n  mode tcp\n  ${times}\n  bind 127.0.0.1:${port}\n  ${server}`);
  const call = (wishes: object) => sendRequest(port, 'GET', '/orders/1', { from: CLIENT_ADDRESS, ...wishes });

  const bound = await issue(issuer);
  assert.equal((await call(await prove(bound, 'GET', '/orders/1'))).status, 200);
  assert.equal(upstream.seen[0]?.fields.one('X-Forwarded-For'), CLIENT_ADDRESS);
  const certified = await issue(issuer, { cnf: { 'x5t#S256': client.thumbprint } });
  assert.equal((await call({ token: certified, client })).status, 200);

  const stolen = await prove(bound, 'GET', '/orders/1', { key: THIEF });
  assert.equal((await call(stolen)).reason, 'proof_key_mismatch');
  assert.equal((await call({ token: certified })).reason, 'certificate_missing');
  await assert.rejects(sendRequest(gateway, 'GET', '/orders/1', { token: certified, client }));
  const metric = 'holdfast_tls_handshake_failures_total';
  assert.equal(await count(metric, { listener: 'public', reason: 'proxy_peer_untrusted' }), 1);
  assert.equal(upstream.seen.length, 2);
}
