// Clients' certificates over real handshakes: CAs, dates, CRLs, possession.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { issue } from '../gateway/credentials.ts';
import { Client, reasonOf, statusOf } from '../hostile/rig.ts';
import { openTls } from '../support/edge.ts';
import { HOST, SERVER, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { makeCa, makeCertificate, makeCrl, type TestCertificate } from '../support/pki.ts';
import { handshakeFailures, portAt, ROUTES, VERSIONS, visit } from './clients.ts';

const NOW = Date.now() / 1000;
/** When the short-lived certificates expire, which are made when the tests are loaded: no run takes that long. */
const END = NOW + 4 * 3600;
/** id-kp-serverAuth and id-kp-clientAuth (RFC 5280 §4.2.1.12). */
const [SERVERS, CLIENTS] = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];
const names = ['client.example.net'];

const root = await makeCa({ subject: 'CN=Root' });
const issuing = await makeCa({ subject: 'CN=Issuing', ca: root });
const shortLived = await makeCa({ subject: 'CN=Short-lived', ca: root, notAfter: END });
const good = await makeCertificate({ names, ca: issuing });
const second = await makeCertificate({ names: ['second.example.com'], ...(SERVER.issuer && { ca: SERVER.issuer }) });

const byteSequence = ({ der }: TestCertificate) => `:${der.toString('base64')}:`;
/** The same certificate, sent with others. */
const beside = (leaf: TestCertificate, ...others: readonly TestCertificate[]): TestCertificate => ({
  ...leaf,
  chain: [leaf, ...others].map(({ cert }) => cert).join('\n'),
});

const listener = (name: string, clientCertificate: string) =>
  `- { name: ${name}, bind: "127.0.0.1:0", origins: ["https://${HOST}"], client_certificate: { ${clientCertificate} }, ` +
  'tls: { certificates: [{ cert: tls.crt, key_file: tls.key }, { cert: two.crt, key_file: two.key }] } }\n';
const CHAIN = 'request: optional, verify: chain, ca_file: clients.pem';
const FILES = { 'clients.pem': root.cert, 'two.crt': second.chain, 'two.key': second.key };

/** Status or reason of a request with a token that is bound to the certificate shown. */
async function present(gateway: TestGateway, client: TestCertificate, more: Parameters<typeof visit>[1] = {}) {
  const token = await issue(gateway, { cnf: { 'x5t#S256': client.thumbprint } });
  const { answer } = await visit(gateway, { client, token, path: '/any/1', ...more });
  return answer.reason ?? answer.status;
}

const otherRoot = await makeCa({ subject: 'CN=Root' });
const otherIssuing = await makeCa({ subject: 'CN=Issuing', ca: otherRoot });
const past = { notBefore: NOW - 7200, notAfter: NOW - 3600 };
const selfSigned = await makeCertificate({ names });
const expired = await makeCertificate({ names, ca: issuing, ...past });
const early = await makeCertificate({ names, ca: issuing, notBefore: NOW + 3600 });
const forServers = await makeCertificate({ names, ca: issuing, purposes: [SERVERS] });
const caForServers = await makeCa({ subject: 'CN=For servers', ca: root, purposes: [SERVERS] });
const expiredCa = await makeCa({ subject: 'CN=Expired', ca: root, ...past });

const UNTRUSTED: readonly (readonly [what: string, certificate: TestCertificate])[] = [
  ['self-signed', selfSigned],
  ['expired', expired],
  ['not yet valid', early],
  ['of a CA with the same name and another key', await makeCertificate({ names, ca: otherIssuing })],
  ['of another CA, sent with the right one', beside(await makeCertificate({ names, ca: otherIssuing }), issuing, root)],
  ['without the intermediate that leads to the CA', beside(good)],
  ['issued by a certificate that is no CA', await makeCertificate({ names, ca: good })],
  ['for servers alone', forServers],
  ['of a CA that is for servers alone', await makeCertificate({ names, ca: caForServers })],
  ['of a CA that has expired', await makeCertificate({ names, ca: expiredCa })],
];

test('under chain every certificate that the CA does not vouch for is certificate_untrusted, in both versions of TLS', async (t) => {
  const gateway = await startTestGateway(t, { listeners: listener('public', CHAIN), files: FILES, routes: ROUTES });
  for (const version of VERSIONS) {
    for (const [what, certificate] of UNTRUSTED) {
      assert.equal(await present(gateway, certificate, { version }), 'certificate_untrusted', `${what}, ${version}`);
    }
    assert.equal(gateway.upstream.seen.length, 0);
    assert.equal(await present(gateway, good, { version }), 200);
    assert.equal(
      await present(gateway, await makeCertificate({ names, ca: issuing, purposes: [CLIENTS] }), { version }),
      200,
    );
    gateway.upstream.seen.length = 0;
  }
  assert.deepEqual(await handshakeFailures(gateway), {}, 'the answer says what is wrong, not the handshake');
});

