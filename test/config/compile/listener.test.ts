// Listeners in the configuration: unsafe ones are refused before a port is bound.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CERTIFICATE_FORMATS } from '../../../src/certificate/formats.ts';
import { assertProblems, policyOf, warningsOf } from '../../support/policies.ts';
import { makeCa, makeCertificate, makeCrl } from '../../support/pki.ts';

const ca = await makeCa();
const server = await makeCertificate({
  ca,
  names: ['api.example.com', '*.shops.example.com', '192.0.2.1', '2001:db8::1'],
});
const stranger = await makeCertificate({ names: ['api.example.com'] });
const SERVER = {
  'listeners.0.tls.certificates.0.cert': server.chain,
  'listeners.0.tls.certificates.0.key_file': server.key,
};

const tls = (rest: string, files: Readonly<Record<string, string>> = {}) =>
  [
    {
      listeners: `- name: public\n  bind: "0.0.0.0:8443"\n  tls: { certificates: [{ cert: tls.crt, key_file: tls.key }] }\n${rest}`,
    },
    { files: { ...SERVER, ...files } },
  ] as const;

function assertTlsProblems(rest: string, files: Readonly<Record<string, string>>, expected: readonly string[]): void {
  const [sections, surroundings] = tls(rest, files);
  assertProblems(sections, expected, surroundings);
}

/** Indented as a key of the listener. */
const key = (text: string) => `  ${text}\n`;
const ORIGIN = key('origins: [https://api.example.com]');

describe('plain HTTP', () => {
  const message =
    'listeners[0].bind: is plain HTTP beyond loopback, where tokens can be read and stolen, ' +
    'expected tls, a loopback address, a unix socket, or insecure_plain_http: true';

  test('a listener without tls beyond loopback is refused', () => {
    for (const bind of ['0.0.0.0:80', '192.0.2.1:80', '[::]:80', 'example.com:80', '127.example.com:80']) {
      assertProblems({ listeners: `- { name: a, bind: «"${bind}", origins: ["http://a.example"] }` }, [message]);
    }
  });

  test('a listener without tls is taken on loopback, on a unix socket, and where insecure_plain_http names the risk', () => {
    for (const bind of ['127.0.0.1:80', '127.9.9.9:80', '[::1]:80', 'localhost:80', 'unix:/run/holdfast.sock']) {
      policyOf({ listeners: `- { name: a, bind: "${bind}", origins: ["http://a.example"] }` });
    }
    policyOf({
      listeners: '- { name: a, bind: "0.0.0.0:80", origins: ["http://a.example"], insecure_plain_http: true }',
    });
  });
});

describe('addresses and names', () => {
  test('two listeners, or a listener and telemetry, do not share an address; every address includes each single one', () => {
    const two = (one: string, other: string) =>
      `- { name: a, bind: "${one}", origins: ["http://a.example"] }\n- { name: b, bind: ${other}, origins: ["http://b.example"] }`;
    const again = 'listeners[1].bind: is the address of listener a too, expected another one';
    assertProblems({ listeners: two('127.0.0.1:80', '«"127.0.0.1:80"') }, [again]);
    assertProblems({ listeners: two('unix:/run/a', '«"unix:/run/a"') }, [again]);
    policyOf({ listeners: two('127.0.0.1:0', '"127.0.0.1:0"') });
    policyOf({ listeners: two('127.0.0.1:80', '"127.0.0.2:80"') });
    assertProblems(
      { listeners: '- { name: a, bind: «"0.0.0.0:9902", origins: ["http://a.example"], insecure_plain_http: true }' },
      ['listeners[0].bind: is the address of telemetry too, expected another one'],
    );
  });

  test('the admin port has an address of its own, and one beyond loopback is worth a look', () => {
    assertProblems({ more: 'admin: { bind: «"127.0.0.1:9902" }\n' }, [
      'admin.bind: is the address of telemetry too, expected another one',
    ]);
    assertProblems({ listeners: '- { name: a, bind: «"127.0.0.1:9901", origins: ["http://a.example"] }' }, [
      'listeners[0].bind: is the address of admin too, expected another one',
    ]);
    const warning = 'admin.bind: is beyond loopback: anyone who reaches it reads the status and the configuration';
    assert.deepEqual(warningsOf({ more: 'admin: { bind: "0.0.0.0:9901" }\n' }), [warning]);
    assert.deepEqual(warningsOf({ more: 'admin: { bind: "unix:/run/holdfast/admin.sock" }\n' }), []);
  });

  test('two listeners do not share a name', () => {
    assertProblems(
      {
        listeners:
          '- { name: a, bind: "127.0.0.1:80", origins: ["http://a.example"] }\n- { name: «a, bind: "127.0.0.1:81", origins: ["http://b.example"] }',
      },
      ['listeners[1].name: is the name of an earlier listener, expected another one'],
    );
  });
});

