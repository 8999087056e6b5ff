// Each rule of checks.md §4: the reason for a bad proof, the replay key of a good one.

import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { calculateJwkThumbprint } from 'jose';
import { type DpopRules, type ProofTerms, verifyProof } from '../../src/proof/dpop-proof.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { type Reason, Rejection } from '../../src/rejection/rejection.ts';
import { makeKey, makeProof, type ProofOptions, proofParts, signParts, type TestKey } from '../support/tokens.ts';
import { makeProofTerms } from '../support/proving.ts';

const NOW = 1_800_000_000.5;
const RULES: DpopRules = {
  nonce: 'none',
  maxAge: 60,
  clockTolerance: 15,
  algorithms: ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'],
};
const nonces = new NonceKeys([], 120);
let key: TestKey;
let stranger: TestKey;
before(async () => {
  key = await makeKey();
  stranger = await makeKey();
});

const terms = (over: Partial<ProofTerms> = {}) =>
  makeProofTerms({ jkt: key.jkt, rules: RULES, now: NOW, nonces, ...over });

const outcome = (proof: string, over?: Partial<ProofTerms>) => {
  const result = verifyProof(proof, terms(over));
  return result instanceof Rejection ? result.reason : 'verified';
};
const expectReason = async (options: ProofOptions, reason: Reason | 'verified', over?: Partial<ProofTerms>) =>
  assert.equal(outcome(await makeProof(key, NOW, options), over), reason);

