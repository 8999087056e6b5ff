// Tests of the order of demands: a joint one is as strict as both, for every key.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type POLICY_KEYS, demandProblems } from '../../src/kubernetes/policy-check.ts';
import { compareTexts } from '../../src/kubernetes/index.ts';
import { joinDemands } from '../../src/kubernetes/stricter.ts';

type Written = Readonly<Record<string, unknown>>;
type Row = readonly [one: Written, other: Written, joined: Written | string];

/** A text: the key in which the two cannot be had together. */
const TABLE: Readonly<Record<(typeof POLICY_KEYS)[number], readonly Row[]>> = {
  require: [
    [{}, { require: 'public' }, { require: 'public' }],
    [{ require: 'public' }, { require: 'token' }, { require: 'token' }],
    [{ require: 'token' }, { require: 'sender-constrained' }, { require: 'sender-constrained' }],
    [{ require: 'sender-constrained' }, { require: 'dpop' }, { require: 'dpop' }],
    [{ require: 'sender-constrained' }, { require: 'mtls' }, { require: 'mtls' }],
    [{ require: 'public' }, { require: 'mtls' }, { require: 'mtls' }],
    [{ require: 'dpop' }, { require: 'dpop' }, { require: 'dpop' }],
    [{ require: 'dpop' }, { require: 'mtls' }, 'require'],
  ],
  issuers: [
    [{ issuers: ['a', 'b'] }, {}, { issuers: ['a', 'b'] }],
    [{ issuers: ['a', 'b'] }, { issuers: ['b', 'c'] }, { issuers: ['b'] }],
    [{ issuers: ['a'] }, { issuers: ['b'] }, 'issuers'],
  ],
  audience: [
    [{ audience: ['a', 'b'] }, { audience: ['b'] }, { audience: ['b'] }],
    [{ audience: ['a'] }, { audience: ['b'] }, 'audience'],
  ],
  dpop: [
    [{ dpop: { nonce: 'none' } }, { dpop: { nonce: 'on-skew' } }, { dpop: { nonce: 'on-skew' } }],
    [{ dpop: { nonce: 'required' } }, { dpop: { nonce: false } }, { dpop: { nonce: 'required' } }],
    [{ dpop: { nonce: 'required' } }, { dpop: { max_age: '2m' } }, { dpop: { nonce: 'required', max_age: '2m' } }],
    [{ dpop: { max_age: '60s' } }, { dpop: { max_age: '1m' } }, { dpop: { max_age: '60s' } }],
    [{ dpop: { max_age: '30s' } }, { dpop: { max_age: '5m' } }, { dpop: { max_age: '30s' } }],
    [{ dpop: { clock_tolerance: '0s' } }, { dpop: { clock_tolerance: '15s' } }, { dpop: { clock_tolerance: '0s' } }],
    [
      { dpop: { algorithms: ['ES256', 'EdDSA'] } },
      { dpop: { algorithms: ['EdDSA', 'RS256'] } },
      { dpop: { algorithms: ['EdDSA'] } },
    ],
    [
      { dpop: { algorithms: ['EdDSA'] } },
      { dpop: { algorithms: ['Ed25519'] } },
      { dpop: { algorithms: ['EdDSA', 'Ed25519'] } },
    ],
    [{ dpop: { algorithms: ['ES256'] } }, { dpop: { algorithms: ['RS256'] } }, 'dpop'],
  ],
  signature: [
    [{ signature: { max_age: '30s' } }, {}, { signature: { max_age: '30s' } }],
    [
      { signature: { components: ['a'], max_age: '30s' } },
      { signature: { tag: 'x' } },
      {
        signature: {
          components: ['a', 'content-type', 'content-encoding'],
          max_age: '30s',
          clock_tolerance: '15s',
          tag: 'x',
        },
      },
    ],
    [{ signature: { tag: 'x' } }, { signature: { tag: 'y' } }, 'signature'],
  ],
  scope: [
    [{ scope: ['a'] }, { scope: ['b', 'a'] }, { scope: ['a', 'b'] }],
    [{ scope: ['a'] }, { scope: { any: ['a', 'b'] } }, { scope: ['a'] }],
    [{ scope: { any: ['a', 'b'] } }, { scope: ['b', 'c'] }, { scope: ['b', 'c'] }],
    [{ scope: { any: ['a', 'b'] } }, { scope: { any: ['b', 'c'] } }, { scope: { any: ['b'] } }],
    [{ scope: ['c'] }, { scope: { any: ['a'] } }, { scope: ['c', 'a'] }],
    [{ scope: ['c'] }, { scope: { any: ['a', 'b'] } }, 'scope'],
    [{ scope: { any: ['a'] } }, { scope: { any: ['b'] } }, 'scope'],
  ],
  claims: [
    [{ claims: { a: '1' } }, { claims: { b: [1, 2] } }, { claims: { a: '1', b: [1, 2] } }],
    [{ claims: { a: ['1', '2'] } }, { claims: { a: '2' } }, { claims: { a: ['2'] } }],
    [{ claims: { a: '1' } }, { claims: { a: 1 } }, 'claims'],
    [{ claims: { constructor: 'a' } }, { claims: { toString: 'b' } }, { claims: { constructor: 'a', toString: 'b' } }],
  ],
  acr: [
    [{ acr: ['gold', 'silver'] }, { acr: ['gold'] }, { acr: ['gold'] }],
    [{ acr: ['silver'] }, { acr: ['gold'] }, 'acr'],
  ],
  max_auth_age: [[{ max_auth_age: '1h' }, { max_auth_age: '15m' }, { max_auth_age: '15m' }]],
  forward: [
    [
      { forward: { authorization: 'remove' } },
      { forward: { authorization: 'as-received', host: 'upstream' } },
      { forward: { authorization: 'remove', host: 'upstream' } },
    ],
    [
      { forward: { identity: { 'X-User': 'sub' }, remove: ['X-A'], encoding: 'rfc8187' } },
      { forward: { identity: { 'x-user': 'email', 'X-Org': 'org' }, remove: ['X-B'], encoding: 'strict' } },
      { forward: { identity: { 'X-User': 'sub', 'X-Org': 'org' }, remove: ['X-A', 'X-B'], encoding: 'strict' } },
    ],
  ],
  shadow: [[{ shadow: { require: 'dpop' } }, { shadow: { require: 'mtls' } }, { shadow: { require: 'dpop' } }]],
  cors: [
    [
      {
        cors: {
          origins: ['https://a.example', 'https://b.example'],
          credentials: true,
          max_age: '1m',
          expose: ['X-A'],
        },
      },
      { cors: { origins: ['https://b.example'], credentials: true, expose: ['X-A', 'X-B'] } },
      { cors: { origins: ['https://b.example'], credentials: true, max_age: '1m', expose: ['X-A'] } },
    ],
    [
      { cors: { origins: ['https://a.example'], credentials: true } },
      { cors: { origins: ['https://a.example'] } },
      { cors: { origins: ['https://a.example'], credentials: false, max_age: '10m', expose: [] } },
    ],
    [{ cors: { origins: ['https://a.example'] } }, { cors: { origins: ['https://b.example'] } }, 'cors'],
  ],
  resource: [
    [
      { resource: { identifier: 'https://a.example' } },
      { resource: { identifier: 'https://b.example' } },
      { resource: { identifier: 'https://a.example' } },
    ],
  ],
  rate_limit: [
    [{ rate_limit: 'a' }, {}, { rate_limit: 'a' }],
    [{ rate_limit: 'a' }, { rate_limit: 'b' }, 'rate_limit'],
  ],
  encoded: [
    [{ encoded: ['slash'] }, {}, { encoded: ['slash'] }],
    [{ encoded: [] }, { encoded: ['slash'] }, { encoded: [] }],
  ],
  limits: [
    [
      { limits: { request_body: '1MiB', upload_rate: '512B', rate_grace: '10s' } },
      { limits: { request_body: 'none', upload_rate: '1KiB', download_rate: 'none', rate_grace: '20s' } },
      { limits: { request_body: '1MiB', upload_rate: '1KiB', download_rate: 'none', rate_grace: '10s' } },
    ],
    [{ limits: { upload_rate: 'none' } }, { limits: { upload_rate: '1B' } }, { limits: { upload_rate: '1B' } }],
  ],
};

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.toSorted(compareTexts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, sorted(inner)]));
};