describe('origins', () => {
  test('origins are required wherever a route that is not public can be reached, also by its shadow alone', () => {
    const empty = '- «{ name: public, bind: "127.0.0.1:0" }';
    const message = (route: string) =>
      `listeners[0].origins: is empty although route ${route}, which is not public, can be reached, expected the origins by which clients call this listener`;
    assertProblems({ listeners: empty }, [message('orders')]);
    const open =
      '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require]';
    assertProblems({ listeners: empty, routes: `${open}, shadow: { require: dpop } }` }, [message('open')]);
    policyOf({ listeners: empty.replace('«', ''), routes: `${open} }` });
  });

  test('an origin is scheme, host, port and a stripped prefix, nothing else', () => {
    const message =
      'listeners[0].origins[0]: is not a valid origin, expected one such as https://api.example.com, "https://*.example.com", "https://**.example.com" or "https://*"';
    for (const origin of [
      'http://a%2eexample',
      'http://*.*.example',
      'http://***.example',
      'http://a.**.example',
      'http://**',
      'http://*x',
      'http://a.example/%zz',
      'http://a.example/../b',
    ]) {
      assertProblems({ listeners: `- { name: public, bind: "127.0.0.1:0", origins: [«"${origin}"] }` }, [message]);
    }
  });

  test('each origin is listed once, however it is spelled', () => {
    assertProblems(
      { listeners: '- { name: public, bind: "127.0.0.1:0", origins: ["http://a.example", «"http://A.example:80/"] }' },
      ['listeners[0].origins[1]: is listed before, expected each origin once'],
    );
  });

  test('an https origin on a listener without tls needs the peer that terminates TLS', () => {
    const listener = (origin: string, rest: string) =>
      `- { name: a, bind: "127.0.0.1:0", origins: [${origin}]${rest} }`;
    assertProblems({ listeners: listener('«https://api.example.com', '') }, [
      'listeners[0].origins[0]: is https on a listener without tls, which no client can call so, expected tls, http, or trusted_peers with the proxy that terminates TLS',
    ]);
    policyOf({ listeners: listener('https://api.example.com', ', trusted_peers: [{ cidr: 10.0.0.0/8 }]') });
  });

  test('an http origin on a listener with tls is refused', () => {
    assertTlsProblems(key('origins: [«http://api.example.com]'), {}, [
      'listeners[0].origins[0]: is http on a listener with tls, which no client can call so, expected https',
    ]);
  });

  test('every https origin is covered by a certificate of the listener: wildcards for one label, addresses as addresses', () => {
    const [sections, surroundings] = tls(
      key(
        'origins: [https://api.example.com, "https://*.shops.example.com", https://a.shops.example.com:8443, https://192.0.2.1, "https://[2001:db8::1]"]',
      ),
    );
    policyOf(sections, surroundings);
    const message = (index: number) =>
      `listeners[0].origins[${index}]: is not covered by any certificate of this listener, expected one that names its host`;
    assertTlsProblems(key('origins: [«https://other.example.com, «"https://*.example.com"]'), {}, [
      message(0),
      message(1),
    ]);
    assertTlsProblems(key('origins: [«https://b.a.shops.example.com, «https://192.0.2.2]'), {}, [
      message(0),
      message(1),
    ]);
  });

  test('behind trusted peers, whose certificate clients meet, an origin that is not covered is only a warning', () => {
    const [sections, surroundings] = tls(
      key('origins: [https://www.example.com]') + key('trusted_peers: [{ cidr: 10.0.0.0/8, forwarding: forwarded }]'),
    );
    assert.deepEqual(warningsOf(sections, surroundings), [
      'listeners[0].origins[0]: is not covered by any certificate of this listener, expected one that names its host',
    ]);
  });

  test('a common name covers nothing, because no client looks at it', async () => {
    const old = await makeCertificate({ subject: 'CN=api.example.com' });
    const files = {
      'listeners.0.tls.certificates.0.cert': old.cert,
      'listeners.0.tls.certificates.0.key_file': old.key,
    };
    assertTlsProblems(key('origins: [«https://api.example.com]'), files, [
      'listeners[0].origins[0]: is not covered by any certificate of this listener, expected one that names its host',
    ]);
  });
});

