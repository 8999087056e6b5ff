// Presentation: Authorization and DPoP lines that are taken, and refusals.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Rejection } from '../../src/rejection/rejection.ts';
import { presentedScheme, readPresentation } from '../../src/token/presentation.ts';
import { makeFacts } from '../support/facts.ts';

const outcome = (authorization: string[], dpop: string[] = [], query?: string) => {
  const read = readPresentation(makeFacts({ authorization, dpop, query }));
  return read instanceof Rejection ? read.reason : `${read.scheme} ${read.accessToken} ${read.proof ?? '-'}`;
};

describe('presentation', () => {
  const good: [string[], string[], string][] = [
    [['Bearer abc'], [], 'Bearer abc -'],
    [['bEaReR   a-b._~+/=='], [], 'Bearer a-b._~+/== -'],
    [['dpop abc'], ['proof'], 'DPoP abc proof'],
    [['Bearer abc'], ['stray', 'proofs'], 'Bearer abc -'],
    [[`Bearer ${'a'.repeat(16 * 1024)}`], [], `Bearer ${'a'.repeat(16 * 1024)} -`],
  ];
  for (const [authorization, dpop, expected] of good) {
    test(`${JSON.stringify(authorization).slice(0, 50)} is read as ${expected.slice(0, 50)}`, () =>
      assert.equal(outcome(authorization, dpop), expected));
  }
  const bad: [string[], string[], string][] = [
    [[], [], 'credentials_missing'],
    [[], ['proof'], 'credentials_missing'],
    [[''], [], 'credentials_malformed'],
    [['Bearer'], [], 'credentials_malformed'],
    [['Bearer a b'], [], 'credentials_malformed'],
    [['Bearer a, Bearer b'], [], 'credentials_malformed'],
    [['Bearer\ta'], [], 'credentials_malformed'],
    [['Basic\ta'], [], 'credentials_malformed'],
    [['Bearer a=b'], [], 'credentials_malformed'],
    [['Bearer ä'], [], 'credentials_malformed'],
    [['Bearer a\nb'], [], 'credentials_malformed'],
    [['=abc'], [], 'credentials_malformed'],
    [['abc.def.ghi'], [], 'credentials_malformed'],
    [['mF_9.B5f-4.1JqM'], [], 'credentials_malformed'],
    [['0b5ac1f6a1de4be6a4d4c3e4f1b0a7d2'], [], 'credentials_malformed'],
    [['Token abc.def.ghi'], [], 'scheme_not_accepted'],
    [['Negotiate YII='], [], 'scheme_not_accepted'],
    [[`Bearer ${'a'.repeat(16 * 1024 + 1)}`], [], 'credentials_malformed'],
    [['Bearer a', 'Bearer a'], [], 'credentials_repeated'],
    [['Bearer a', 'Basic a'], [], 'credentials_repeated'],
    [['Bearer a', 'Bearer a b'], [], 'credentials_malformed'],
    [['Basic YTpi'], [], 'scheme_not_accepted'],
    [['Digest username="a", realm="b"'], [], 'scheme_not_accepted'],
    [['DPoP abc'], [], 'proof_missing'],
    [['DPoP abc'], ['a', 'b'], 'proof_repeated'],
    [['DPoP abc'], ['a, b'], 'proof_repeated'],
    [['DPoP abc'], ['a,'], 'proof_repeated'],
  ];
  for (const [authorization, dpop, reason] of bad) {
    test(`${JSON.stringify(authorization).slice(0, 50)} with ${dpop.length} DPoP lines: ${reason}`, () =>
      assert.equal(outcome(authorization, dpop), reason));
  }
  for (const query of [
    'access_token=a',
    'a=b&access_token=',
    'access%5Ftoken=a',
    '%61ccess_token',
    'x;access_token=a',
    'access_token',
  ]) {
    test(`a token in the query, ${query}: credentials_in_query alone, credentials_repeated with another`, () => {
      assert.equal(outcome([], [], query), 'credentials_in_query');
      assert.equal(outcome([], ['proof'], query), 'credentials_in_query');
      assert.equal(outcome(['Bearer a'], [], query), 'credentials_repeated');
      assert.equal(outcome(['Bearer a', 'Bearer b'], [], query), 'credentials_repeated');
      assert.equal(outcome(['Bearer a b'], [], query), 'credentials_malformed');
    });
  }
  for (const query of ['', 'access=a', 'my_access_token=a', 'a=access_token', '%zz=%', 'ACCESS_TOKEN=a']) {
    test(`the query ${query} holds no token`, () => assert.equal(outcome(['Bearer a'], [], query), 'Bearer a -'));
  }
  test('a query holds a token where URLSearchParams finds one, `;` taken for `&`', () => {
    const piece = fc.constantFrom(
      ...'access_ token %5F %5f _ %61 a ccess_token access_token = & ; ? %26 %3D + b %'.split(' '),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const query = pieces.join('');
        const found = new URLSearchParams(query.replaceAll(';', '&')).has('access_token');
        assert.equal(outcome(['Bearer a'], [], query), found ? 'credentials_repeated' : 'Bearer a -', query);
      }),
      { numRuns: 1000 },
    );
  });
  test('the refusal of repeated credentials tells where the second one is', () => {
    const repeated = (over: Parameters<typeof makeFacts>[0]) => {
      const read = readPresentation(makeFacts(over));
      return read instanceof Rejection && read.facts;
    };
    assert.deepEqual(repeated({ authorization: ['Bearer a'], query: 'access_token=a' }), { what: 'query' });
    assert.deepEqual(repeated({ authorization: ['Bearer a', 'Bearer a'] }), { what: 'Authorization' });
  });
  test('of one word alone the refusal says that scheme or token is missing', () => {
    for (const line of ['abc.def.ghi', 'Bearer', 'DPoP', 'Negotiate']) {
      const read = readPresentation(makeFacts({ authorization: [line] }));
      assert.ok(read instanceof Rejection);
      assert.deepEqual([read.reason, read.facts], ['credentials_malformed', { what: 'scheme' }], line);
    }
  });
  test('the presented scheme is a closed set for metrics', () => {
    const schemes = [[], ['bearer x'], ['DPOP'], ['Basic x'], ['']].map(presentedScheme);
    assert.deepEqual(schemes, ['none', 'Bearer', 'DPoP', 'other', 'other']);
  });
});
