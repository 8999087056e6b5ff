// One use per proof: in parallel, at its edges, re-spelled, after a restart.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Ports } from '../../src/enforce.ts';
import type { Demand } from '../../src/policy/policy.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';
import type { RequestFacts } from '../../src/request-facts.ts';
import { decide, DPOP_RULES, makeIssuer, makePorts, makeRoute } from '../support/enforcing.ts';
import { makeFacts } from '../support/facts.ts';
import {
  makeKey,
  makeProof,
  makeToken,
  type ProofOptions,
  proofParts,
  signParts,
  type TestKey,
} from '../support/tokens.ts';

const NOW = 1_800_000_000;
const { maxAge, clockTolerance } = DPOP_RULES;
/** n of the group of P-256 (FIPS 186-4 §D.1.2.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

let signer: TestKey;
let holder: TestKey;
let stranger: TestKey;
let token: string;
let strangersToken: string;
let base: Ports;
before(async () => {
  [signer, holder, stranger] = [await makeKey('ES256', 'k1'), await makeKey(), await makeKey()];
  base = await makePorts([signer]);
  const lasting = { exp: NOW + 86_400 };
  token = await makeToken(signer, NOW, { claims: { ...lasting, cnf: { jkt: holder.jkt } } });
  strangersToken = await makeToken(signer, NOW, { claims: { ...lasting, cnf: { jkt: stranger.jkt } } });
});

const prove = (claims: Record<string, unknown>, options: Omit<ProofOptions, 'claims'> = {}) =>
  makeProof(holder, NOW, { token, claims, ...options });

/** A gate with a memory of its own. */
function openGate(over: Partial<Demand> = {}, { capacity = 1000, since = 0, nonces = base.nonces } = {}) {
  const issuer = makeIssuer();
  const replay = new ProcessReplayStore(createReplayMemory({ capacity, since }), () => NOW);
  const route = makeRoute(issuer, { requirement: 'dpop', ...over });
  const send = (proof: string, request: Partial<RequestFacts> = {}, accessToken = token) =>
    decide(makeFacts({ now: NOW, authorization: [`DPoP ${accessToken}`], dpop: [proof], ...request }), route, {
      ...base,
      nonces,
      replay,
    });
  return { replay, send };
}

describe('a proof', () => {
  test('that one route permitted is not permitted later by a route which takes older proofs', async () => {
    const rememberFor = 600 + clockTolerance;
    const ports = {
      ...base,
      rememberFor,
      replay: new ProcessReplayStore(createReplayMemory({ capacity: 10, since: 0 }), () => NOW),
    };
    const ask = async (proof: string, maxAgeOfRoute: number, now: number) => {
      const dpop = { ...DPOP_RULES, maxAge: maxAgeOfRoute };
      const route = makeRoute(makeIssuer(), { requirement: 'dpop', dpop });
      return decide(makeFacts({ now, authorization: [`DPoP ${token}`], dpop: [proof] }), route, ports);
    };
    const proof = await prove({ iat: NOW });
    assert.equal(await ask(proof, 10, NOW), 'permit');
    assert.equal(await ask(proof, 600, NOW + 60), 'proof_replayed');
    assert.equal(await ask(proof, 600, NOW + 600), 'proof_replayed');
    assert.equal(await ask(proof, 600, NOW + 601), 'proof_stale');
  });

  for (const copies of [50, 500]) {
    test(`sent ${copies} times in parallel is permitted exactly once`, async () => {
      const { send, replay } = openGate();
      const proof = await prove({});
      // Also the first verification of the token is in flight for all of them.
      base.tokens.clear();
      const decisions = await Promise.all(Array.from({ length: copies }, () => send(proof)));
      assert.equal(decisions.filter((one) => one === 'permit').length, 1);
      assert.equal(decisions.filter((one) => one === 'proof_replayed').length, copies - 1);
      assert.equal(replay.entries, 1);
    });
  }

  test('with the jti of another key’s proof is another proof', async () => {
    const { send, replay } = openGate();
    const theirs = await makeProof(stranger, NOW, { token: strangersToken, claims: { jti: 'same' } });
    assert.equal(await send(await prove({ jti: 'same' })), 'permit');
    assert.equal(await send(theirs, {}, strangersToken), 'permit');
    assert.equal(replay.entries, 2);
  });

  test('with a jti that was used is replayed, whatever else is new in it: token, path, method, iat, signature', async () => {
    const { send, replay } = openGate();
    const claims = { jti: 'same' };
    assert.equal(await send(await prove(claims)), 'permit');
    const other = await makeToken(signer, NOW, { claims: { cnf: { jkt: holder.jkt }, sub: 'bob' } });
    assert.equal(await send(await prove(claims, { token: other }), {}, other), 'proof_replayed');
    const path = '/orders/2';
    const url = `https://api.example.com${path}`;
    assert.equal(await send(await prove(claims, { url }), { path, target: path, matchPath: path }), 'proof_replayed');
    assert.equal(await send(await prove(claims, { method: 'POST' }), { method: 'POST' }), 'proof_replayed');
    assert.equal(await send(await prove({ ...claims, iat: NOW + 9 })), 'proof_replayed');
    assert.equal(replay.entries, 1);
  });
});

