// The compiler as a whole: all problems at once, and a frozen result.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertProblems, compileText, configuration, policyOf, warningsOf } from '../../support/policies.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

describe('issuers', () => {
  const issuer = (url: string, rest = '') => `login: { issuer: ${url}, audience: [a]${rest} }`;
  const message =
    'is http beyond loopback, where keys can be replaced on the way, expected https, or insecure_http: true on the issuer';

  test('an issuer over http is taken on loopback alone, or where insecure_http names the risk', () => {
    for (const url of ['http://login.example.com', 'http://127.example.com', 'http://10.0.0.1:8080/realm']) {
      assertProblems({ issuers: issuer(`«${url}`) }, [`issuers.login.issuer: ${message}`]);
      policyOf({ issuers: issuer(url, ', insecure_http: true') });
    }
    for (const url of ['http://localhost:9400', 'http://127.0.0.1', 'http://[::1]:8080'])
      policyOf({ issuers: issuer(`"${url}"`) });
  });

  test('so are the places of its keys', () => {
    for (const key of ['discovery_uri', 'jwks_uri']) {
      assertProblems({ issuers: issuer('https://a.example', `, keys: { ${key}: «http://a.example/keys }`) }, [
        `issuers.login.keys.${key}: ${message}`,
      ]);
    }
  });

  test('keys come from discovery, from one URI or from a file that is a key set', () => {
    const keys = (written: string, files = {}) =>
      policyOf({ issuers: issuer('https://a.example', `, keys: ${written}`) }, { files }).issuers[0]?.keys;
    assert.deepEqual(keys('discovery'), { from: 'discovery', uri: undefined });
    assert.deepEqual(keys('{ discovery_uri: https://a.example/d }'), { from: 'discovery', uri: 'https://a.example/d' });
    assert.deepEqual(keys('{ jwks_uri: https://a.example/k }'), { from: 'jwks_uri', uri: 'https://a.example/k' });
    const file = { 'issuers.login.keys.jwks_file': '{"keys":[{"kty":"EC"}]}' };
    assert.deepEqual(keys('{ jwks_file: k.json }', file), {
      from: 'jwks_file',
      file: '/etc/holdfast/issuers.login.keys.jwks_file',
    });
    for (const content of ['', 'no JSON', '[]', 'null', '{"keys":[]}', '{"keys":{}}', '{"kty":"EC"}']) {
      assertProblems(
        { issuers: issuer('https://a.example', ', keys: { jwks_file: «k.json }') },
        [
          'issuers.login.keys.jwks_file: is not a valid key set, expected a JSON file { "keys": [ … ] } with at least one key (RFC 7517 §5)',
        ],
        { files: { 'issuers.login.keys.jwks_file': content } },
      );
    }
  });
});

describe('upstreams', () => {
  const upstream = (target: string, rest = '') => `orders: { targets: [${target}]${rest} }`;

  test('insecure_close_delimited is for https targets over HTTP/1.1, and a problem where it would never be used', () => {
    const message =
      'upstreams.orders.insecure_close_delimited: is never used because no target is https of HTTP/1.1, where alone such ' +
      'answers are refused; expected without it';
    for (const [target, rest] of [
      ['"http://127.0.0.1:9000"', ''],
      ['"https://orders:8443"', ', http2: true'],
    ] as const) {
      assertProblems({ upstreams: upstream(target, `${rest}, insecure_close_delimited: «true`) }, [message]);
    }
    const taken = policyOf({ upstreams: upstream('"https://orders:8443"', ', insecure_close_delimited: true') });
    assert.equal(taken.upstreams[0]?.closeDelimited, true);
    assert.equal(policyOf({ upstreams: upstream('"https://orders:8443"') }).upstreams[0]?.closeDelimited, false);
  });

  test('http to a target is taken on loopback and unix sockets, or where insecure_plain_http names the risk', () => {
    const message =
      'upstreams.orders.targets[0]: is http beyond loopback, where identity fields and tokens can be read and changed, ' +
      'expected https, a loopback address, unix:/path, or insecure_plain_http: true on the upstream';
    for (const target of [
      'http://orders:8080',
      'http://10.0.0.1',
      'http://127.evil.example',
      'http://localhost.example.com',
    ]) {
      assertProblems({ upstreams: upstream(`«"${target}"`) }, [message]);
      policyOf({ upstreams: upstream(`"${target}"`, ', insecure_plain_http: true') });
    }
    const origin = (target: string) => policyOf({ upstreams: upstream(`"${target}"`) }).upstreams[0]?.targets[0];
    assert.deepEqual(origin('http://LOCALHOST:80'), { origin: 'http://localhost', socketPath: undefined });
    assert.deepEqual(origin('https://Orders.example:8443'), {
      origin: 'https://orders.example:8443',
      socketPath: undefined,
    });
    assert.deepEqual(origin('unix:/run/orders.sock'), { origin: 'http://localhost', socketPath: '/run/orders.sock' });
  });

  test('a target that is no host is refused', () => {
    for (const target of ['http://a:99999', 'http://a%41', 'http://[::1', 'http://[fe80::1%25eth0]', 'http://a:b']) {
      assertProblems({ upstreams: upstream(`«"${target}"`) }, [
        'upstreams.orders.targets[0]: is not a valid host with an optional port, expected one such as http://127.0.0.1:9000',
      ]);
    }
  });

  test('tls where no target is https is refused, because nothing would be encrypted', () => {
    assertProblems({ upstreams: upstream('"http://127.0.0.1"', ', tls: «{ server_name: orders }') }, [
      'upstreams.orders.tls: is never used because no target is https, expected https targets or no tls',
    ]);
  });

  test('a target is listed once, however it is spelled', () => {
    const again = 'is listed before, expected each target once';
    assertProblems(
      { upstreams: upstream('"http://127.0.0.1", "unix:/a", «"http://127.0.0.1:80", "https://127.0.0.1", «"unix:/a"') },
      [`upstreams.orders.targets[2]: ${again}`, `upstreams.orders.targets[4]: ${again}`],
    );
  });

  test('health checks of a single target are taken with a warning, since requests cannot turn away from it', () => {
    const health = ', health: { path: /healthz }';
    const [warning, ...others] = warningsOf({ upstreams: upstream('"http://127.0.0.1"', health) });
    assert.match(warning ?? '', /^upstreams\.orders\.health: decides nothing, because there is no other target/);
    assert.deepEqual(others, []);
    assert.deepEqual(warningsOf({ upstreams: upstream('"http://127.0.0.1", "http://127.0.0.2"', health) }), []);
  });

  test("the gateway's own certificate for an upstream is looked into like a listener's", async () => {
    const [own, ca] = [await makeCertificate(), await makeCa()];
    const files = (cert: string) => ({
      'upstreams.orders.tls.ca_file': ca.cert,
      'upstreams.orders.tls.cert': cert,
      'upstreams.orders.tls.key_file': own.key,
    });
    const sections = (mark: string) => ({
      upstreams: upstream(
        '"https://orders"',
        `, tls: { ca_file: ca.pem, cert: a, key_file: ${mark}b, server_name: o }`,
      ),
    });
    assert.deepEqual(policyOf(sections(''), { files: files(own.cert) }).upstreams[0]?.tls, {
      ca: ca.cert,
      cert: own.cert,
      key: own.key,
      serverName: 'o',
      subjectAltNames: undefined,
    });
    assertProblems(sections('«'), ['upstreams.orders.tls.key_file: is not the key of cert, expected its private key'], {
      files: files(ca.cert),
    });
  });
});