describe('the joint demand is that of the table for', () => {
  for (const [key, rows] of Object.entries(TABLE)) {
    test(key, () => {
      for (const [one, other, expected] of rows) {
        const joined = joinDemands(one, other);
        const text = JSON.stringify([one, other]);
        if ('irreconcilable' in joined) assert.equal(joined.irreconcilable.key, expected, text);
        else assert.deepEqual(joined.demand, expected, text);
      }
    });
  }
});

/** Where nothing is demanded of a sender, the first one counts. */
const FIRST_COUNTS = ['forward', 'shadow', 'resource'];

test('the order of two demands makes no difference to what is demanded', () => {
  for (const [key, rows] of Object.entries(TABLE).filter(([name]) => !FIRST_COUNTS.includes(name))) {
    for (const [one, other] of rows) {
      const [there, back] = [joinDemands(one, other), joinDemands(other, one)];
      assert.equal('irreconcilable' in there, 'irreconcilable' in back, key);
      if ('demand' in there && 'demand' in back && key !== 'dpop' && key !== 'claims') {
        assert.deepEqual(sorted(there.demand), sorted(back.demand), key);
      }
    }
  }
});

test('a demand joined with itself or with none is the same', () => {
  for (const [one] of Object.values(TABLE).flat()) {
    const [alone, twice] = [joinDemands(one, {}), joinDemands(one, one)];
    assert.deepEqual(alone, { demand: one });
    assert.ok('demand' in twice);
    assert.deepEqual(joinDemands(twice.demand, one), twice);
  }
});

test('every row of the table is what a policy may say', () => {
  for (const [one, other, joined] of Object.values(TABLE).flat()) {
    for (const demand of [one, other, ...(typeof joined === 'string' ? [] : [joined])]) {
      assert.deepEqual(demandProblems(demand), [], JSON.stringify(demand));
    }
  }
});

test('what is wrong in a policy is said with its place', () => {
  const problems = demandProblems({
    require: 'dpopp',
    dpop: { max_age: '1h' },
    upstream: 'x',
    claims: { '${HOME}': 'a' },
    forward: { assertion: { field: 'X-A', key_files: ['/etc/shadow'] } },
  });
  assert.deepEqual(problems.map((line) => line.split(' ')[0] ?? '').toSorted(compareTexts), [
    'spec.claims["${HOME}"]',
    'spec.dpop.max_age',
    'spec.forward.assertion.key_files[0]',
    'spec.require',
    'spec.upstream',
  ]);
});