describe('a refusal', () => {
  const flaws: Record<
    string,
    { claims?: Record<string, unknown>; header?: Record<string, unknown>; demand?: Partial<Demand> }
  > = {
    proof_malformed: { claims: { ath: 5 } },
    proof_type_invalid: { header: { typ: 'JWT' } },
    proof_algorithm_refused: { header: { alg: 'PS384' } },
    proof_key_invalid: { header: { jwk: {} } },
    proof_method_mismatch: { claims: { htm: 'POST' } },
    proof_uri_mismatch: { claims: { htu: 'https://api.example.com/' } },
    proof_token_mismatch: { claims: { ath: 'x' } },
    nonce_required: { demand: { dpop: { ...DPOP_RULES, nonce: 'required' } } },
    nonce_stale: { claims: { nonce: 'x' } },
    proof_stale: { claims: { iat: NOW - maxAge - 1 } },
    proof_from_future: { claims: { iat: NOW + clockTolerance + 1 } },
    scope_insufficient: { demand: { scope: { match: 'all', scopes: ['admin'] } } },
    claim_mismatch: { demand: { claims: [{ name: 'sub', path: ['sub'], anyOf: ['bob'] }] } },
    authentication_insufficient: { demand: { acr: ['gold'] } },
  };
  for (const [reason, { claims = {}, header = {}, demand = {} }] of Object.entries(flaws)) {
    test(`${reason} neither fills the memory nor burns the jti`, async () => {
      const strict = openGate(demand);
      const flawed = await prove({ jti: 'kept', ...claims }, { header });
      for (let copies = 0; copies < 3; copies++) assert.equal(await strict.send(flawed), reason);
      assert.equal(strict.replay.entries, 0);
      if (Object.keys(demand).length === 0) assert.equal(await strict.send(await prove({ jti: 'kept' })), 'permit');
    });
  }

  test('of a proof by another key or with another signature burns no jti', async () => {
    const { send, replay } = openGate();
    const parts = proofParts(holder, NOW, { token, claims: { jti: 'kept' } });
    assert.equal(await send(await signParts(stranger, parts.header, parts.claims)), 'proof_signature_invalid');
    assert.equal(await send(await makeProof(stranger, NOW, { token, claims: { jti: 'kept' } })), 'proof_key_mismatch');
    assert.equal(replay.entries, 0);
    assert.equal(await send(await prove({ jti: 'kept' })), 'permit');
  });

  test('because the memory is full forgets nothing: what was used stays used, and room is made by time alone', async () => {
    const { send, replay } = openGate({}, { capacity: 3 });
    const used = await Promise.all(['a', 'b', 'c'].map((jti) => prove({ jti })));
    for (const proof of used) assert.equal(await send(proof), 'permit');
    const next = await prove({ jti: 'd', iat: NOW + 10 });
    assert.equal(await send(next), 'replay_store_full');
    for (const proof of used) assert.equal(await send(proof), 'proof_replayed');
    assert.equal(replay.entries, 3);
    const later = NOW + maxAge + clockTolerance + 1;
    assert.equal(await send(await prove({ jti: 'd', iat: later }), { now: later }), 'permit');
  });
});

