// A real HAProxy in front, as in docs/balancers.md, and clients that forge.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { before, describe, test, type TestContext } from 'node:test';
import { startHaproxy } from '../support/balancers.ts';
import { HOST, SERVER, type TestGateway } from '../support/gateway.ts';
import { findProgram, freePort, INSTALLING } from '../support/programs.ts';
import { assertAddress, assertCertificates, assertLogged, assertProofs, seenBy } from './balanced.ts';
import { BALANCER, CLIENT_ADDRESS, FILES, fitSnippet, gatewayPort, startBehind, through } from './behind.ts';
import { CLIENT, dpop, issue, TO_CERTIFICATE } from './credentials.ts';

/** HAProxy in front of a gateway; `change` turns the page's configuration into another one. */
async function balance(t: TestContext, gateway: TestGateway, name: string, change = (text: string) => text) {
  const { port, text } = await fitSnippet('haproxy', name, gateway);
  const haproxy = await startHaproxy(t, change(text), FILES);
  return { haproxy, port, client: through(gateway, port) };
}

const failures = (gateway: TestGateway) => gateway.count('holdfast_tls_handshake_failures_total');

describe('HAProxy passes TLS on', () => {
  before(() => findProgram('haproxy'), INSTALLING);

  const sending: Readonly<Record<string, string>> = {
    'send-proxy-v2': 'send-proxy-v2',
    'send-proxy': 'send-proxy',
    'send-proxy-v2 with a checksum and all it knows about TLS':
      'send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,unique-id',
  };
  for (const [what, option] of Object.entries(sending)) {
    test(`${what}: the client's address arrives, and proofs and certificates are those of the handshake`, async (t) => {
      const gateway = await startBehind(t, 'passing');
      const { client } = await balance(t, gateway, 'passing', (text) => text.replace('send-proxy-v2', option));
      await assertAddress(client, CLIENT_ADDRESS);
      await assertLogged(client);
      await assertProofs(client);
      await assertCertificates(client);
      assert.equal(await failures(gateway), 0);
    });
  }

  test('the client may speak HTTP/2: its address arrives with every stream', async (t) => {
    const gateway = await startBehind(t, 'passing');
    const { port } = await balance(t, gateway, 'passing');
    const tls = { ca: SERVER.issuer?.cert ?? '', servername: HOST, localAddress: CLIENT_ADDRESS };
    const session = connectHttp2(`https://127.0.0.1:${port}`, tls);
    t.after(() => session.destroy());
    for (const path of ['/open/1', '/open/2']) {
      const stream = session.request({ ':path': path, ':authority': HOST });
      const [fields] = (await once(stream, 'response')) as [Readonly<Record<string, unknown>>];
      assert.equal(fields[':status'], 200);
      stream.resume();
      assert.equal(seenBy(gateway).one('x-forwarded-for'), CLIENT_ADDRESS);
    }
  });

  test('nobody else gets in: neither past HAProxy, nor through one that sends no header', async (t) => {
    const gateway = await startBehind(t, 'passing');
    await assert.rejects(through(gateway, gatewayPort(gateway)).request('GET', '/open/1'));
    await gateway.logged({ msg: 'handshake refused', refusal: 'proxy_peer_untrusted' });
    const { client } = await balance(t, gateway, 'passing', (text) => text.replace(' send-proxy-v2', ''));
    await assert.rejects(client.request('GET', '/open/1'));
    await gateway.logged({ msg: 'handshake refused', refusal: 'proxy_header_malformed' });
    assert.equal(await failures(gateway), 2);
    assert.equal(gateway.upstream.seen.length, 0);
  });

  test('where no header is expected, HAProxy with one gets nothing through', async (t) => {
    const gateway = await startBehind(t, 'passing', (listener) => listener.replace('proxy_protocol: required', ''));
    const { client } = await balance(t, gateway, 'passing');
    await assert.rejects(client.request('GET', '/open/1'));
    assert.equal(gateway.upstream.seen.length, 0);
  });

  const checks: Readonly<Record<string, readonly [check: string, says: string]>> = {
    'of the telemetry port': ['check port PORT', 'L7OK'],
    'that say LOCAL in a header': ['check check-send-proxy', 'L4OK'],
    'that say UNKNOWN or their own address in a line': ['check check-send-proxy send-proxy', 'L4OK'],
    'that connect and leave': ['check no-check-send-proxy', 'L4OK'],
  };
  for (const [what, [check, says]] of Object.entries(checks)) {
    test(`health checks ${what} find the gateway, and are neither counted nor logged`, async (t) => {
      const gateway = await startBehind(t, 'passing');
      const { haproxy, client } = await balance(t, gateway, 'passing', (text) =>
        check.includes('PORT') ? text : text.replace(/option httpchk.*/, '').replace(/check port \d+/, check),
      );
      assert.equal((await haproxy.until('holdfast/one', (state) => state.check !== 'INI')).check, says);
      assert.equal((await client.request('GET', '/open/1')).status, 200);
      assert.equal(await failures(gateway), 0);
      assert.deepEqual(
        gateway.log.filter(({ msg }) => msg === 'handshake refused'),
        [],
      );
    });
  }
});

