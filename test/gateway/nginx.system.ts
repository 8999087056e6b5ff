// A real nginx in front, as in docs/balancers.md: stream with PROXY, and http.

import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';
import { startNginx } from '../support/balancers.ts';
import type { TestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { assertAddress, assertCertificates, assertLogged, assertProofs, seenBy } from './balanced.ts';
import { BALANCER, CLIENT_ADDRESS, FILES, fitSnippet, gatewayPort, startBehind, through } from './behind.ts';
import { CLIENT, issue, prove, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

async function balance(t: TestContext, gateway: TestGateway, name: string, change = (text: string) => text) {
  const { port, text } = await fitSnippet('nginx', name, gateway);
  await startNginx(t, change(text), FILES);
  return through(gateway, port);
}

describe('nginx', () => {
  before(() => findProgram('nginx'), INSTALLING);

  test("passes TLS on: the client's address arrives, and proofs and certificates are those of the handshake", async (t) => {
    const gateway = await startBehind(t, 'passing');
    const client = await balance(t, gateway, 'passing');
    await assertAddress(client, CLIENT_ADDRESS);
    await assertLogged(client);
    await assertProofs(client);
    await assertCertificates(client);
    // Neither a start of nginx, which is a connection without a byte here, nor anything else was a failure.
    assert.equal(await gateway.count('holdfast_tls_handshake_failures_total'), 0);
  });

  test('that passes TLS on without a header gets nothing through', async (t) => {
    const gateway = await startBehind(t, 'passing');
    const client = await balance(t, gateway, 'passing', (text) =>
      text.replace('proxy_protocol on', 'proxy_protocol off'),
    );
    await assert.rejects(client.request('GET', '/open/1'));
    await gateway.logged({ msg: 'handshake refused', refusal: 'proxy_header_malformed' });
  });

  for (const verify of ['optional', 'optional_no_ca']) {
    test(`terminates TLS with ssl_verify_client ${verify}, and says who called and with which certificate`, async (t) => {
      const gateway = await startBehind(t, 'terminating-nginx');
      const client = await balance(t, gateway, 'terminating', (text) =>
        text.replace('client optional;', `client ${verify};`),
      );
      await assertAddress(client, `${CLIENT_ADDRESS}, ${BALANCER}`);
      await assertProofs(client);
      await assertCertificates(client);
    });
  }

  test('passes the port on that clients name, with $http_host and not with $host', async (t) => {
    const origin = 'https://api.example.com:8443';
    const gateway = await startBehind(t, 'terminating-nginx', (listener) =>
      listener.replace('https://api.example.com', origin),
    );
    const ask = async (client: TestGateway) => {
      const token = await issue(gateway, TO_KEY);
      const proof = await prove(gateway, token, 'GET', '/dpop/1', { claims: { htu: `${origin}/dpop/1` } });
      const { status, reason } = await client.request('GET', '/dpop/1', { token, proof, host: 'api.example.com:8443' });
      return reason ?? status;
    };
    const named = await balance(t, gateway, 'terminating', (text) => text.replaceAll('$host;', '$http_host;'));
    assert.equal(await ask(named), 200);
    assert.equal(await ask(await balance(t, gateway, 'terminating')), 'misdirected');
    const elsewhere = await named.request('GET', '/open/1', { host: 'api.example.com:9443' });
    assert.equal(elsewhere.reason, 'misdirected');
  });

  test('with ssl_verify_client on lets nobody without a certificate through, and its certificate is what counts', async (t) => {
    const gateway = await startBehind(t, 'terminating-nginx');
    const client = await balance(t, gateway, 'terminating', (text) => text.replace('client optional;', 'client on;'));
    const token = await issue(gateway, TO_CERTIFICATE);
    assert.equal((await client.request('GET', '/mtls/1', { token, client: CLIENT })).status, 200);
    assert.match((await client.request('GET', '/mtls/1', { token })).body, /No required SSL certificate was sent/);
    assert.equal(gateway.upstream.seen.length, 1);
  });

  test('with optional_no_ca passes on what it did not verify, and the gateway does not trust it', async (t) => {
    const gateway = await startBehind(t, 'terminating-nginx');
    const client = await balance(t, gateway, 'terminating', (text) =>
      text.replace('client optional;', 'client optional_no_ca;'),
    );
    const own = await makeCertificate({ names: ['client.example.net'] });
    const token = await issue(gateway, { cnf: { 'x5t#S256': own.thumbprint } });
    assert.equal((await client.request('GET', '/mtls/1', { token, client: own })).reason, 'certificate_untrusted');
  });

  test('is not asked by who goes past it: the same fields are removed, and count for nothing', async (t) => {
    const gateway = await startBehind(t, 'terminating-nginx');
    const stranger = through(gateway, gatewayPort(gateway));
    const fields = [['ssl-client-cert', encodeURIComponent(CLIENT.cert)]] as const;
    const token = await issue(gateway, TO_CERTIFICATE);
    assert.equal((await stranger.request('GET', '/mtls/1', { token, fields })).reason, 'certificate_missing');
    assert.equal((await stranger.request('GET', '/open/1', { fields })).status, 200);
    assert.equal(seenBy(gateway).one('ssl-client-cert'), undefined);
  });
});
