// Introspection in the configuration: credentials, endpoints, one asked issuer per route.

import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, test } from 'node:test';
import { describePolicy } from '../../../src/config/report/describe.ts';
import { checkConfig } from '../../../src/config/schema/check.ts';
import { makeCertificate } from '../../support/pki.ts';
import { assertProblems, policyOf } from '../../support/policies.ts';

const AT = 'issuers.login.introspection';
const issuers = (introspection: string, more = '') =>
  `login: { issuer: https://a.example, audience: [a], introspection: { client_id: gateway, ${introspection} }${more} }`;
const SECRET = { [`${AT}.client_secret_file`]: ' s3cret \r\n' };
const rulesOf = (introspection: string, files: Readonly<Record<string, string>> = SECRET, more = '') =>
  policyOf({ issuers: issuers(introspection, more) }, { files }).issuers[0]?.introspection;

describe('credentials', () => {
  test('are a secret, white space at its ends not counted, and not nothing', () => {
    assert.deepEqual(rulesOf('client_secret_file: s'), {
      endpoint: undefined,
      clientId: 'gateway',
      credentials: { method: 'client_secret_basic', secret: 's3cret' },
      accessToken: undefined,
      signed: false,
      always: false,
      cache: 30,
    });
    assertProblems(
      { issuers: issuers('client_secret_file: «s') },
      [
        `${AT}.client_secret_file: has nothing in it, expected the secret of the client, white space at its ends not counted`,
      ],
      { files: { [`${AT}.client_secret_file`]: ' \n' } },
    );
  });

  const pem = (pair: { privateKey: KeyObject }) => pair.privateKey.export({ type: 'pkcs8', format: 'pem' });
  const jwk = (pair: { privateKey: KeyObject }, more = {}) =>
    JSON.stringify({ ...pair.privateKey.export({ format: 'jwk' }), ...more });
  const P256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });

  test('are a private key in PEM or JWK, which says its algorithm', () => {
    const signing = (text: string) => {
      const credentials = rulesOf('private_key_file: k', { [`${AT}.private_key_file`]: text })?.credentials;
      assert.ok(credentials?.method === 'private_key_jwt' && credentials.key.startsWith('-----BEGIN PRIVATE KEY-----'));
      return [credentials.alg, credentials.kid];
    };
    assert.deepEqual(signing(pem(P256)), ['ES256', undefined]);
    assert.deepEqual(signing(pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }))), ['ES384', undefined]);
    assert.deepEqual(signing(pem(generateKeyPairSync('ed25519'))), ['EdDSA', undefined]);
    assert.deepEqual(signing(pem(RSA)), ['RS256', undefined]);
    assert.deepEqual(signing(jwk(RSA, { alg: 'PS256', kid: 'k1' })), ['PS256', 'k1']);
    assert.deepEqual(signing(jwk(P256, { kid: 'k2' })), ['ES256', 'k2']);
  });

  test('are no key that cannot sign, and none of it is repeated', () => {
    const publicJwk = JSON.stringify(P256.publicKey.export({ format: 'jwk' }));
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const wrong = [
      '',
      'no key',
      publicJwk,
      jwk(P256, { alg: 'RS256' }),
      jwk(P256, { kid: 5 }),
      jwk(RSA, { alg: 'none' }),
      pem(small),
      pem(generateKeyPairSync('x25519')),
      pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' })),
    ];
    for (const text of wrong) {
      assertProblems(
        { issuers: issuers('private_key_file: «k') },
        [
          `${AT}.private_key_file: cannot sign client assertions (RFC 7523), expected a private key in PEM or JWK: EC P-256, P-384 or P-521, Ed25519, or RSA of at least 2048 bits`,
        ],
        { files: { [`${AT}.private_key_file`]: text } },
      );
    }
  });

  test('are a certificate with its key', async () => {
    const own = await makeCertificate({ names: ['gateway.internal'] });
    const files = { [`${AT}.cert`]: own.chain, [`${AT}.key_file`]: own.key };
    assert.deepEqual(rulesOf('cert: c, key_file: k', files)?.credentials, {
      method: 'tls_client_auth',
      cert: own.chain,
      key: own.key,
    });
    const other = await makeCertificate({ names: ['gateway.internal'] });
    assertProblems(
      { issuers: issuers('cert: c, key_file: «k') },
      [`${AT}.key_file: is not the key of cert, expected its private key`],
      { files: { ...files, [`${AT}.key_file`]: other.key } },
    );
  });

  test('are exactly one of these', () => {
    const problemsOf = (introspection: object) => {
      const login = {
        issuer: 'https://a.example',
        audience: ['a'],
        introspection: { client_id: 'g', ...introspection },
      };
      const { findings } = checkConfig(
        {
          version: 1,
          listeners: [{ name: 'public', bind: '127.0.0.1:0' }],
          issuers: { login },
          upstreams: { orders: { targets: ['http://127.0.0.1:9000'] } },
          routes: [{ name: 'orders', match: { path: '/*' }, upstream: 'orders' }],
        },
        () => undefined,
      );
      return findings.map(({ path, message }) => `${path.join('.')}: ${message}`);
    };
    for (const one of [{ client_secret_file: 's' }, { private_key_file: 'k' }, { cert: 'c', key_file: 'k' }])
      assert.deepEqual(problemsOf(one), []);
    const wrong = [
      {},
      { cert: 'c' },
      { key_file: 'k' },
      { client_secret_file: 's', private_key_file: 'k' },
      { client_secret_file: 's', key_file: 'k' },
      { client_secret_file: 's', cert: 'c', key_file: 'k' },
    ];
    for (const some of wrong) {
      const [problem = ''] = problemsOf(some);
      assert.match(
        problem,
        /^issuers\.login\.introspection: .*expected exactly one of client_secret_file, private_key_file, and cert with key_file$/,
      );
    }
  });
});

