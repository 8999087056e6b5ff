// The edges of proof checks: the last value that passes, the first that does not.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { readRequestPath, targetUri } from '../../src/http/uri.ts';
import { type DpopRules, type ProofTerms, verifyProof } from '../../src/proof/dpop-proof.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { hashDifference } from '../../src/rejection/difference.ts';
import { type Reason, Rejection } from '../../src/rejection/rejection.ts';
import { makeKey, makeProof, type ProofOptions, proofParts, type TestKey } from '../support/tokens.ts';
import { makeProofTerms } from '../support/proving.ts';

const NOW = 1_800_000_000.5;
const RULES: DpopRules = { nonce: 'none', maxAge: 60, clockTolerance: 15, algorithms: ['ES256'] };
const nonces = new NonceKeys([], 120);
let key: TestKey;
before(async () => {
  key = await makeKey();
});

const terms = (over: Partial<ProofTerms> = {}) =>
  makeProofTerms({ jkt: key.jkt, rules: RULES, now: NOW, nonces, ...over });
const verify = async (options: ProofOptions, over?: Partial<ProofTerms>) =>
  verifyProof(await makeProof(key, NOW, options), terms(over));
const reasonOf = async (options: ProofOptions, over?: Partial<ProofTerms>) => {
  const result = await verify(options, over);
  return result instanceof Rejection ? result.reason : 'verified';
};
async function refusal(options: ProofOptions, over?: Partial<ProofTerms>): Promise<[Reason, object]> {
  const result = await verify(options, over);
  assert.ok(result instanceof Rejection);
  return [result.reason, result.facts];
}

describe('a proof that is wrong in two ways', () => {
  test('is proof_stale where its nbf lies in the future as well', async () => {
    assert.equal(await reasonOf({ claims: { iat: NOW - 61, nbf: NOW + 16 } }), 'proof_stale');
  });

  test('is proof_from_future where it was made before the replay store began as well: a nonce would not help', async () => {
    const claims = { iat: NOW - 10, nbf: NOW + 16 };
    assert.equal(await reasonOf({ claims }, { rememberedSince: NOW - 5 }), 'proof_from_future');
  });
});

describe('lengths', () => {
  test('a proof of 8 KiB is read, one of a byte more is not', async () => {
    const ofLength = async (length: number) => {
      for (const jti of ['j', 'jj']) {
        const proof = await makeProof(key, NOW, { claims: { jti } });
        const input = proof.slice(0, proof.lastIndexOf('.') + 1);
        const rest = length - input.length;
        if (rest % 4 !== 1) return `${input}${'A'.repeat(rest)}`; // Zeros: base64url has no part of 4n + 1 characters.
      }
      return assert.fail('no jti makes a proof of this length');
    };
    const reasonOfLength = async (length: number) => {
      const result = verifyProof(await ofLength(length), terms());
      return result instanceof Rejection ? result.reason : 'verified';
    };
    assert.equal(await reasonOfLength(8192), 'proof_signature_invalid');
    assert.equal(await reasonOfLength(8193), 'proof_malformed');
  });

  test('a key is remembered by headers of up to 2048 characters; longer ones are read anew each time', async () => {
    const { header } = proofParts(key, NOW);
    const bare = JSON.stringify({ ...header, kid: '' }).length;
    for (const [bytes, remembered] of [
      [1536, 1],
      [1537, 0],
    ] as const) {
      const shared = terms();
      const proof = await makeProof(key, NOW, { header: { kid: 'x'.repeat(bytes - bare) } });
      assert.equal(proof.indexOf('.'), Math.ceil((bytes * 4) / 3));
      assert.ok(!(verifyProof(proof, shared) instanceof Rejection));
      assert.equal(shared.keys.size, remembered);
    }
  });

  test('jti of 256 ASCII characters passes', async () =>
    assert.equal(await reasonOf({ claims: { jti: 'x'.repeat(256) } }), 'verified'));
});

describe('moments', () => {
  test('exp counts until the tolerance is over, and at that moment no longer', async () => {
    assert.equal(await reasonOf({ claims: { exp: NOW - 14.999 } }), 'verified');
    assert.equal(await reasonOf({ claims: { exp: NOW - 15 } }), 'proof_malformed');
  });
  test('nbf may be in the past, and ahead by the tolerance, with and without a nonce', async () => {
    for (const nonce of [undefined, nonces.mint(NOW)]) {
      for (const nbf of [0, NOW, NOW + 15]) assert.equal(await reasonOf({ claims: { nonce, nbf } }), 'verified');
      assert.equal(await reasonOf({ claims: { nonce, nbf: NOW + 15.001 } }), 'proof_from_future');
    }
  });
  test('a proof dated at the moment at which the replay store began is remembered, so it passes', async () => {
    assert.equal(await reasonOf({ claims: { iat: NOW - 5 } }, { rememberedSince: NOW - 5 }), 'verified');
    assert.equal(await reasonOf({ claims: { iat: NOW - 5 } }, { rememberedSince: NOW - 4.999 }), 'nonce_required');
  });
  test('a nonce is in its last half once the first half is over', async () => {
    const nonce = nonces.mint(NOW - 60);
    for (const [now, ages] of [
      [NOW, false],
      [NOW + 0.001, true],
    ] as const) {
      const result = await verify({ claims: { nonce } }, { now });
      assert.ok(!(result instanceof Rejection));
      assert.equal(result.nonceAges, ages);
    }
  });
});

