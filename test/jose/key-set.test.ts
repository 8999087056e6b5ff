// The key set of an issuer: usable keys, their algorithms, and the one named.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { calculateJwkThumbprint, exportJWK } from 'jose';
import { chooseKey, type KeySet, readKeySet, type VerificationKey } from '../../src/jose/key-set.ts';
import { makeKey } from '../support/tokens.ts';

function read(keys: unknown[]): KeySet {
  const set = readKeySet({ keys });
  assert.notEqual(set, 'malformed');
  return set as KeySet;
}

const ec = (await makeKey('ES256', 'ec')).jwk;
const okp = (await makeKey('EdDSA', 'okp')).jwk;
const rsa = (await makeKey('RS256', 'rsa')).jwk;
const rsaTwin = (await makeKey('RS256', 'twin')).jwk;
const without = (jwk: object, ...members: string[]) =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !members.includes(name)));

describe('a document that is no key set', () => {
  for (const json of [null, 7, 'keys', [], {}, { keys: {} }, { keys: null }]) {
    test(`is malformed: ${JSON.stringify(json)}`, async () => {
      assert.equal(readKeySet(json), 'malformed');
    });
  }

  test('is not what an empty set is: all keys are withdrawn', async () => {
    assert.deepEqual(readKeySet({ keys: [] }), { keys: [], unused: [] });
  });
});

describe('a key that does not count is left out and spoils no other', () => {
  const cases: [string, unknown, string][] = [
    ['no object', 'key', 'malformed'],
    ['null', null, 'malformed'],
    ['a kid that is no string', { ...ec, kid: 7 }, 'malformed'],
    ['a member missing', without(ec, 'y'), 'malformed'],
    ['a member of the wrong type', { ...ec, x: 7 }, 'malformed'],
    ['a number longer than any key', { ...rsa, n: 'x'.repeat(2733) }, 'malformed'],
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
      const set = read([jwk, okp]);
      assert.deepEqual(set.unused, [why]);
      assert.deepEqual(
        set.keys.map(({ kid }) => kid),
        ['okp'],
      );
    });
  }

  test('a private key is never used, not even its public half', async () => {
    const { privateKey } = await makeKey('ES256', 'leaked');
    const set = read([{ ...(await exportJWK(privateKey)), kid: 'leaked' }]);
    assert.deepEqual(set, { keys: [], unused: ['private'] });
  });

  for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']) {
    test(`a key that has ${member} is private, whatever its value`, async () => {
      assert.deepEqual(read([{ ...rsa, [member]: null }]).unused, ['private']);
    });
  }

  for (const [what, says] of [
    ['a use', { use: null }],
    ['operations', { key_ops: null }],
    ['operations', { key_ops: [] }],
    ['a curve on an RSA key', { crv: 'P-256' }],
  ] as const) {
    test(`${what} that says nothing good: ${JSON.stringify(says)}`, async () => {
      assert.deepEqual(read([{ ...rsa, ...says }]).keys, []);
    });
  }

  test('RSA under 2048 bits is weak', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    assert.deepEqual(read([weak]), { keys: [], unused: ['weak'] });
  });
});