describe('certificates of the listener', () => {
  const place = (cert: string, keyFile: string) =>
    ({
      listeners: `- name: public\n  bind: "0.0.0.0:8443"\n  tls: { certificates: [{ cert: ${cert}, key_file: ${keyFile} }] }\n${ORIGIN}`,
    }) as const;
  const files = (cert: string, keyFile: string) => ({
    files: { 'listeners.0.tls.certificates.0.cert': cert, 'listeners.0.tls.certificates.0.key_file': keyFile },
  });
  const CERT = 'listeners[0].tls.certificates[0].cert';
  const KEY = 'listeners[0].tls.certificates[0].key_file';

  test('files that are no PEM are refused', () => {
    assertProblems(
      place('«a', '«b'),
      [
        `${CERT}: is not a readable certificate, expected a PEM file`,
        `${KEY}: is not a readable private key, expected a PEM file without password`,
      ],
      files('hello', '-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n'),
    );
  });

  test('a key of another certificate is refused', () => {
    assertProblems(
      place('a', '«b'),
      [`${KEY}: is not the key of cert, expected its private key`],
      files(server.cert, stranger.key),
    );
  });

  test('a certificate that has expired or is not valid yet is refused', () => {
    const now = Date.UTC(2040, 0, 2) / 1000;
    const day = new Date(Date.now() + 24 * 3600 * 1000).toISOString().slice(0, 10);
    const first = new Date(Date.now() - 3600 * 1000).toISOString().slice(0, 10);
    assertProblems(place('«a', 'b'), [`${CERT}: expired on ${day}, expected a certificate that is valid now`], {
      ...files(server.cert, server.key),
      now,
    });
    assertProblems(place('«a', 'b'), [`${CERT}: is not valid before ${first}, expected one that is valid now`], {
      ...files(server.cert, server.key),
      now: Date.UTC(2000, 0, 2) / 1000,
    });
  });
});

describe("clients' certificates", () => {
  const CA_FILE = { 'listeners.0.client_certificate.ca_file': ca.cert };

  test('verify: chain needs ca_file as soon as certificates can come', () => {
    const message =
      'listeners[0].client_certificate: has verify: chain without ca_file, expected ca_file, or verify: possession (RFC 8705 §2.2)';
    assertTlsProblems(ORIGIN + key('client_certificate: «{ request: optional }'), {}, [message]);
    policyOf(...tls(ORIGIN + key('client_certificate: { request: optional, verify: possession }')));
    policyOf(...tls(ORIGIN + key('client_certificate: { request: required, ca_file: ca.pem }'), CA_FILE));
  });

  test('files of authorities and revocation lists are looked into', async () => {
    const text = ORIGIN + key('client_certificate: { request: optional, ca_file: «ca.pem, crl_file: «crl.pem }');
    const wrong = {
      'listeners.0.client_certificate.ca_file': 'none',
      'listeners.0.client_certificate.crl_file': ca.cert,
    };
    assertTlsProblems(text, wrong, [
      'listeners[0].client_certificate.ca_file: has no readable certificates, expected a PEM file with CA certificates',
      'listeners[0].client_certificate.crl_file: has no revocation list, expected a PEM file with X509 CRL blocks',
    ]);
    const crl = await makeCrl(ca, []);
    const policy = policyOf(
      ...tls(text.replaceAll('«', ''), { ...CA_FILE, 'listeners.0.client_certificate.crl_file': crl }),
    );
    assert.deepEqual(policy.listeners[0]?.clientCertificate, {
      request: 'optional',
      verify: 'chain',
      ca: ca.cert,
      crl,
    });
  });

  test('a revocation list under verify: possession is refused, because nothing would look at it', async () => {
    const crl = { 'listeners.0.client_certificate.crl_file': await makeCrl(ca, []) };
    assertTlsProblems(
      ORIGIN + key('client_certificate: { request: optional, verify: possession, crl_file: «crl.pem }'),
      crl,
      [
        'listeners[0].client_certificate.crl_file: is never used under verify: possession, expected verify: chain or no crl_file',
      ],
    );
  });

  test('a listener without tls cannot ask for certificates', () => {
    assertProblems(
      {
        listeners:
          '- { name: a, bind: "127.0.0.1:0", origins: ["http://a.example"], client_certificate: { request: «optional, verify: possession } }',
      },
      ['listeners[0].client_certificate.request: is optional on a listener without tls, expected tls or none'],
    );
  });
});

