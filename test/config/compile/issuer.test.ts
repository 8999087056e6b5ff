// Compilation of issuers: names, marks of access tokens, audiences, warnings.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { schema } from '../../../src/config/schema/schema.ts';
import { assertProblems, configuration, policyOf, warningsOf } from '../../support/policies.ts';
import { parse } from 'yaml';

const KEYS = ', keys: { jwks_uri: https://login.example.com/keys }';
const issuer = (name: string, rest = '') => `login: { issuer: ${name}, audience: [api]${rest} }`;
const issuerOf = (name: string, rest = '') => policyOf({ issuers: issuer(name, rest) }).issuers[0];

describe('the name of an issuer', () => {
  test('need not be an https URL where the place of its keys is named', () => {
    for (const name of [
      'http://adfs.example.com/adfs/services/trust',
      'acme.com',
      'urn:example:login',
      'accounts@acme',
    ]) {
      assert.equal(issuerOf(`"${name}"`, KEYS)?.issuer, name);
      assert.equal(issuerOf(`"${name}"`, KEYS)?.insecureHttp, false);
      const elsewhere = ', keys: { discovery_uri: https://login.example.com/metadata }';
      assert.equal(issuerOf(`"${name}"`, elsewhere)?.issuer, name);
    }
  });

  test('has to be one where keys, or the endpoint of introspection, are discovered from it', () => {
    const expected = 'expected keys: { jwks_uri: … }, { discovery_uri: … } or { jwks_file: … } as well';
    for (const name of ['acme.com', 'urn:example:login', 'ftp://acme.com']) {
      assertProblems({ issuers: issuer(`«"${name}"`) }, [
        `issuers.login.issuer: is not a URL, so nothing can be discovered there, ${expected}`,
      ]);
    }
    const introspection = (more: string) => `, introspection: { client_id: gateway, client_secret_file: s${more} }`;
    const surroundings = { files: { 'issuers.login.introspection.client_secret_file': 'secret' } };
    assertProblems(
      { issuers: issuer('«acme.com', KEYS + introspection('')) },
      [
        'issuers.login.issuer: is not a URL, so nothing can be discovered there, expected introspection.endpoint as well',
      ],
      surroundings,
    );
    const endpoint = ', endpoint: https://login.example.com/introspect';
    policyOf({ issuers: issuer('acme.com', KEYS + introspection(endpoint)) }, surroundings);
    assertProblems(
      { issuers: issuer('«http://login.example.com', KEYS + introspection('')) },
      [
        'issuers.login.issuer: is http beyond loopback, where keys can be replaced on the way, expected https, or insecure_http: true on the issuer',
      ],
      surroundings,
    );
  });

  test('is text without blanks, and as a URL without query, fragment and userinfo', () => {
    const takes = (name: string) =>
      schema.safeParse(parse(configuration({ issuers: issuer(JSON.stringify(name), KEYS) }))).success;
    for (const name of ['acme.com', 'https://a.example/', 'http://a.example:8080/x', 'x']) assert.ok(takes(name), name);
    for (const name of [
      '',
      'a b',
      'https://',
      'https://a.example/?t=1',
      'https://a.example/#x',
      'https://u@a.example',
      'https:a',
      'é',
      'a\n',
    ])
      assert.ok(!takes(name), name);
  });

  test('is never that of many tenants: no token has it', () => {
    const message =
      'issuers.login.issuer: stands for many tenants, and no token has it in iss, expected one issuer for each tenant whose ' +
      'tokens count, with the ID of the tenant in its place';
    for (const name of [
      'https://login.microsoftonline.com/{tenantid}/v2.0',
      'https://login.microsoftonline.com/common/v2.0',
      'https://login.microsoftonline.com/organizations/v2.0',
      'https://login.microsoftonline.us/common',
      'https://login.example.com/{tenant}',
    ]) {
      assertProblems({ issuers: issuer(`«"${name}"`, KEYS) }, [message]);
    }
    const tenant = 'https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0';
    assert.equal(issuerOf(tenant)?.issuer, tenant);
    assert.ok(issuerOf('https://login.example.com/common/v2.0'));
  });
});