describe('DPoP proof', () => {
  test('a good proof is verified and tells by which key, which jti and until when it must be remembered', async () => {
    const proof = await makeProof(key, NOW, { claims: { jti: 'one', iat: NOW } });
    assert.deepEqual(verifyProof(proof, terms()), {
      key: createPublicKey({ key: key.jwk, format: 'jwk' }),
      jkt: key.jkt,
      jti: 'one',
      rememberUntil: NOW + 60 + 15,
      nonceAges: false,
      nonce: 'none',
    });
  });

  for (const alg of ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256']) {
    test(`a proof signed with ${alg} is verified, the first time and from the key cache`, async () => {
      const own = await makeKey(alg);
      const shared = terms({ jkt: own.jkt });
      for (let i = 0; i < 2; i++) {
        const result = verifyProof(await makeProof(own, NOW), shared);
        assert.ok(!(result instanceof Rejection), result instanceof Rejection ? result.reason : '');
      }
      assert.equal(shared.keys.size, 1);
    });
  }

  test('Ed25519 and EdDSA name the same algorithm', async () => {
    const own = await makeKey('EdDSA');
    const proof = await makeProof(own, NOW, { header: { alg: 'Ed25519' } });
    assert.equal(outcome(proof, { jkt: own.jkt }), 'verified');
  });

  describe('form', () => {
    const forms: Record<string, (proof: string) => string> = {
      'nothing at all': () => '',
      'two parts': (proof) => proof.split('.').slice(0, 2).join('.'),
      'four parts': (proof) => `${proof}.x`,
      'five parts': (proof) => `${proof}.x.y`,
      padding: (proof) => `${proof}=`,
      'white space': (proof) => ` ${proof}`,
      'a line break inside': (proof) => proof.replace('.', '\n.'),
      'base64 instead of base64url': (proof) => `${proof.slice(0, -4)}+/==`,
      'a header that is not JSON': (proof) => proof.replace(/^[^.]+/, Buffer.from('{').toString('base64url')),
      'a header that is an array': (proof) => proof.replace(/^[^.]+/, Buffer.from('[]').toString('base64url')),
      'a payload that is null': (proof) => proof.replace(/\.[^.]+\./, `.${Buffer.from('null').toString('base64url')}.`),
      'a payload with a byte order mark': (proof) =>
        proof.replace(
          /\.([^.]+)\./,
          (_, p) => `.${Buffer.from(`\ufeff${Buffer.from(p, 'base64url').toString()}`).toString('base64url')}.`,
        ),
      'a payload that is not UTF-8': (proof) =>
        proof.replace(
          /\.[^.]+\./,
          `.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.`,
        ),
      'more than 8 KiB': (proof) => proof + 'A'.repeat(8192),
    };
    for (const [form, spoil] of Object.entries(forms)) {
      test(`${form}: proof_malformed`, async () => {
        assert.equal(outcome(spoil(await makeProof(key, NOW))), 'proof_malformed');
      });
    }

    test('spare bits in the last character of the signature do not make a second spelling of one proof', async () => {
      const proof = await makeProof(key, NOW);
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const last = alphabet.indexOf(proof.at(-1) ?? '');
      const respelled = proof.slice(0, -1) + alphabet[last ^ 1];
      assert.equal(outcome(respelled), 'proof_malformed');
    });

    test('a repeated member in header or payload: proof_malformed', async () => {
      const { header, claims } = proofParts(key, NOW);
      const twice = (value: object, member: string) => JSON.stringify(value).replace('{', `{${member},`);
      assert.equal(outcome(await signParts(key, twice(header, '"typ":"x"'), claims)), 'proof_malformed');
      assert.equal(outcome(await signParts(key, header, twice(claims, '"htm":"POST"'))), 'proof_malformed');
      assert.equal(outcome(await signParts(key, header, twice(claims, '"h\\u0074m":"POST"'))), 'proof_malformed');
      assert.equal(outcome(await signParts(key, header, twice(claims, '"x":{"a":1,"a":2}'))), 'proof_malformed');
    });

    test('crit and b64 in the header: proof_malformed', async () => {
      await expectReason({ header: { crit: ['exp'] } }, 'proof_malformed');
      await expectReason({ header: { b64: true } }, 'proof_malformed');
    });
  });

  describe('claims', () => {
    const bad: Record<string, readonly unknown[]> = {
      jti: [undefined, null, '', 5, 'x'.repeat(257), '😀'.repeat(65), ['a']],
      htm: [undefined, null, 5, ['GET']],
      htu: [undefined, null, 5, {}],
      ath: [undefined, null, 5],
      iat: [undefined, null, '1800000000', true, []],
      nonce: [null, 5, {}],
      exp: [null, 'x', NOW - 16],
      nbf: [null, 'x'],
    };
    for (const [claim, values] of Object.entries(bad)) {
      for (const value of values) {
        test(`${claim} = ${JSON.stringify(value)?.slice(0, 20)}: proof_malformed`, () =>
          expectReason({ claims: { [claim]: value } }, 'proof_malformed'));
      }
    }
    test('iat beyond every number: proof_malformed', async () => {
      const { header, claims } = proofParts(key, NOW);
      const text = JSON.stringify(claims).replace(/"iat":[0-9.]+/, '"iat":1e999');
      assert.equal(outcome(await signParts(key, header, text)), 'proof_malformed');
    });
    test('times with more digits than a double keeps are times, and far ahead is far ahead', async () => {
      const { header, claims } = proofParts(key, NOW);
      const judge = async (iat: string) =>
        outcome(await signParts(key, header, JSON.stringify(claims).replace(/"iat":[0-9.]+/, `"iat":${iat}`)));
      assert.equal(await judge(`${Math.floor(NOW)}.123456789`), 'verified');
      assert.equal(await judge('9007199254740993'), 'proof_from_future');
    });
    test('jti of 256 bytes, exp within the tolerance and unknown claims pass', () =>
      expectReason({ claims: { jti: 'é'.repeat(128), exp: NOW - 14, other: { deep: [1] } } }, 'verified'));
    test('nbf in the future: proof_from_future', () =>
      expectReason({ claims: { nbf: NOW + 16 } }, 'proof_from_future'));
  });

  describe('type, algorithm and key', () => {
    for (const typ of [undefined, null, 'JWT', 'at+jwt', 'application/dpop+jwt', 5, '']) {
      test(`typ ${JSON.stringify(typ)}: proof_type_invalid`, () =>
        expectReason({ header: { typ } }, 'proof_type_invalid'));
    }
    test('typ is compared without case', () => expectReason({ header: { typ: 'DPoP+JWT' } }, 'verified'));

    for (const alg of [undefined, null, 'none', 'HS256', 'ES512', 'es256', 5]) {
      test(`alg ${JSON.stringify(alg)}: proof_algorithm_refused`, () =>
        expectReason({ header: { alg } }, 'proof_algorithm_refused'));
    }
    test('alg is checked against the list of the route although the key is in the cache', async () => {
      const shared = terms();
      assert.ok(!(verifyProof(await makeProof(key, NOW), shared) instanceof Rejection));
      const strict = { ...shared, rules: { ...RULES, algorithms: ['EdDSA'] } };
      const result = verifyProof(await makeProof(key, NOW), strict);
      assert.ok(result instanceof Rejection && result.reason === 'proof_algorithm_refused');
    });

    const flaws: Record<string, (jwk: Record<string, unknown>) => unknown> = {
      'no jwk': () => undefined,
      'a jwk that is a string': () => 'x',
      'a jwk that is null': () => null,
      'a private member': (jwk) => ({ ...jwk, d: 'AAAA' }),
      'a symmetric key': () => ({ kty: 'oct', k: 'AAAA' }),
      'a key of another type': (jwk) => ({ ...jwk, kty: 'RSA' }),
      'a key of another curve': (jwk) => ({ ...jwk, crv: 'P-384' }),
      'use enc': (jwk) => ({ ...jwk, use: 'enc' }),
      'key_ops without verify': (jwk) => ({ ...jwk, key_ops: ['sign'] }),
      'alg of another algorithm': (jwk) => ({ ...jwk, alg: 'ES384' }),
      'x missing': ({ x: _x, ...jwk }) => jwk,
      'x of the wrong length': (jwk) => ({ ...jwk, x: 'AAAA' }),
      'y with padding': (jwk) => ({ ...jwk, y: `${String(jwk.y)}=` }),
    };
    for (const [flaw, spoil] of Object.entries(flaws)) {
      test(`${flaw}: proof_key_invalid`, async () => {
        const { header } = proofParts(key, NOW);
        await expectReason({ header: { jwk: spoil(header.jwk) } }, 'proof_key_invalid');
      });
    }
    test('a point off its curve, even where the token is bound to it: proof_key_invalid', async () => {
      const off = { ...key.jwk, y: Buffer.alloc(32, 1).toString('base64url') };
      const proof = await makeProof(key, NOW, { header: { jwk: off } });
      assert.equal(outcome(proof, { jkt: await calculateJwkThumbprint(off) }), 'proof_key_invalid');
    });
    test('a key is imported for nothing that is refused anyway: the reason is that of the other check', async () => {
      const off = { ...key.jwk, y: Buffer.alloc(32, 1).toString('base64url') };
      const jkt = await calculateJwkThumbprint(off);
      const spoiled = {
        proof_method_mismatch: { htm: 'PUT' },
        proof_uri_mismatch: { htu: 'https://other.example/' },
        proof_token_mismatch: { ath: 'x' },
        proof_stale: { iat: NOW - 10_000 },
        proof_from_future: { iat: NOW + 10_000 },
      };
      for (const [reason, claims] of Object.entries(spoiled)) {
        assert.equal(outcome(await makeProof(key, NOW, { header: { jwk: off }, claims }), { jkt }), reason);
      }
    });
    test('RSA keys under 2048 bits, over 4096 bits, with an even or long exponent: proof_key_invalid', async () => {
      const rsa = await makeKey('RS256');
      const n = Buffer.from(String(rsa.jwk.n), 'base64url');
      const spoiled = [
        { n: n.subarray(1).toString('base64url') },
        { n: Buffer.concat([Buffer.from([1]), Buffer.alloc(512, 1)]).toString('base64url') },
        { n: Buffer.concat([Buffer.from([0]), n]).toString('base64url') },
        { e: 'AQAA' },
        { e: 'AQ' },
        { e: Buffer.from([1, 0, 0, 0, 1]).toString('base64url') },
        { e: undefined },
      ];
      for (const members of spoiled) {
        const proof = await makeProof(rsa, NOW, { header: { jwk: { ...rsa.jwk, ...members } } });
        assert.equal(outcome(proof, { jkt: rsa.jkt }), 'proof_key_invalid', JSON.stringify(members).slice(0, 40));
      }
    });
    test('another key than the one of the token: proof_key_mismatch', async () => {
      assert.equal(outcome(await makeProof(stranger, NOW)), 'proof_key_mismatch');
    });
    test('a stranger who embeds the right key but signs with his own: proof_signature_invalid, and no key is cached', async () => {
      const { header, claims } = proofParts(key, NOW);
      const shared = terms();
      const result = verifyProof(await signParts(stranger, header, claims), shared);
      assert.ok(result instanceof Rejection && result.reason === 'proof_signature_invalid');
      assert.equal(shared.keys.size, 0);
    });
    test('a signature of another length, DER-encoded or empty: proof_signature_invalid', async () => {
      const proof = await makeProof(key, NOW);
      const input = proof.slice(0, proof.lastIndexOf('.') + 1);
      assert.equal(outcome(input), 'proof_signature_invalid');
      assert.equal(outcome(`${input}AAAA`), 'proof_signature_invalid');
      assert.equal(outcome(input + Buffer.alloc(64).toString('base64url')), 'proof_signature_invalid');
    });
  });

  describe('method, URI and access token', () => {
    for (const htm of ['POST', 'get', 'HEAD', ' GET', '']) {
      test(`htm ${JSON.stringify(htm)} for GET: proof_method_mismatch`, () =>
        expectReason({ claims: { htm } }, 'proof_method_mismatch'));
    }
    const same = [
      'https://api.example.com/orders/1?query=1',
      'https://api.example.com/orders/1#fragment',
      'HTTPS://API.example.com:443/orders/1',
      'https://api.example.com/%6Frders/1',
      'https://api.example.com:/orders/1',
      'https://api.example.com/x/../orders/1',
      'https://api.example.com/orders/./x/%2E%2e/1',
      'https://api.example.com/../orders/1',
      'https://api.example.com/orders/1?f=x|y',
      'https://api.example.com/orders/1?q={1}#[a b]',
      'https://api.example.com/orders/1?q=café x',
      'https://api.example.com/orders/1?q=%',
      'https://api.example.com/orders/1#a?b\n',
    ];
    for (const htu of same)
      test(`htu ${JSON.stringify(htu).slice(1, -1)} names the same resource`, () =>
        expectReason({ claims: { htu } }, 'verified'));
    const other = [
      'http://api.example.com/orders/1',
      'https://api.example.com:8443/orders/1',
      'https://api.example.com./orders/1',
      'https://api.example.com/orders/1/',
      'https://api.example.com/orders/2',
      'https://api.example.com/Orders/1',
      'https://api.example.com/orders%2F1',
      'https://api.example.com/orders/../1',
      'https://api.example.com/orders/1/..',
      'https://api.example.com/orders/1/.',
      'https://api.example.com/x/..;/orders/1',
      'https://api.example.com//orders/1',
      'https://api.example.com/orders/1 ',
      'https://api.example.com/orders/1%20?q',
      'https://api.example.com/orders/1\t?q',
      'https://api.example.com/orders/1%3Fq=1',
      'https://api.example.com/orders/1%23a',
      'https://api.example.com/?/orders/1',
      'https://evil.example/orders/1?https://api.example.com/orders/1',
      'https://evil.example#@api.example.com/orders/1',
      'https://user@api.example.com/orders/1',
      'https://api.example.com\\orders/1',
      ' https://api.example.com/orders/1',
      'https://api.example.com/orders/1\n',
      'https:/api.example.com/orders/1',
      'https:api.example.com/orders/1',
      '/orders/1',
      '',
    ];
    for (const htu of other) {
      test(`htu ${JSON.stringify(htu)}: proof_uri_mismatch`, () =>
        expectReason({ claims: { htu } }, 'proof_uri_mismatch'));
    }
    test('the refusal names both URIs and what differs, and neither query nor fragment', async () => {
      const proof = await makeProof(key, NOW, { claims: { htu: 'https://other.example/a/b?secret=1#secret' } });
      const result = verifyProof(proof, terms());
      assert.ok(result instanceof Rejection);
      assert.deepEqual(result.facts, {
        what: 'htu',
        differs: 'host',
        expected: 'https://api.example.com/orders/1',
        received: 'https://other.example/a/b',
      });
    });
    test('ath of another access token: proof_token_mismatch', () =>
      expectReason({ token: 'another' }, 'proof_token_mismatch'));
  });

  describe('freshness', () => {
    const edges: [string, number, Reason | 'verified'][] = [
      ['exactly max_age old', -60, 'verified'],
      ['older than max_age', -60.001, 'proof_stale'],
      ['clock_tolerance ahead', 15, 'verified'],
      ['further ahead', 15.001, 'proof_from_future'],
    ];
    for (const [name, offset, reason] of edges) {
      test(`iat ${name}: ${reason}`, () => expectReason({ claims: { iat: NOW + offset } }, reason));
    }
    test('the clock offset is told in whole seconds, behind is negative', async () => {
      const result = verifyProof(await makeProof(key, NOW, { claims: { iat: NOW - 3600 } }), terms());
      assert.ok(result instanceof Rejection);
      assert.equal(result.facts.clockOffset, -3600);
      assert.equal(result.facts.differs, 'age');
    });
    test('nonce required and none there: nonce_required, however stale iat is', () =>
      expectReason({ claims: { iat: NOW - 999 } }, 'nonce_required', { rules: { ...RULES, nonce: 'required' } }));
    test('on-skew challenges a wrong clock and nothing else', async () => {
      const rules = { ...RULES, nonce: 'on-skew' } as const;
      await expectReason({ claims: { iat: NOW - 3600 } }, 'nonce_required', { rules });
      await expectReason({ claims: { iat: NOW + 3600 } }, 'nonce_required', { rules });
      await expectReason({}, 'verified', { rules });
    });
    test('with a valid nonce freshness comes from the nonce, and so does the time to remember', async () => {
      const nonce = nonces.mint(NOW - 50);
      const proof = await makeProof(key, NOW, { claims: { jti: 'n', iat: 5, nonce } });
      const expiresAt = NOW - 50 + 120;
      assert.deepEqual(verifyProof(proof, terms()), {
        key: createPublicKey({ key: key.jwk, format: 'jwk' }),
        jkt: key.jkt,
        jti: 'n',
        rememberUntil: expiresAt + 15,
        nonceAges: false,
        nonce: 'shared',
      });
    });
    test('a nonce in its last half asks for a fresh one', async () => {
      const proof = await makeProof(key, NOW, { claims: { nonce: nonces.mint(NOW - 70) } });
      const result = verifyProof(proof, terms());
      assert.ok(!(result instanceof Rejection) && result.nonceAges);
    });
    test('a nonce that is expired, unknown, of another secret or no nonce: nonce_stale, also where none is required', async () => {
      const other = new NonceKeys([], 120).mint(NOW);
      for (const nonce of [nonces.mint(NOW - 122), other, 'x', '', 'A'.repeat(30), 'A'.repeat(9000 / 3)]) {
        await expectReason({ claims: { nonce } }, 'nonce_stale');
      }
    });
    test('a proof dated before the replay store began gets a challenge; a nonce from before it is stale', async () => {
      await expectReason({ claims: { iat: NOW - 10 } }, 'nonce_required', { rememberedSince: NOW - 5 });
      await expectReason({ claims: { nonce: nonces.mint(NOW - 10) } }, 'nonce_stale', { rememberedSince: NOW - 5 });
      await expectReason({ claims: { nonce: nonces.mint(NOW) } }, 'verified', { rememberedSince: NOW - 5 });
      await expectReason({ claims: { nonce: nonces.mint(NOW) } }, 'verified', { rememberedSince: NOW });
    });
  });

  test('where two reasons apply, the earlier one of the table is reported', async () => {
    const ladder: [Record<string, unknown>, Record<string, unknown>, Reason][] = [
      [{ typ: 'x', alg: 'none' }, { jti: 5 }, 'proof_malformed'],
      [{ typ: 'x', alg: 'none' }, { htm: 'POST' }, 'proof_type_invalid'],
      [{ alg: 'none', jwk: undefined }, { htm: 'POST' }, 'proof_algorithm_refused'],
      [{ jwk: undefined }, { htm: 'POST' }, 'proof_key_invalid'],
      [{ jwk: stranger.jwk }, { htm: 'POST' }, 'proof_key_mismatch'],
      [{}, { htm: 'POST', htu: 'x', ath: 'x', iat: 0 }, 'proof_method_mismatch'],
      [{}, { htu: 'x', ath: 'x', iat: 0 }, 'proof_uri_mismatch'],
      [{}, { ath: 'x', iat: 0, nonce: 'x' }, 'proof_token_mismatch'],
      [{}, { iat: 0, nonce: 'x' }, 'nonce_stale'],
      [{}, { iat: 0 }, 'proof_stale'],
    ];
    for (const [header, claims, reason] of ladder) {
      // Signed by the stranger, so that the signature is wrong in every one of them.
      const parts = proofParts(key, NOW, { header, claims });
      assert.equal(outcome(await signParts(stranger, parts.header, parts.claims)), reason);
    }
  });
});