describe('HAProxy terminates TLS', () => {
  before(() => findProgram('haproxy'), INSTALLING);

  test('and says who called and with which certificate; what a client writes itself is overwritten', async (t) => {
    const gateway = await startBehind(t, 'terminating-haproxy');
    const { haproxy, client } = await balance(t, gateway, 'terminating');
    await assertAddress(client, `${CLIENT_ADDRESS}, ${BALANCER}`);
    await assertProofs(client);
    await assertCertificates(client);
    assert.equal((await haproxy.until('holdfast/one', ({ check }) => check !== 'INI')).check, 'L7OK');
  });

  test('a field that imitates the one with the certificate is refused', async (t) => {
    const gateway = await startBehind(t, 'terminating-haproxy');
    const { client } = await balance(t, gateway, 'terminating');
    const fields = [['Client_Cert', `:${CLIENT.der.toString('base64')}:`]] as const;
    assert.equal((await client.request('GET', '/open/1', { fields })).reason, 'field_forbidden');
  });

  test('past HAProxy the same fields are removed, and the certificate in them counts for nothing', async (t) => {
    const gateway = await startBehind(t, 'terminating-haproxy');
    const stranger = through(gateway, gatewayPort(gateway));
    const fields = [['Client-Cert', `:${CLIENT.der.toString('base64')}:`]] as const;
    const token = await issue(gateway, TO_CERTIFICATE);
    assert.equal((await stranger.request('GET', '/mtls/1', { token, fields })).reason, 'certificate_missing');
    assert.equal((await stranger.request('GET', '/open/1', { fields })).status, 200);
    assert.equal(seenBy(gateway).one('client-cert'), undefined);
    assert.equal(seenBy(gateway).one('x-forwarded-for'), CLIENT_ADDRESS);
  });

  test('without the line that deletes the field a client forges a certificate: why the page has it', async (t) => {
    const gateway = await startBehind(t, 'terminating-haproxy');
    const { client } = await balance(t, gateway, 'terminating', (text) =>
      text.replace(/.*del-header Client-Cert\n/, ''),
    );
    const fields = [['Client-Cert', `:${CLIENT.der.toString('base64')}:`]] as const;
    const token = await issue(gateway, TO_CERTIFICATE);
    assert.equal((await client.request('GET', '/mtls/1', { token, fields })).status, 200);
  });

  test('without the line that deletes Forwarded a client is not believed either: the peer is known to write other fields', async (t) => {
    const passesOn = (text: string) => text.replace(/.*del-header Forwarded\n/, '');
    const gateway = await startBehind(t, 'terminating-haproxy');
    await assertAddress((await balance(t, gateway, 'terminating', passesOn)).client, `${CLIENT_ADDRESS}, ${BALANCER}`);

    const unsaid = await startBehind(t, 'terminating-haproxy', (listener) =>
      listener.replace(', forwarding: x-forwarded', ''),
    );
    const { client } = await balance(t, unsaid, 'terminating', passesOn);
    const fields = [['Forwarded', 'for=203.0.113.66;host=api.example.com;proto=https']] as const;
    assert.equal((await client.request('GET', '/open/1', { fields })).reason, 'request_malformed');
    assert.equal((await client.request('GET', '/open/1')).status, 200);
  });

  for (const option of ['send-proxy', 'send-proxy-v2']) {
    test(`and sends ${option} too: the address is the client's, who is believed in nothing, certificates included`, async (t) => {
      const gateway = await startBehind(
        t,
        'terminating-haproxy',
        (listener) => `${listener}  proxy_protocol: required\n`,
      );
      const { client } = await balance(t, gateway, 'terminating', (text) =>
        text.replace(' ssl verify', ` ${option} ssl verify`),
      );
      await assertAddress(client, CLIENT_ADDRESS);
      await assertLogged(client);
      await assertProofs(client);
      const token = await issue(gateway, TO_CERTIFICATE);
      assert.equal((await client.request('GET', '/mtls/1', { token, client: CLIENT })).reason, 'certificate_missing');
    });

    test(`and sends ${option} over plain HTTP: requests arrive with their address, and https proofs do not fit`, async (t) => {
      const listener = [
        '- name: plain',
        '  bind: "127.0.0.1:0"',
        '  origins: ["http://api.example.com"]',
        `  trusted_peers: [{ cidr: ${BALANCER}/32 }]`,
        '  client_certificate: { verify: chain, ca_file: clients.pem }',
        '  client_certificate_from: { format: rfc9440, field: Client-Cert }',
        '  proxy_protocol: required',
      ].join('\n');
      const gateway = await startBehind(t, 'terminating-haproxy', () => listener);
      const { client } = await balance(t, gateway, 'terminating', (text) =>
        text.replace(/ ssl verify .*/, ` ${option}`),
      );
      assert.equal((await client.request('GET', '/open/1')).status, 200);
      assert.equal(seenBy(gateway).one('x-forwarded-for'), CLIENT_ADDRESS);
      assert.equal((await dpop(client, 'GET', '/dpop/1')).reason, 'proof_uri_mismatch');
    });
  }
});

test('HAProxy that cannot start says why', async (t) => {
  const starting = startHaproxy(t, `listen a\n  bind 127.0.0.1:${await freePort()}\n  mode nonsense`);
  await assert.rejects(starting, /haproxy ended at once:[^]*nonsense/);
});