describe('trusted peers', () => {
  const listener = (rest: string) => ({
    listeners: `- name: a\n  bind: "127.0.0.1:0"\n  origins: ["http://a.example"]\n${rest}`,
  });

  test('a certificate field is believed only from a trusted peer', () => {
    assertProblems(
      listener(
        '  client_certificate_from: «{ format: xfcc, field: X-Forwarded-Client-Cert }\n  client_certificate: { verify: possession }',
      ),
      [
        'listeners[0].client_certificate_from: is not believed from any peer, expected trusted_peers with the proxy that sends the field',
      ],
    );
  });

  test('a certificate from a peer is verified like any other: chain needs ca_file', () => {
    const from =
      '  trusted_peers: [{ cidr: 10.0.0.0/8 }]\n  client_certificate_from: { format: rfc9440, field: Client-Cert }\n';
    assertProblems(listener(`${from}  client_certificate: «{ request: none }`), [
      'listeners[0].client_certificate: has verify: chain without ca_file, expected ca_file, or verify: possession (RFC 8705 §2.2)',
    ]);
    const policy = policyOf(listener(`${from}  client_certificate: { verify: possession }`));
    assert.deepEqual(policy.listeners[0]?.clientCertificateFrom, { format: 'rfc9440', field: 'client-cert' });
    assert.ok(policy.managedFields.names.has('client-cert'));
  });

  test('without `field` it comes in the field of the format', () => {
    const sourceOf = (source: string) =>
      policyOf(
        listener(
          `  trusted_peers: [{ cidr: 10.0.0.0/8 }]\n  client_certificate: { verify: possession }\n  client_certificate_from: ${source}`,
        ),
      ).listeners[0]?.clientCertificateFrom;
    for (const [format, { field }] of Object.entries(CERTIFICATE_FORMATS)) {
      if (format === 'envoy-attribute') continue; // no field at all, and only with dialect: envoy-grpc
      assert.deepEqual(sourceOf(`{ format: ${format} }`), { format, field });
    }
    const xfcc = { format: 'xfcc', field: 'x-forwarded-client-cert' };
    assert.deepEqual(sourceOf('{ format: xfcc, element: 2 }'), { ...xfcc, element: 2 });
    assert.deepEqual(sourceOf('{ format: xfcc, element: last }'), { ...xfcc, element: 'last' });
  });

  test('an element is chosen in XFCC alone', () => {
    const from = (rest: string) =>
      listener(
        `  trusted_peers: [{ cidr: 10.0.0.0/8 }]\n  client_certificate: { verify: possession }\n  client_certificate_from: { ${rest} }`,
      );
    assertProblems(from('format: traefik, element: «last'), [
      'listeners[0].client_certificate_from.element: means nothing to traefik, whose fields have one element, expected no element',
    ]);
  });

  test('a certificate does not come in a field that frames the message or that the gateway sets', () => {
    const from = (field: string) =>
      listener(
        `  trusted_peers: [{ cidr: 10.0.0.0/8 }]\n  client_certificate: { verify: possession }\n  client_certificate_from: { format: xfcc, field: «${field} }`,
      );
    assertProblems(from('Connection'), [
      'listeners[0].client_certificate_from.field: frames or routes the message itself, expected another field name',
    ]);
    assertProblems(from('DPoP'), [
      'listeners[0].client_certificate_from.field: is what the gateway sets itself, expected another field name',
    ]);
  });

  test("a peer's certificate name counts only where its chain is verified", () => {
    const message =
      'listeners[0].trusted_peers[0].certificate_san: can never be verified here, expected tls, and client_certificate with request: optional or required and verify: chain';
    assertProblems(listener('  trusted_peers: [{ certificate_san: «lb.internal }]'), [message]);
    assertTlsProblems(
      ORIGIN +
        key('client_certificate: { request: optional, verify: possession }') +
        key('trusted_peers: [{ certificate_san: «lb.internal }]'),
      {},
      [message],
    );
  });

  test('a PROXY header comes before any certificate, so somebody must be trusted to send it by address alone', () => {
    const from = (peers: string) => listener(`  trusted_peers: [${peers}]\n  proxy_protocol: «required\n`);
    const nobody =
      'listeners[0].proxy_protocol: is required and not taken from any peer, expected an entry with cidr alone in trusted_peers: ' +
      'the balancer that sends the header, whose certificate is not known when it comes';
    assertProblems(from(''), [nobody]);
    const both = '{ cidr: 10.0.0.0/8, certificate_san: lb.internal }';
    const named = `${ORIGIN}  client_certificate: { request: optional, ca_file: ca.pem }\n`;
    const ca_file = { 'listeners.0.client_certificate.ca_file': ca.cert };
    const keyed = (peers: string) => `${named}  trusted_peers: [${peers}]\n  proxy_protocol: «required\n`;
    assertTlsProblems(keyed(both), ca_file, [nobody]);
    assertTlsProblems(keyed('{ certificate_san: lb.internal }'), ca_file, [nobody]);
    const [sections, surroundings] = tls(keyed(`${both}, { cidr: 10.0.0.7/32 }`).replace('«', ''), ca_file);
    assert.equal(policyOf(sections, surroundings).listeners[0]?.proxyProtocol, true);
  });

  test('on a unix socket no peer has an address, so nobody could send a PROXY header', () => {
    const keys = 'origins: ["http://a.example"], trusted_peers: [{ cidr: 10.0.0.0/8 }], proxy_protocol: «required';
    assertProblems({ listeners: `- { name: public, bind: "unix:/run/holdfast.sock", ${keys} }` }, [
      'listeners[0].proxy_protocol: is required on a unix socket, where no peer has an address to be trusted by, ' +
        'expected a bind of host:port, or none',
    ]);
  });
});