describe('what a refusal tells', () => {
  for (const claim of ['jti', 'htm', 'htu', 'ath', 'iat', 'nonce', 'exp', 'nbf']) {
    test(`which claim is malformed: ${claim}`, async () =>
      assert.deepEqual(await refusal({ claims: { [claim]: null } }), [
        'proof_malformed',
        { what: claim, differs: 'type' },
      ]));
  }
  test('that an extension of the header is not understood', async () =>
    assert.deepEqual(await refusal({ header: { b64: true } }), [
      'proof_malformed',
      { what: 'crit', differs: 'value' },
    ]));

  test('by how many seconds the clock of the client is off, wherever it decides', async () => {
    const onSkew: DpopRules = { ...RULES, nonce: 'on-skew' };
    const early = { claims: { iat: NOW + 90 } };
    const latest = Math.floor(NOW + 15);
    const window = `${Math.ceil(NOW - 60)} to ${latest}`;
    const facts = { what: 'iat', differs: 'future', expected: window, received: `${NOW + 90}`, clockOffset: 90 };
    assert.deepEqual(await refusal(early), ['proof_from_future', facts]);
    assert.deepEqual(await refusal(early, { rules: onSkew }), ['nonce_required', facts]);
    for (const nonce of [undefined, nonces.mint(NOW)]) {
      const notYet = { ...facts, what: 'nbf', expected: `at most ${latest}` };
      const claims = { iat: NOW, nonce, nbf: NOW + 90 };
      assert.deepEqual(await refusal({ claims }), ['proof_from_future', notYet]);
    }
  });
  test('that a time is in milliseconds, and no time that is only far away', async () => {
    const differs = async (iat: number) => {
      const result = await verify({ claims: { iat } });
      return result instanceof Rejection && [result.reason, result.facts.differs];
    };
    assert.deepEqual(await differs(NOW * 1000), ['proof_from_future', 'milliseconds']);
    assert.deepEqual(await differs((NOW - 3600) * 1000), ['proof_from_future', 'milliseconds']);
    assert.deepEqual(await differs(NOW * 2), ['proof_from_future', 'future']);
    assert.deepEqual(await differs(NOW / 1000), ['proof_stale', 'age']);
  });
  test('the window of this very moment: what a reload made shorter is not shown as allowed', async () => {
    const result = await verify(
      { claims: { iat: NOW - 50 } },
      { shorterMemories: [{ until: NOW - 10, rememberedFor: 20 }] },
    );
    assert.ok(result instanceof Rejection && result.reason === 'proof_stale');
    assert.equal(result.facts.expected, `${Math.ceil(NOW - 20)} to ${Math.floor(NOW + 15)}`);
  });
  test('that a hash is right but written in another encoding', async () => {
    const hash = createHash('sha256').update('a token').digest();
    for (const encoding of ['hex', 'base64'] as const) {
      assert.equal(hashDifference(hash.toString(encoding), hash.toString('base64url')), 'encoding');
    }
    assert.equal(hashDifference('x', hash.toString('base64url')), 'value');
    const [reason, facts] = (await refusal({ claims: { ath: 'x' } })) as [string, object];
    assert.deepEqual([reason, facts], ['proof_token_mismatch', { what: 'ath', differs: 'value' }]);
  });
});

describe('htu of a path that needs percent-encoding', () => {
  // What the request has on the wire, and htu as SDKs of applications write it.
  const same: [wire: string, htu: string][] = [
    ['/plain/caf%C3%A9', '/plain/café'],
    ['/plain/caf%c3%a9', '/plain/café?q=ü'],
    ['/plain/%E5%AD%97%F0%9F%98%80', '/plain/字😀'],
    ['/plain/a%20b', '/plain/a b'],
    ['/plain/a%7Cb', '/plain/a|b'],
    ['/plain/a|b', '/plain/a%7cb?x'],
    ['/plain/a|b', '/plain/a|b?x|y'],
    ['/plain/{1}', '/plain/%7B1%7D'],
    ['/plain/a[1]', '/plain/a%5B1%5D'],
    ['/plain/caf%C3%A9/1', '/plain/x/../café/1'],
  ];
  for (const [wire, htu] of same) {
    test(`${wire} is ${htu}`, async () => assert.equal(await ofPath(wire, htu), 'verified'));
  }
  const other: [wire: string, htu: string][] = [
    ['/plain/caf%C3%A9', '/plain/cafe\u0301'],
    ['/plain/caf%C3%A9', '/plain/cafe'],
    ['/plain/caf%C3%A9', '/plain/caf%E9'],
    ['/plain/caf%C3%A9', '/plain/CAFÉ'],
    ['/plain/caf%25C3%25A9', '/plain/café'],
    ['/plain/%EF%BF%BD', '/plain/\ud800'],
    ['/plain/a%20b', '/plain/a+b'],
    ['/plain/a%2Fb', '/plain/a/b'],
    ['/plain/a%3Fb', '/plain/a?b'],
    ['/plain/100%25', '/plain/100%'],
    ['/plain/a;v=1', '/plain/a'],
    ['/plain/a', '/plain/a '],
  ];
  for (const [wire, htu] of other) {
    test(`${wire} is not ${JSON.stringify(htu)}`, async () =>
      assert.equal(await ofPath(wire, htu), 'proof_uri_mismatch'));
  }

  async function ofPath(wire: string, htu: string): Promise<string> {
    const read = readRequestPath(wire);
    assert.ok(read);
    const origin = { scheme: 'https', authority: 'api.example.com', pathPrefix: '' } as const;
    return reasonOf({ claims: { htu: `https://api.example.com${htu}` } }, { targetUri: targetUri(origin, read.path) });
  }
});
