// Saved sessions and tickets: shorter handshakes, never evidence.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT, issue, OTHER_CLIENT, TO_CERTIFICATE } from '../gateway/credentials.ts';
import { CLIENT_CA, CLIENT_ROOT, SERVER, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { makeCertificate, type TestCertificate } from '../support/pki.ts';
import { ROUTES, VERSIONS, visit, type VisitWishes } from './clients.ts';

const TLS = 'tls: { certificates: [{ cert: tls.crt, key_file: tls.key }] }';
const listener = (name: string, certificates = '') =>
  `- { name: ${name}, bind: "127.0.0.1:0", origins: ["https://api.example.com"], ${TLS}, ${certificates} }\n`;
const asking = (request: string) => `client_certificate: { request: ${request}, verify: chain, ca_file: clients.pem }`;
const POSSESSION = 'client_certificate: { request: optional, verify: possession }';

const byteSequence = ({ der }: TestCertificate) => `:${der.toString('base64')}:`;

/** Client-Cert and Client-Cert-Chain of the newest request at the upstream. */
function forwarded({ upstream }: TestGateway): readonly (string | undefined)[] {
  const { fields } = upstream.seen.at(-1) ?? assert.fail('nothing reached the upstream');
  return [fields.one('client-cert'), fields.one('client-cert-chain')];
}

for (const version of VERSIONS) {
  test(`${version}: where no certificate is asked for a client resumes, and its request is decided like any other`, async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    const token = await issue(gateway, TO_CERTIFICATE);
    const first = await visit(gateway, { version, client: CLIENT, path: '/open/1' });
    assert.deepEqual([first.resumed, first.answer.status], [false, 200]);
    const { session } = first;
    assert.ok(session);
    const open = await visit(gateway, { version, session, path: '/open/2' });
    assert.deepEqual([open.resumed, open.answer.status], [true, 200]);
    const bound = await visit(gateway, { version, session, client: CLIENT, path: '/any/1', token });
    assert.deepEqual([bound.resumed, bound.answer.reason], [true, 'certificate_missing']);
    const elsewhere = await visit(gateway, { version, session, path: '/open/3', host: 'api.example.net' });
    assert.deepEqual([elsewhere.resumed, elsewhere.answer.reason], [true, 'misdirected']);
    assert.deepEqual(
      gateway.upstream.seen.map(({ target }) => target),
      ['/open/1', '/open/2'],
    );
  });

  test(`${version}: Client-Cert and Client-Cert-Chain are the same on a connection that brings a saved session`, async (t) => {
    for (const request of ['optional', 'required']) {
      const gateway = await startTestGateway(t, { listener: asking(request), routes: ROUTES });
      const token = await issue(gateway, TO_CERTIFICATE);
      const ask = (session?: Buffer) =>
        visit(gateway, { version, client: CLIENT, path: '/any/1', token, ...(session && { session }) });
      const { session, answer } = await ask();
      assert.equal(answer.status, 200);
      const before = forwarded(gateway);
      assert.deepEqual(before, [byteSequence(CLIENT), [CLIENT_CA, CLIENT_ROOT].map(byteSequence).join(', ')]);
      assert.ok(session, 'a client without a session would prove nothing');
      const again = await ask(session);
      assert.deepEqual([again.resumed, again.answer.status], [false, 200]);
      assert.deepEqual(forwarded(gateway), before);
    }
  });

  test(`${version}: a saved session stands for no certificate and for no other one`, async (t) => {
    for (const policy of [asking('optional'), POSSESSION]) {
      const gateway = await startTestGateway(t, { listener: policy, routes: ROUTES });
      const token = await issue(gateway, TO_CERTIFICATE);
      const ask = async (wishes: VisitWishes) => {
        const { resumed, session, answer } = await visit(gateway, { version, path: '/any/1', token, ...wishes });
        assert.equal(resumed, false);
        assert.ok(session);
        return { session, outcome: answer.reason ?? answer.status };
      };
      const { session, outcome } = await ask({ client: CLIENT });
      assert.equal(outcome, 200);
      assert.equal((await ask({ session })).outcome, 'certificate_missing');
      assert.equal((await ask({ session, client: OTHER_CLIENT })).outcome, 'certificate_mismatch');
      const nobody = await ask({});
      assert.equal(nobody.outcome, 'certificate_missing');
      assert.equal((await ask({ session: nobody.session, client: CLIENT })).outcome, 200);
      assert.equal(gateway.upstream.seen.length, 2);
    }
  });

  test(`${version}: a saved session does not replace the certificate that a listener requires`, async (t) => {
    const gateway = await startTestGateway(t, { listener: asking('required'), routes: ROUTES });
    const { session } = await visit(gateway, { version, client: CLIENT, path: '/open/1' });
    assert.ok(session);
    await assert.rejects(visit(gateway, { version, session, path: '/open/2' }));
    await gateway.logged({ msg: 'handshake refused', refusal: 'certificate_missing' });
    assert.equal(gateway.upstream.seen.length, 1);
  });

  test(`${version}: a session of one listener is no session of another, whatever either asks for`, async (t) => {
    const listeners = [
      listener('one'),
      listener('two'),
      listener('chain', asking('optional')),
      listener('own', POSSESSION),
    ];
    const gateway = await startTestGateway(t, { listeners: listeners.join(''), routes: ROUTES });
    const names = gateway.running.listeners.map(({ name }) => name);
    for (const from of names) {
      const { session } = await visit(gateway, { at: from, version, client: CLIENT, path: '/open/1' });
      assert.ok(session, from);
      for (const at of names) {
        const { resumed, answer } = await visit(gateway, { at, version, session, client: CLIENT, path: '/open/2' });
        assert.equal(resumed, from === at && ['one', 'two'].includes(at), `${from} → ${at}`);
        assert.equal(answer.status, 200);
      }
    }
  });

  test(`${version}: a session is resumed under each certificate of a listener, and Host alone decides under which origin`, async (t) => {
    const second = await makeCertificate({ names: ['shop.example.com'], ...(SERVER.issuer && { ca: SERVER.issuer }) });
    const gateway = await startTestGateway(t, {
      listeners:
        '- { name: public, bind: "127.0.0.1:0", origins: ["https://api.example.com", "https://shop.example.com"], ' +
        'tls: { certificates: [{ cert: tls.crt, key_file: tls.key }, { cert: two.crt, key_file: two.key }] } }',
      files: { 'two.crt': second.chain, 'two.key': second.key },
      routes: `- { name: shop, match: { host: shop.example.com, path: /* }, upstream: orders, require: dpop }${ROUTES}`,
    });
    const shop = 'shop.example.com';
    const { session, server } = await visit(gateway, { version, servername: shop, host: shop, path: '/open/1' });
    assert.equal(server, 'DNS:shop.example.com');
    assert.ok(session);
    assert.equal((await visit(gateway, { version, session, servername: shop, path: '/open/1' })).resumed, true);
    const crossed = await visit(gateway, { version, session, host: shop, path: '/open/1' });
    assert.equal(crossed.answer.reason, 'credentials_missing', 'the route of the host, not the one of SNI');
    assert.equal((await visit(gateway, { version, session, path: '/open/1' })).answer.status, 200);
  });
}