describe('the window', () => {
  const outcomes = async (
    claims: Record<string, unknown>,
    from: number,
    seconds: number,
    step: number,
    gate = openGate(),
  ) => {
    const proof = await prove({ jti: 'edge', ...claims });
    const seen: [number, string][] = [];
    for (let offset = 0; offset <= seconds; offset += step)
      seen.push([offset, await gate.send(proof, { now: from + offset })]);
    return seen;
  };

  for (const step of [1, 0.25]) {
    test(`a proof used at its earliest moment stays replayed until it is stale, in steps of ${step} s`, async () => {
      const seen = await outcomes({ iat: NOW + clockTolerance }, NOW, 200, step);
      for (const [offset, outcome] of seen) {
        const expected = offset === 0 ? 'permit' : offset <= clockTolerance + maxAge ? 'proof_replayed' : 'proof_stale';
        assert.equal(outcome, expected, `after ${offset} s`);
      }
    });
    test(`a proof used at its last moment stays replayed until it is stale, in steps of ${step} s`, async () => {
      const seen = await outcomes({ iat: NOW - maxAge }, NOW, 100, step);
      assert.deepEqual(
        seen.slice(0, 2).map(([, outcome]) => outcome),
        ['permit', 'proof_stale'],
      );
      const iat = NOW - maxAge + 0.75;
      const again = await outcomes({ jti: 'fraction', iat }, NOW, 100, step);
      for (const [offset, outcome] of again) {
        assert.equal(
          outcome,
          offset === 0 ? 'permit' : offset <= 0.75 ? 'proof_replayed' : 'proof_stale',
          `after ${offset} s`,
        );
      }
    });
    test(`a proof with a nonce stays replayed until the nonce has expired, in steps of ${step} s`, async () => {
      const nonces = new NonceKeys([], 30);
      const gate = openGate({}, { nonces });
      const seen = await outcomes({ iat: 0, nonce: nonces.mint(NOW) }, NOW, 120, step, gate);
      for (const [offset, outcome] of seen) {
        assert.equal(
          outcome,
          offset === 0 ? 'permit' : offset <= 30 ? 'proof_replayed' : 'nonce_stale',
          `after ${offset} s`,
        );
      }
    });
  }

  test('other traffic does not make it forget: each second brings a new proof, and the old one stays used', async () => {
    const { send } = openGate({}, { capacity: 200 });
    const old = await prove({ jti: 'old', iat: NOW + clockTolerance });
    assert.equal(await send(old), 'permit');
    for (let offset = 1; offset <= maxAge + clockTolerance; offset++) {
      const now = NOW + offset;
      assert.equal(await send(await prove({ jti: `new ${offset}`, iat: now }), { now }), 'permit');
      assert.equal(await send(old, { now }), 'proof_replayed');
    }
  });
});

describe('a clock that steps back', () => {
  test('brings no used proof back, however many were forgotten meanwhile', async () => {
    const { send } = openGate();
    const used = await Promise.all(Array.from({ length: 40 }, (_, nth) => prove({ jti: `p${nth}`, iat: NOW - nth })));
    for (const proof of used) assert.equal(await send(proof), 'permit');
    const later = NOW + 300;
    for (let nth = 0; nth < 40; nth++) await send(await prove({ jti: `later${nth}`, iat: later }), { now: later });
    for (const back of [NOW + 60, NOW, NOW - 15]) {
      for (const proof of used) assert.notEqual(await send(proof, { now: back }), 'permit', `at ${back}`);
    }
  });

  test('admits proofs that were never used as soon as their time cannot have been forgotten', async () => {
    const { send } = openGate();
    await send(await prove({ jti: 'one', iat: NOW }));
    const later = NOW + 300;
    assert.equal(await send(await prove({ jti: 'two', iat: later }), { now: later }), 'permit');
    const back = NOW + 100;
    assert.equal(await send(await prove({ jti: 'three', iat: back }), { now: back }), 'permit');
  });
});