describe('a mark of access tokens', () => {
  test('is any, or claims with a value, values, or whatever value', () => {
    assert.equal(issuerOf('https://a.example')?.accessToken, undefined);
    assert.equal(issuerOf('https://a.example', ', access_token: any')?.accessToken, 'any');
    assert.deepEqual(
      issuerOf(
        'https://a.example',
        ', access_token: { token_use: access, typ: [Bearer, DPoP], scp: present, api: true }',
      )?.accessToken,
      [
        { claim: 'token_use', anyOf: ['access'] },
        { claim: 'typ', anyOf: ['Bearer', 'DPoP'] },
        { claim: 'scp', anyOf: undefined },
        { claim: 'api', anyOf: [true] },
      ],
    );
  });

  test('of answers is another matter', () => {
    const introspection =
      ', introspection: { client_id: gateway, client_secret_file: s, signed: true, access_token: { token_type: access_token } }';
    const surroundings = { files: { 'issuers.login.introspection.client_secret_file': 'secret' } };
    const [one] = policyOf({ issuers: issuer('https://a.example', introspection) }, surroundings).issuers;
    assert.deepEqual(one?.introspection?.accessToken, [{ claim: 'token_type', anyOf: ['access_token'] }]);
    assert.deepEqual([one?.introspection?.signed, one?.accessToken], [true, undefined]);
  });

  test('that names ID tokens or refresh tokens is a problem', () => {
    const message =
      'names tokens of another kind, which are refused whatever is configured, expected what marks access tokens, such as access or Bearer';
    for (const [claim, value] of [
      ['token_use', 'id'],
      ['typ', '[Bearer, Refresh]'],
    ]) {
      assertProblems({ issuers: issuer('https://a.example', `, access_token: { ${claim}: «${value} }`) }, [
        `issuers.login.access_token.${claim}: ${message}`,
      ]);
    }
  });

  test('is something', () => {
    for (const written of ['{}', '[]', 'none', '{ scp: [] }', '{ scp: 5 }', '{ "@issuer": x }']) {
      const text = configuration({ issuers: issuer('https://a.example', `, access_token: ${written}`) });
      assert.ok(!schema.safeParse(parse(text)).success, written);
    }
  });
});

test('what is taken on trust is pointed out', () => {
  assert.deepEqual(
    warningsOf({ issuers: issuer('https://a.example', ', audience_claim: client_id, access_token: any') }),
    [
      'issuers.login.audience_claim: lets tokens without aud pass by client_id, which may name the client that a token was issued to and not the API it is for',
      'issuers.login.access_token: takes every token for an access token that does not say what it is: ID tokens for this audience too',
    ],
  );
  assert.deepEqual(warningsOf({ issuers: issuer('https://a.example', ', access_token: { scp: present }') }), []);
});

test('a key set may begin with a byte order mark, and so may the key or the secret by which the gateway asks', () => {
  const mark = '\xef\xbb\xbf';
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const files = {
    'issuers.login.keys.jwks_file': `${mark}{"keys":[{"kty":"EC"}]}`,
    'issuers.login.introspection.client_secret_file': `${mark}secret\r\n`,
  };
  const credentialsOf = (file: string, content: string) =>
    policyOf(
      {
        issuers: issuer(
          'https://a.example',
          `, keys: { jwks_file: k.json }, introspection: { client_id: gateway, ${file}: f }`,
        ),
      },
      { files: { ...files, [`issuers.login.introspection.${file}`]: `${mark}${content}` } },
    ).issuers[0]?.introspection?.credentials;
  assert.deepEqual(credentialsOf('client_secret_file', 'secret\r\n'), {
    method: 'client_secret_basic',
    secret: 'secret',
  });
  for (const content of [JSON.stringify(key.export({ format: 'jwk' })), key.export({ format: 'pem', type: 'pkcs8' })])
    assert.equal(credentialsOf('private_key_file', content)?.method, 'private_key_jwt');
});

test('an issuer that no route looks at holds nothing back', () => {
  const issuers = ['login', 'spare', 'public'].map(
    (name) => `${name}: { issuer: https://${name}.example, audience: [api] }`,
  );
  const route = (name: string, more: string) =>
    `- { name: ${name}, match: { path: /${name} }, upstream: orders, ${more} }`;
  const weaker = 'weaker_than_defaults: [require]';
  const routes = [route('a', 'issuers: [login]'), route('b', `require: public, ${weaker}`)].join('\n');
  const awaited = (written: string) => [...policyOf({ issuers: issuers.join('\n'), routes: written }).awaitedIssuers];
  assert.deepEqual(awaited(routes), ['login']);
  const shadowed = route('c', `require: public, issuers: [spare], shadow: { require: dpop }, ${weaker}`);
  assert.deepEqual(awaited(`${routes}\n${shadowed}`), ['login', 'spare']);
});
