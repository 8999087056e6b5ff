// The key set of an issuer: which keys count, by which algorithm, and which one a token names.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { calculateJwkThumbprint, exportJWK } from 'jose';
import { chooseKey, type KeySet, readKeySet, type VerificationKey } from '../../src/jose/key-set.ts';
import { makeKey } from '../support/tokens.ts';

const LIST = ['ES256', 'ES384', 'PS256', 'EdDSA', 'RS256'];

async function read(keys: unknown[], algorithms: readonly string[] = LIST): Promise<KeySet> {
  const set = await readKeySet({ keys }, algorithms);
  assert.notEqual(set, 'malformed');
  return set as KeySet;
}

const ec = (await makeKey('ES256', 'ec')).jwk;
const okp = (await makeKey('EdDSA', 'okp')).jwk;
const rsa = (await makeKey('RS256', 'rsa')).jwk;
const without = (jwk: object, ...members: string[]) =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !members.includes(name)));

describe('a document that is no key set', () => {
  for (const json of [null, 7, 'keys', [], {}, { keys: {} }, { keys: null }]) {
    test(`is malformed: ${JSON.stringify(json)}`, async () => {
      assert.equal(await readKeySet(json, LIST), 'malformed');
    });
  }

  test('is not what an empty set is: all keys are withdrawn', async () => {
    assert.deepEqual(await readKeySet({ keys: [] }, LIST), { keys: [], unused: [] });
  });
});

describe('a key that does not count is left out and spoils no other', () => {
  const cases: [string, unknown, string][] = [
    ['no object', 'key', 'malformed'],
    ['null', null, 'malformed'],
    ['a kid that is no string', { ...ec, kid: 7 }, 'malformed'],
    ['a member missing', without(ec, 'y'), 'malformed'],
    ['a member of the wrong type', { ...ec, x: 7 }, 'malformed'],
    ['a point off its curve', { ...ec, y: ec.x }, 'malformed'],
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0', alg: 'HS256', kid: 'oct' }, 'private'],
    ['a symmetric key that says it is an EC key', { ...ec, k: 'c2VjcmV0' }, 'private'],
    ['for encryption', { ...ec, use: 'enc' }, 'not-for-signatures'],
    ['for a use that we do not know', { ...ec, use: 'other' }, 'not-for-signatures'],
    ['operations without verify', { ...ec, key_ops: ['encrypt'] }, 'not-for-signatures'],
    ['operations that are no list', { ...ec, key_ops: 'verify' }, 'not-for-signatures'],
    ['an algorithm for encryption', { ...rsa, alg: 'RSA-OAEP-256' }, 'unsupported'],
    ['HS256 on a public key', { ...rsa, alg: 'HS256' }, 'unsupported'],
    ['an algorithm that is no string', { ...ec, alg: ['ES256'] }, 'unsupported'],
    ['an algorithm of another curve', { ...ec, alg: 'ES384' }, 'unsupported'],
    ['an algorithm of another type', { ...ec, alg: 'RS256' }, 'unsupported'],
    ['an RSA key that says it is an EC key', { ...rsa, kty: 'EC' }, 'unsupported'],
    ['a curve that no algorithm names', { kty: 'EC', crv: 'secp256k1', x: ec.x, y: ec.y }, 'unsupported'],
    ['X25519, which signs nothing', { ...without(okp, 'alg'), crv: 'X25519' }, 'unsupported'],
    ['a type that we do not know', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA' }, 'unsupported'],
  ];
  for (const [name, jwk, why] of cases) {
    test(name, async () => {
      const set = await read([jwk, okp]);
      assert.deepEqual(set.unused, [why]);
      assert.deepEqual(
        set.keys.map(({ kid }) => kid),
        ['okp'],
      );
    });
  }

  test('a private key is never used, not even its public half', async () => {
    const { privateKey } = await makeKey('ES256', 'leaked');
    const set = await read([{ ...(await exportJWK(privateKey)), kid: 'leaked' }]);
    assert.deepEqual(set, { keys: [], unused: ['private'] });
  });

  for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']) {
    test(`a key that has ${member} is private, whatever its value`, async () => {
      assert.deepEqual((await read([{ ...rsa, [member]: null }])).unused, ['private']);
    });
  }

  for (const [what, says] of [
    ['a use', { use: null }],
    ['operations', { key_ops: null }],
    ['operations', { key_ops: [] }],
    ['a curve on an RSA key', { crv: 'P-256' }],
  ] as const) {
    test(`${what} that says nothing good: ${JSON.stringify(says)}`, async () => {
      assert.deepEqual((await read([{ ...rsa, ...says }])).keys, []);
    });
  }

  test('RSA under 2048 bits is weak', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    assert.deepEqual(await read([weak]), { keys: [], unused: ['weak'] });
  });
});

