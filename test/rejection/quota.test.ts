// The fields that say what a rate limit leaves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quotaFields } from '../../src/rate/quota.ts';
import { reject } from '../../src/rejection/rejection.ts';
import { rejectionAnswer } from '../../src/rejection/answer.ts';

const QUOTA = { name: 'per_client', quota: 200, window: 2, remaining: 7, resetAfter: 1.2 };
const FIELDS = [
  ['RateLimit-Policy', '"per_client";q=200;w=2'],
  ['RateLimit', '"per_client";r=7;t=2'],
];

test('quota and window are the policy, what remains and when all of it is back are the state', () => {
  assert.deepEqual(quotaFields(QUOTA), FIELDS);
});

test('a refusal for the rate has them beside Retry-After, in whole seconds rounded up, and no error in its challenge', () => {
  const answer = rejectionAnswer(reject('rate_limited', { what: 'per_client', retryAfter: 0.004, quota: QUOTA }), {
    requestId: 'id',
    challenge: {
      schemes: ['DPoP', 'Bearer'],
      algs: 'ES256',
      scope: undefined,
      acrValues: undefined,
      maxAge: undefined,
    },
    presented: 'DPoP',
    realm: 'api.example.com',
    nonce: () => 'unused',
    explain: true,
  });
  assert.equal(answer.status, 429);
  const named = answer.fields.filter(([name]) => /^(?:retry-after|ratelimit|dpop-nonce)/i.test(name));
  assert.deepEqual(named, [['Retry-After', '1'], ...FIELDS]);
  assert.ok(!answer.fields.some(([name, value]) => name === 'WWW-Authenticate' && value.includes('error=')));
});