describe('the endpoint', () => {
  test('is https, or loopback, or anywhere where insecure_http names the risk', () => {
    const http = 'http://login.internal/introspect';
    assertProblems(
      { issuers: issuers(`client_secret_file: s, endpoint: «${http}`) },
      [
        `${AT}.endpoint: is http beyond loopback, where tokens can be read and answers be replaced on the way, expected https, or insecure_http: true on the issuer`,
      ],
      { files: SECRET },
    );
    assert.equal(rulesOf(`client_secret_file: s, endpoint: ${http}`, SECRET, ', insecure_http: true')?.endpoint, http);
    for (const url of ['https://a.example/introspect', 'http://127.0.0.1:9400/introspect'])
      assert.equal(rulesOf(`client_secret_file: s, endpoint: "${url}"`)?.endpoint, url);
  });

  test('is https where a certificate is to be shown', async () => {
    const own = await makeCertificate({ names: ['gateway.internal'] });
    assertProblems(
      { issuers: issuers('cert: c, key_file: k, endpoint: «http://127.0.0.1/introspect') },
      [`${AT}.endpoint: is http, where no certificate can be shown, expected https`],
      { files: { [`${AT}.cert`]: own.chain, [`${AT}.key_file`]: own.key } },
    );
  });
});

describe('a route', () => {
  const two = ['one', 'two', 'plain']
    .map((name) => {
      const asked = name === 'plain' ? '' : ', introspection: { client_id: g, client_secret_file: s }';
      return `${name}: { issuer: https://${name}.example, audience: [a]${asked} }`;
    })
    .join('\n');
  const files = {
    'issuers.one.introspection.client_secret_file': 's',
    'issuers.two.introspection.client_secret_file': 's',
  };
  const route = (names: string) => `- { name: orders, match: { path: /* }, upstream: orders, issuers: [${names}] }`;

  test('asks one issuer about opaque tokens at most', () => {
    assertProblems(
      { issuers: two, routes: route('plain, one, «two') },
      [
        'routes[0].issuers[2]: is asked about opaque tokens as one is, and nothing in a token says whose it is, expected one such issuer at most',
      ],
      { files },
    );
    policyOf({ issuers: two, routes: route('plain, two') }, { files });
  });

  test('says in plain words who is asked, how long an answer counts, and what nobody may take for granted', () => {
    const described = (audience: string) => {
      const policy = policyOf(
        {
          issuers: two,
          routes: `- { name: orders, match: { path: /* }, upstream: orders, issuers: [one, plain]${audience} }`,
        },
        { files },
      );
      return describePolicy(policy).routes[0];
    };
    const { demands = [], notEnforced = [] } = described('') ?? {};
    assert.ok(
      demands.includes(
        'opaque tokens: https://one.example is asked at the endpoint of its metadata (RFC 7662) by g with client_secret_basic; an answer counts 30 s',
      ),
    );
    assert.deepEqual(
      notEnforced.filter((line) => /revocation|opaque/.test(line)),
      [
        'revocation at once: for 30 s a token counts as its issuer said; a signed one until it expires',
        'revocation: a signed token counts until it expires',
        'audience of opaque tokens whose issuer names none: give the route an audience to demand one',
      ],
    );
    assert.ok(!described(', audience: [b]')?.notEnforced.some((line) => line.startsWith('audience')));
  });
});

test('nothing of a secret or key is in what check prints', () => {
  const policy = policyOf({ issuers: issuers('client_secret_file: s') }, { files: SECRET });
  assert.doesNotMatch(JSON.stringify(describePolicy(policy)), /s3cret/);
});