describe('the one algorithm of a key', () => {
  test("is its JWK's alg", async () => {
    const { keys } = await read([rsa, { ...rsa, alg: 'PS256', kid: 'pss' }]);
    assert.deepEqual(
      keys.map(({ alg }) => alg),
      ['RS256', 'PS256'],
    );
  });

  test('is EdDSA for Ed25519, whichever of its two names the JWK has', async () => {
    const { keys } = await read([okp, { ...okp, alg: 'Ed25519', kid: 'b' }, { ...without(okp, 'alg'), kid: 'c' }]);
    assert.deepEqual(
      keys.map(({ alg }) => alg),
      ['EdDSA', 'EdDSA', 'EdDSA'],
    );
  });

  for (const alg of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']) {
    test(`may be ${alg} for an RSA key`, async () => {
      assert.equal((await read([{ ...rsa, alg }])).keys[0]?.alg, alg);
    });
  }

  for (const [alg, crv] of [
    ['ES256', 'P-256'],
    ['ES384', 'P-384'],
    ['ES512', 'P-521'],
  ] as const) {
    test(`comes from the curve without alg: ${crv} is ${alg}`, async () => {
      const { keys } = await read([without((await makeKey(alg)).jwk, 'alg')]);
      assert.equal(keys[0]?.alg, alg);
    });
  }

  test('of an RSA key without alg is RS256, or PS256 where the issuer has no RS256', async () => {
    assert.equal((await read([without(rsa, 'alg')])).keys[0]?.alg, 'RS256');
    assert.equal((await read([without(rsa, 'alg')], ['ES256', 'PS256'])).keys[0]?.alg, 'PS256');
  });
});

test('a key that is declared for signatures and for verifying counts', async () => {
  assert.equal((await read([{ ...ec, use: 'sig', key_ops: ['sign', 'verify'] }])).keys.length, 1);
});

test('one key that stands twice in the set counts once; in another role it is another key', async () => {
  const { keys } = await read([ec, { ...ec, use: 'sig', key_ops: ['verify'], x5c: ['junk'] }, { ...ec, kid: 'other' }]);
  assert.deepEqual(
    keys.map(({ kid }) => kid),
    ['ec', 'other'],
  );
  assert.notEqual(keys[0]?.id, keys[1]?.id);
  const roles = [rsa, { ...rsa, alg: 'PS256' }, { ...rsa, n: (await makeKey('RS256')).jwk.n }, without(rsa, 'kid')];
  assert.equal((await read(roles)).keys.length, 4);
});

test('the id of a key is thumbprint, algorithm and kid, and its members beside those do not count', async () => {
  const { keys } = await read([without(okp, 'kid'), { ...okp, ext: true, alg: 'Ed25519' }]);
  const thumbprint = await calculateJwkThumbprint(okp);
  assert.deepEqual(
    keys.map(({ id, current }) => [id, current]),
    [
      [`${thumbprint} EdDSA `, true],
      [`${thumbprint} EdDSA okp`, true],
    ],
  );
});

describe('the key that a token names', () => {
  const choose = async (jwks: unknown[], kid: string | undefined, alg: string) => {
    const { keys } = await read(jwks);
    const chosen = chooseKey(keys, kid, alg);
    return typeof chosen === 'string' ? chosen : (chosen satisfies VerificationKey).kid;
  };

  test('is found by kid', async () => {
    assert.equal(await choose([ec, okp, rsa], 'okp', 'EdDSA'), 'okp');
    assert.equal(await choose([ec, okp, rsa], 'okp', 'Ed25519'), 'okp');
  });

  test('is unknown when no key has the kid, even if there is only one key', async () => {
    assert.equal(await choose([ec], 'gone', 'ES256'), 'unknown');
    assert.equal(await choose([without(ec, 'kid')], 'ec', 'ES256'), 'unknown');
    assert.equal(await choose([], 'ec', 'ES256'), 'unknown');
  });

  test('is for one algorithm: any other is refused, however well the key type fits', async () => {
    assert.equal(await choose([ec, rsa], 'rsa', 'PS256'), 'algorithm');
    assert.equal(await choose([ec, rsa], 'ec', 'RS256'), 'algorithm');
    assert.equal(await choose([ec, rsa], 'ec', 'HS256'), 'algorithm');
    assert.equal(await choose([ec, rsa], 'ec', 'none'), 'algorithm');
  });

  test('is the only one for alg when the token has no kid, and unknown when there are more', async () => {
    const other = (await makeKey('ES256', 'other')).jwk;
    assert.equal(await choose([ec, okp, rsa], undefined, 'ES256'), 'ec');
    assert.equal(await choose([ec, other], undefined, 'ES256'), 'unknown');
    assert.equal(await choose([okp, rsa], undefined, 'ES256'), 'unknown');
  });

  test('is unknown when two different keys share kid and alg', async () => {
    const twin = { ...(await makeKey('ES256')).jwk, kid: 'ec' };
    assert.equal(await choose([ec, twin], 'ec', 'ES256'), 'unknown');
  });

  test('is the one of them that fits alg when keys of different types share a kid', async () => {
    assert.equal(await choose([ec, { ...okp, kid: 'ec' }], 'ec', 'EdDSA'), 'ec');
  });
});