describe('the algorithms of a key', () => {
  const algorithmsOf = (...keys: unknown[]) => read(keys).keys.map(({ algorithms }) => algorithms);
  const ANY_RSA = ['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'];
  const bare = without(rsa, 'alg');

  test("are its JWK's alg alone, where it has one", () => {
    assert.deepEqual(algorithmsOf(rsa, { ...rsa, alg: 'PS256', kid: 'pss' }), [['RS256'], ['PS256']]);
    for (const alg of ANY_RSA) assert.deepEqual(algorithmsOf({ ...rsa, alg }), [[alg]]);
  });

  test('are EdDSA for Ed25519, whichever of its two names the JWK has', () => {
    const spelled = [okp, { ...okp, alg: 'Ed25519', kid: 'b' }, { ...without(okp, 'alg'), kid: 'c' }];
    assert.deepEqual(algorithmsOf(...spelled), [['EdDSA'], ['EdDSA'], ['EdDSA']]);
  });

  for (const [alg, crv] of [
    ['ES256', 'P-256'],
    ['ES384', 'P-384'],
    ['ES512', 'P-521'],
  ] as const) {
    test(`come from the curve without alg: ${crv} is ${alg}`, async () => {
      assert.deepEqual(algorithmsOf(without((await makeKey(alg)).jwk, 'alg')), [[alg]]);
    });
  }

  test('are all that RSA can where nothing in the set says anything of the key', () => {
    assert.deepEqual(algorithmsOf(bare), [ANY_RSA]);
    assert.deepEqual(algorithmsOf(ec, { ...bare, use: 'sig' }).at(-1), ANY_RSA);
  });

  test('are those that another JWK of the same key names, wherever it stands in the set', () => {
    assert.deepEqual(algorithmsOf({ ...bare, kid: 'a' }, { ...rsa, kid: 'b' }), [['RS256'], ['RS256']]);
    assert.deepEqual(algorithmsOf({ ...rsa, alg: 'PS512' }, rsa, { ...bare, kid: 'b' }).at(-1), ['PS512', 'RS256']);
    assert.deepEqual(algorithmsOf(rsa, bare), [['RS256']]);
    const other = without(rsaTwin, 'alg');
    assert.deepEqual(algorithmsOf(rsa, other), [['RS256'], ANY_RSA]);
  });
});

test('a key that is declared for signatures and for verifying counts', async () => {
  assert.equal(read([{ ...ec, use: 'sig', key_ops: ['sign', 'verify'] }]).keys.length, 1);
});

test('one key that stands twice in the set counts once; in another role it is another key', async () => {
  const { keys } = read([ec, { ...ec, use: 'sig', key_ops: ['verify'], x5c: ['junk'] }, { ...ec, kid: 'other' }]);
  assert.deepEqual(
    keys.map(({ kid }) => kid),
    ['ec', 'other'],
  );
  assert.notEqual(keys[0]?.id, keys[1]?.id);
  const roles = [rsa, { ...rsa, alg: 'PS256' }, { ...rsa, n: (await makeKey('RS256')).jwk.n }, without(rsa, 'kid')];
  assert.equal(read(roles).keys.length, 4);
});

test('the id of a key is thumbprint, algorithm and kid, and its members beside those do not count', async () => {
  const { keys } = read([without(okp, 'kid'), { ...okp, ext: true, alg: 'Ed25519' }]);
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
    const { keys } = read(jwks);
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

  test('is one that leaves its algorithm open, unless another is for this algorithm alone', async () => {
    const open = without(rsa, 'alg');
    for (const alg of ['RS256', 'RS512', 'PS256', 'PS384']) assert.equal(await choose([ec, open], 'rsa', alg), 'rsa');
    assert.equal(await choose([ec, open], 'rsa', 'ES256'), 'algorithm');
    assert.equal(await choose([open, { ...rsaTwin, alg: 'PS256' }], undefined, 'PS256'), 'twin');
    assert.equal(await choose([open, { ...rsaTwin, alg: 'PS256' }], undefined, 'RS256'), 'rsa');
    assert.equal(await choose([open, without(rsaTwin, 'alg')], undefined, 'RS256'), 'unknown');
  });

  test('is unknown when two different keys share kid and alg', async () => {
    const twin = { ...(await makeKey('ES256')).jwk, kid: 'ec' };
    assert.equal(await choose([ec, twin], 'ec', 'ES256'), 'unknown');
  });

  test('is the one of them that fits alg when keys of different types share a kid', async () => {
    assert.equal(await choose([ec, { ...okp, kid: 'ec' }], 'ec', 'EdDSA'), 'ec');
  });
});
