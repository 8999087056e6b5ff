// RFC 9449 across several parts: its figures, and nonces over several requests.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LRUCache } from 'lru-cache';
import { type ProofTerms, verifyProof } from '../../src/proof/dpop-proof.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import { sha256 } from '../../src/jose/thumbprint.ts';
import { dpop, HOLDER, issue, prove, TO_KEY } from '../gateway/credentials.ts';
import { startTestGateway } from '../support/gateway.ts';
import { policyOf } from '../support/policies.ts';
import vectors from '../vectors/rfc9449.json' with { type: 'json' };

describe('the examples', () => {
  const MADE = 1_562_262_618;
  const example = (name: string) => vectors.examples.find((one) => one.name === name)?.proof ?? assert.fail(name);
  const outcome = (proof: string, over: Partial<ProofTerms> = {}) => {
    const result = verifyProof(proof, {
      method: 'GET',
      targetUri: 'https://resource.example.org/protectedresource',
      ath: sha256(vectors.access_token),
      jkt: vectors.jkt,
      rules: { nonce: 'none', maxAge: 60, clockTolerance: 15, algorithms: ['ES256'] },
      now: MADE,
      rememberedSince: 0,
      rememberFor: 75,
      shorterMemories: [],
      nonces: new NonceKeys([], 120),
      keys: new LRUCache({ max: 10 }),
      ...over,
    });
    return result instanceof Rejection ? result.reason : 'verified';
  };

  test('the proof of figure 13 passes for its request, access token and key, and for no other', () => {
    const proof = example('fig13_resource_GET');
    assert.equal(outcome(proof), 'verified');
    assert.equal(outcome(proof, { jkt: HOLDER.jkt }), 'proof_key_mismatch');
    assert.equal(outcome(proof, { method: 'POST' }), 'proof_method_mismatch');
    assert.equal(outcome(proof, { targetUri: 'https://resource.example.org/other' }), 'proof_uri_mismatch');
    assert.equal(outcome(proof, { ath: sha256(`${vectors.access_token}a`) }), 'proof_token_mismatch');
    assert.equal(outcome(proof, { now: MADE + 61 }), 'proof_stale');
  });

  test('proofs for a token endpoint (figures 2 and 7) are none for a resource, because they have no ath', () => {
    for (const name of ['fig2_fig5_token_request_POST', 'fig7_refresh_POST']) {
      const terms = { method: 'POST', targetUri: 'https://server.example.com/token' };
      assert.equal(outcome(example(name), terms), 'proof_malformed');
    }
  });
});

const ROUTES = `
- { name: asks, match: { path: /asks/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
`;

test('after a nonce was given no proof without one passes, however fresh, nor one with an invented nonce (§11.3)', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const ask = (nonce?: string) => dpop(gateway, 'GET', '/asks/1', { proving: { claims: { nonce } } });
  const nonce = (await ask()).fields.one('dpop-nonce') ?? assert.fail('no nonce');
  assert.match(nonce, /^[\x21\x23-\x5b\x5d-\x7e]+$/); // NQCHAR of §8.1
  assert.equal((await ask(nonce)).status, 200);
  assert.equal((await ask(nonce)).status, 200, 'the same nonce, another proof');
  assert.equal((await ask()).reason, 'nonce_required');
  assert.equal((await ask(nonce.slice(0, -1))).reason, 'nonce_stale');
  assert.equal(gateway.upstream.seen.length, 2);
});

describe('credentials', () => {
  test('a token or proof in Proxy-Authorization is none, and no answer has Proxy-Authenticate (§7.1)', async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    const token = await issue(gateway, TO_KEY);
    const proof = await prove(gateway, token, 'GET', '/any/1');
    for (const scheme of ['DPoP', 'Bearer']) {
      const fields = [
        ['Proxy-Authorization', `${scheme} ${token}`],
        ['DPoP', proof],
      ] as const;
      const answer = await gateway.request('GET', '/any/1', { fields });
      assert.equal(answer.reason, 'credentials_missing');
      assert.deepEqual(answer.fields.all('proxy-authenticate'), []);
    }
    assert.deepEqual(gateway.upstream.seen, []);
  });

  test('an access token in a body is none (RFC 6750 §2.2)', async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    const fields = [['Content-Type', 'application/x-www-form-urlencoded']] as const;
    const body = `access_token=${await issue(gateway)}`;
    assert.equal((await gateway.request('POST', '/any/1', { fields, body })).reason, 'credentials_missing');
    assert.deepEqual(gateway.upstream.seen, []);
  });
});

test('proofs are accepted for a minute after their iat and 15 s before it, and no setting makes that more than ten minutes', () => {
  const rules = policyOf({}).routes[0]?.demand.dpop;
  assert.deepEqual([rules?.maxAge, rules?.clockTolerance], [60, 15]);
  const setting = (text: string) => () => policyOf({ more: `defaults: { dpop: { ${text} } }\n` });
  assert.doesNotThrow(setting('max_age: 10m, clock_tolerance: 10m'));
  assert.throws(setting('max_age: 601s'));
  assert.throws(setting('clock_tolerance: 601s'));
  assert.throws(() => policyOf({ more: 'nonce: { lifetime: 601s }\n' }));
});

test('neither none nor an HMAC can be configured, for proofs or for tokens', () => {
  for (const algorithm of ['none', 'HS256', 'hs512', 'RSA-OAEP']) {
    assert.throws(() => policyOf({ more: `defaults: { dpop: { algorithms: [${algorithm}] } }\n` }), algorithm);
    const issuers = `login: { issuer: https://login.example.com, audience: [a], algorithms: [${algorithm}] }`;
    assert.throws(() => policyOf({ issuers }), algorithm);
  }
});

test('a jti of 256 bytes is the largest that is accepted', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const statusOf = async (jti: string) => {
    const token = await issue(gateway, TO_KEY);
    const proof = await prove(gateway, token, 'GET', '/any/1', { claims: { jti } });
    return (await gateway.request('GET', '/any/1', { token, proof })).reason ?? 'passed';
  };
  assert.equal(await statusOf('j'.repeat(256)), 'passed');
  assert.equal(await statusOf('j'.repeat(257)), 'proof_malformed');
});