describe('a signature spelled otherwise', () => {
  const split = (proof: string) => {
    const signature = Buffer.from(proof.slice(proof.lastIndexOf('.') + 1), 'base64url');
    const number = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);
    return {
      input: proof.slice(0, proof.lastIndexOf('.')),
      r: number(signature.subarray(0, 32)),
      s: number(signature.subarray(32)),
    };
  };
  const write = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
  const join = (input: string, ...numbers: readonly bigint[]) =>
    `${input}.${Buffer.concat(numbers.map(write)).toString('base64url')}`;

  test('s → n − s is a valid signature and the same proof', async () => {
    const { send, replay } = openGate();
    const proof = await prove({});
    const { input, r, s } = split(proof);
    const twin = join(input, r, ORDER - s);
    assert.notEqual(twin, proof);
    assert.equal(await openGate().send(twin), 'permit');
    assert.equal(await send(proof), 'permit');
    assert.equal(await send(twin), 'proof_replayed');
    assert.equal(replay.entries, 1);
  });

  test('signing again gives another signature of the same proof', async () => {
    const { send } = openGate();
    const { header, claims } = proofParts(holder, NOW, { token });
    assert.equal(await send(await signParts(holder, header, claims)), 'permit');
    assert.equal(await send(await signParts(holder, header, claims)), 'proof_replayed');
  });

  test('no other spelling of r and s is a signature', async () => {
    const { send, replay } = openGate();
    const { input, r, s } = split(await prove({}));
    for (const numbers of [
      [s, r],
      [ORDER - r, s],
      [0n, s],
      [r, 0n],
      [0n, 0n],
      [ORDER, s],
      [r, ORDER],
    ] as const) {
      assert.equal(await send(join(input, ...numbers)), 'proof_signature_invalid');
    }
    // r + n fits into 32 bytes for almost no r; longer numbers, leading zeros and DER never fit.
    for (const bytes of [write(r), Buffer.concat([Buffer.alloc(1), write(r), Buffer.alloc(1), write(s)])]) {
      assert.equal(await send(`${input}.${bytes.toString('base64url')}`), 'proof_signature_invalid');
    }
    assert.equal(replay.entries, 0);
  });

  test('spare bits, padding and white space make no proof', async () => {
    const { send } = openGate();
    const proof = await prove({});
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(proof.slice(-1));
    // 64 bytes leave four spare bits in the last character.
    for (let bits = 1; bits < 16; bits++) {
      assert.equal(await send(proof.slice(0, -1) + alphabet[last ^ bits]), 'proof_malformed');
    }
    for (const spelled of [`${proof}=`, `${proof}==`, `${proof} `, proof.replace('.', '. ')]) {
      assert.equal(await send(spelled), 'proof_malformed');
    }
  });
});

describe('after a restart', () => {
  const START = NOW + 30;
  test('a proof or nonce from before it gets a challenge, because its use is not remembered', async () => {
    const first = openGate();
    const used = await prove({ jti: 'used', iat: NOW });
    const withNonce = await prove({ jti: 'nonce', nonce: base.nonces.mint(NOW) });
    assert.equal(await first.send(used), 'permit');
    assert.equal(await first.send(withNonce), 'permit');
    const { send, replay } = openGate({}, { since: START });
    assert.equal(await send(used, { now: START }), 'nonce_required');
    assert.equal(await send(withNonce, { now: START }), 'nonce_stale');
    assert.equal(replay.entries, 0);
  });

  test('a proof dated after it, or with a nonce minted after it, passes once', async () => {
    const { send } = openGate({}, { since: START });
    const nonce = base.nonces.mint(START);
    for (const claims of [{ iat: START }, { iat: NOW, nonce }]) {
      const proof = await prove(claims);
      assert.equal(await send(proof, { now: START }), 'permit');
      assert.equal(await send(proof, { now: START }), 'proof_replayed');
    }
  });
});