test('required under chain: no certificate that the CA does not vouch for gets through the handshake', async (t) => {
  const required = CHAIN.replace('optional', 'required');
  const gateway = await startTestGateway(t, { listeners: listener('public', required), files: FILES, routes: ROUTES });
  for (const [what, client] of UNTRUSTED) {
    await assert.rejects(visit(gateway, { client, path: '/open/1' }), what);
  }
  assert.equal(await present(gateway, good), 200);
  assert.deepEqual(await handshakeFailures(gateway), { client_certificate_refused: UNTRUSTED.length });
  assert.equal(gateway.upstream.seen.length, 1);
});

test('revocation lists count under each certificate of the listener: revoked, an expired list, no list of the CA', async (t) => {
  const revoked = await makeCertificate({ names, ca: issuing });
  const [ofRoot, ofIssuing] = [await makeCrl(root, []), await makeCrl(issuing, [revoked])];
  const lists = {
    current: `${ofRoot}${ofIssuing}`,
    expired: `${ofRoot}${await makeCrl(issuing, [], NOW - 60)}`,
    missing: ofRoot,
    foreign: `${ofRoot}${await makeCrl(otherIssuing, [])}`,
    upper: `${await makeCrl(root, [issuing])}${await makeCrl(issuing, [])}`,
  };
  const gateway = await startTestGateway(t, {
    listeners: Object.keys(lists)
      .map((name) => listener(name, `${CHAIN}, crl_file: ${name}.crl`))
      .join(''),
    files: { ...FILES, ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [`${name}.crl`, list])) },
    routes: ROUTES,
  });
  for (const servername of [HOST, 'second.example.com']) {
    assert.equal(await present(gateway, good, { at: 'current', servername }), 200);
    assert.equal(await present(gateway, revoked, { at: 'current', servername }), 'certificate_untrusted');
    for (const at of ['expired', 'missing', 'foreign', 'upper']) {
      assert.equal(await present(gateway, good, { at, servername }), 'certificate_untrusted', at);
    }
  }
});

test('Client-Cert-Chain is the path to the CA, whatever else the client sends along', async (t) => {
  const gateway = await startTestGateway(t, { listeners: listener('public', CHAIN), files: FILES, routes: ROUTES });
  const path = [issuing, root].map(byteSequence).join(', ');
  const chainFor = async (client: TestCertificate) => {
    assert.equal(await present(gateway, client), 200);
    const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail('nothing reached the upstream');
    assert.equal(fields.one('client-cert'), byteSequence(good));
    return fields.one('client-cert-chain');
  };
  assert.equal(await chainFor(good), path);
  assert.equal(await chainFor(beside(good, issuing, root)), path);
  assert.equal(await chainFor(beside(good, selfSigned, otherRoot, otherIssuing, good, issuing, shortLived)), path);
  const flood = await Promise.all(Array.from({ length: 12 }, (_, nth) => makeCa({ subject: `CN=Decoy ${nth}` })));
  assert.equal(await chainFor(beside(good, ...flood, issuing)), undefined, 'none, rather than one with strangers');
});

/** A connection that stays, and the outcome of the next request on it. */
async function connect(gateway: TestGateway, client: TestCertificate) {
  const options = { ca: SERVER.issuer?.cert, cert: client.chain, key: client.key };
  const connection = new Client(await openTls(portAt(gateway), options));
  let sent = 0;
  return async (token: string, host: string, fields = '') => {
    connection.send(`GET /any/1 HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n${fields}\r\n`);
    const answers = await connection.answers(++sent);
    const answer = answers.at(-1) ?? assert.fail('no answer');
    return reasonOf(answer) ?? statusOf(answer);
  };
}