describe('nonce and replay', () => {
  test('nonce secrets are trimmed and have at least 32 bytes', () => {
    const more = 'nonce: { secret_files: [«a, «b, c] }\n';
    const message = (index: number) =>
      `nonce.secret_files[${index}]: has too few bytes, expected a secret of at least 32, white space at its ends not counted`;
    assertProblems({ more }, [message(0), message(1)], {
      files: {
        'nonce.secret_files.0': '',
        'nonce.secret_files.1': `${'x'.repeat(31)} \n\n`,
        'nonce.secret_files.2': 'x'.repeat(32),
      },
    });
    const bytes = `\xff${'\0'.repeat(30)}\xa0`;
    const policy = policyOf(
      { more: 'nonce: { secret_files: [a] }\n' },
      { files: { 'nonce.secret_files.0': ` \t${bytes}\r\n` } },
    );
    assert.deepEqual(policy.nonce.secrets, [Buffer.from(bytes, 'latin1')]);
  });

  test('an automatic capacity has room for 6000 proofs per second over the longest time one is remembered', () => {
    const capacity = (more: string) => policyOf({ more }).replay.capacity;
    assert.equal(capacity(''), 6000 * (120 + 15));
    assert.equal(capacity('defaults: { dpop: { max_age: 10m, clock_tolerance: 5s } }\n'), 6000 * (600 + 5));
    assert.equal(capacity('nonce: { lifetime: 1s }\n'), 6000 * (60 + 15));
    assert.equal(capacity('replay: { capacity: 5000 }\n'), 5000);
  });
});

describe('the policy', () => {
  test('all problems are reported at once, in the order of the file', () => {
    assertProblems(
      {
        listeners: '- { name: public, bind: «"0.0.0.0:80", origins: ["http://a.example", «"http://a.example"] }',
        issuers: 'login: { issuer: «http://login.example.com, audience: [a] }',
        upstreams: 'orders: { targets: [«"http://orders"] }',
        routes: '- { name: a, match: { path: «/a*, host: «b.example }, upstream: «other, require: «mtls }',
      },
      [
        'listeners[0].bind: is plain HTTP beyond loopback, where tokens can be read and stolen, expected tls, a loopback address, a unix socket, or insecure_plain_http: true',
        'listeners[0].origins[1]: is listed before, expected each origin once',
        'issuers.login.issuer: is http beyond loopback, where keys can be replaced on the way, expected https, or insecure_http: true on the issuer',
        'upstreams.orders.targets[0]: is http beyond loopback, where identity fields and tokens can be read and changed, expected https, a loopback address, unix:/path, or insecure_plain_http: true on the upstream',
        'routes[0].match.path: has "*" next to other characters, expected it to stand for one whole segment',
        'routes[0].match.host: is the host of no origin of its listeners, expected one of these: a.example',
        'routes[0].upstream: is not a declared upstream, expected one of: orders',
        'routes[0].require: demands a certificate that listener public neither asks for nor is told of, expected client_certificate.request: optional or required there, client_certificate_from, or match.listeners without it',
      ],
    );
  });

  test('its id is the same for replicas and another for the next gateway: it names text and values', () => {
    const idOf = (text: string) => {
      const compiled = compileText(text);
      assert.ok('policy' in compiled);
      return compiled.policy.id;
    };
    const text = configuration({});
    assert.match(idOf(text), /^[0-9a-f]{8}$/);
    assert.equal(idOf(text), idOf(text));
    assert.notEqual(idOf(text), idOf(`${text}# a comment\n`));
  });

  test('every object in it is frozen, however deep', () => {
    const seen = new Set<object>();
    const look = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) return;
      seen.add(value);
      assert.ok(Object.isFrozen(value), path);
      const inner = value instanceof Map ? [...value] : Object.entries(value);
      for (const [key, one] of inner) look(one, `${path}.${key}`);
    };
    look(policyOf({}), 'policy');
    assert.ok(seen.size > 40, 'looked at something');
  });
});