const ofShortLived = await makeCertificate({ names, ca: shortLived });
for (const [what, client] of [
  ['its certificate', await makeCertificate({ names, ca: issuing, notAfter: END })],
  ['the CA that issued it', ofShortLived],
] as const) {
  test(`a connection that outlives ${what} goes on, and its next request is certificate_untrusted`, async (t) => {
    let later = 0;
    const gateway = await startTestGateway(t, {
      listeners: listener('public', CHAIN),
      files: FILES,
      routes: ROUTES,
      now: () => Date.now() / 1000 + later,
    });
    const ask = await connect(gateway, client);
    const bound = await issue(gateway, { cnf: { 'x5t#S256': client.thumbprint }, exp: END + 9000 });
    const unbound = await issue(gateway, { exp: END + 9000 });
    const seenCertificate = () => gateway.upstream.seen.at(-1)?.fields.one('client-cert');
    assert.equal(await ask(bound, HOST), 200);
    assert.equal(seenCertificate(), byteSequence(client));
    later = END + 1 - NOW;
    assert.equal(await ask(bound, HOST), 'certificate_untrusted');
    assert.equal(await ask(unbound, HOST), 200);
    assert.equal(seenCertificate(), undefined, 'nor is it forwarded any more');
    later = NOW - 3700 - Date.now() / 1000; // certificates are made when the tests are loaded
    assert.equal(
      await ask(await issue(gateway, { cnf: { 'x5t#S256': client.thumbprint } }), HOST),
      'certificate_untrusted',
    );
    later = 0;
    assert.equal(await ask(bound, HOST), 200);
    assert.equal(gateway.upstream.seen.length, 3);
  });
}

test('a peer known by its certificate is trusted no longer than the CA that issued it lasts', async (t) => {
  let later = 0;
  const gateway = await startTestGateway(t, {
    listeners: listener('public', CHAIN).replace(/ }\n$/, `, trusted_peers: [{ certificate_san: ${names[0]} }] }`),
    files: FILES,
    routes: ROUTES,
    now: () => Date.now() / 1000 + later,
  });
  const ask = await connect(gateway, ofShortLived);
  const token = await issue(gateway, { exp: END + 9000 });
  const fields = `X-Forwarded-Host: ${HOST}\r\nX-Forwarded-Proto: https\r\n`;
  assert.equal(await ask(token, 'gateway.internal', fields), 200);
  later = END + 1 - NOW;
  assert.equal(await ask(token, 'gateway.internal', fields), 'misdirected');
});

test('a certificate that a trusted peer reports is untrusted from the moment when the CA that issued it has expired', async (t) => {
  let later = 0;
  const gateway = await startTestGateway(t, {
    listener:
      'trusted_peers: [{ cidr: 127.0.0.0/8 }]\n' +
      'client_certificate: { verify: chain, ca_file: clients.pem }\n' +
      'client_certificate_from: { format: rfc9440, field: Client-Cert }',
    files: { 'clients.pem': `${root.cert}\n${shortLived.cert}` },
    routes: ROUTES,
    now: () => Date.now() / 1000 + later,
  });
  const token = await issue(gateway, { cnf: { 'x5t#S256': ofShortLived.thumbprint }, exp: END + 9000 });
  const ask = async () => {
    const fields = [['Client-Cert', byteSequence(ofShortLived)]] as const;
    const { reason, status } = await gateway.request('GET', '/any/1', { token, fields });
    return reason ?? status;
  };
  assert.equal(await ask(), 200);
  later = END + 1 - NOW;
  assert.equal(await ask(), 'certificate_untrusted');
});

test('possession: a certificate that nobody vouches for is as good as any other, and proves its own thumbprint alone', async (t) => {
  const possession = 'request: optional, verify: possession';
  const gateway = await startTestGateway(t, {
    listeners: listener('public', possession),
    files: FILES,
    routes: ROUTES,
  });
  for (const version of VERSIONS) {
    for (const client of [selfSigned, expired, early, forServers, good]) {
      assert.equal(await present(gateway, client, { version }), 200);
      assert.equal(gateway.upstream.seen.at(-1)?.fields.one('client-cert'), byteSequence(client));
      assert.equal(gateway.upstream.seen.at(-1)?.fields.one('client-cert-chain'), undefined);
      const toAnother = await issue(gateway, { cnf: { 'x5t#S256': root.thumbprint } });
      assert.equal(await present(gateway, client, { version, token: toAnother }), 'certificate_mismatch');
      assert.equal(
        await present(gateway, beside(client, root), { version, token: toAnother }),
        'certificate_mismatch',
        'what is sent beside the leaf has no key here',
      );
    }
  }
});

test('possession: a certificate whose dates are no dates ends the connection, and is counted', async (t) => {
  const listeners = listener('public', 'request: optional, verify: possession');
  const gateway = await startTestGateway(t, { listeners, files: FILES, routes: ROUTES });
  const der = Buffer.from(selfSigned.der);
  der.write('ZZ', der.indexOf(Buffer.of(0x17, 13)) + 2); // its signature is broken by that, and nobody looks at it
  const cert = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
  await assert.rejects(visit(gateway, { client: { ...selfSigned, cert, chain: cert }, path: '/open/1' }));
  await gateway.logged({ msg: 'handshake refused', refusal: 'certificate_unreadable' });
  assert.deepEqual(await handshakeFailures(gateway), { client_certificate_refused: 1 });
  assert.equal(gateway.upstream.seen.length, 0);
});
