// The field lines of an answer that reach the client.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerFields } from '../../../src/edge/fields/answer-fields.ts';
import type { Field } from '../../../src/http/field.ts';
import type { Quota } from '../../../src/rate/quota.ts';
import { makeRules, type RuleWishes } from '../../support/forwarding.ts';
import { makeLimit } from '../../support/rate-limits.ts';

const CORS = { origins: ['https://app.example.com'], expose: [], maxAge: 600, credentials: false };

interface Wishes extends RuleWishes {
  readonly freshNonce?: string;
  readonly ours?: readonly string[];
  readonly quota?: Quota;
  readonly unlessThere?: Field;
}

function run(raw: readonly string[], wishes: Wishes = {}) {
  const flat = answerFields(
    raw,
    makeRules(wishes),
    { fields: wishes.ours ?? [], unlessThere: wishes.unlessThere },
    wishes,
  );
  const pairs = flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : []));
  return (name: string) => pairs.filter(([found]) => found.toLowerCase() === name).map(([, value]) => value);
}

describe('fields of an answer', () => {
  it('hop-by-hop fields, those that Connection names and certificate fields are removed', () => {
    const names = ['Keep-Alive', 'Transfer-Encoding', 'Upgrade', 'Trailer', 'Proxy-Authenticate', 'X-Hop'];
    const all = [...names, 'CLIENT-Cert', 'Client-Cert-Chain'];
    const valuesOf = run([...all.flatMap((name) => [name, 'x']), 'Connection', 'x-hop, keep-alive']);
    for (const name of [...all, 'Connection']) assert.deepEqual(valuesOf(name.toLowerCase()), []);
  });

  it('other fields pass, repeated lines on their own and in order', () => {
    const valuesOf = run(['Set-Cookie', 'a=1', 'WWW-Authenticate', 'Basic', 'set-cookie', 'b=2', 'Date', 'then']);
    assert.deepEqual(valuesOf('set-cookie'), ['a=1', 'b=2']);
    assert.deepEqual(valuesOf('www-authenticate'), ['Basic']);
    assert.deepEqual(valuesOf('date'), ['then']);
  });

  it('Via is appended to', () => {
    assert.deepEqual(run(['Via', '1.1 inner'])('via'), ['1.1 inner, 1.1 holdfast-p01']);
    assert.deepEqual(run([])('via'), ['1.1 holdfast-p01']);
  });
});

describe('Vary', () => {
  it('passes when the upstream saw the fields that it names', () => {
    assert.deepEqual(run(['Vary', 'Accept-Encoding', 'vary', 'Origin'])('vary'), ['Accept-Encoding, Origin']);
    assert.deepEqual(run([])('vary'), []);
  });
  for (const name of ['authorization', 'DPoP', 'X-Forwarded-Proto', 'Client-Cert', 'via', 'te', '*']) {
    it(`naming ${name}, which the upstream did not see as sent, becomes *`, () => {
      assert.deepEqual(run(['Vary', 'Accept', 'Vary', name])('vary'), ['*']);
    });
  }
  it('may name Authorization where that passes as received', () => {
    assert.deepEqual(run(['Vary', 'Authorization'], { requirement: 'public' })('vary'), ['Authorization']);
  });
});

describe('DPoP-Nonce', () => {
  it('of the upstream is removed where the gateway verified the request', () => {
    assert.deepEqual(run(['DPoP-Nonce', 'theirs'])('dpop-nonce'), []);
  });
  it('of the upstream passes once where credentials pass as received', () => {
    for (const wishes of [{ requirement: 'public' }, { forward: { authorization: 'as-received' } }] as const) {
      const valuesOf = run(['DPoP-Nonce', 'one', 'dpop-nonce', 'two', 'Cache-Control', 'max-age=9'], wishes);
      assert.deepEqual(valuesOf('dpop-nonce'), ['one']);
      assert.deepEqual(valuesOf('cache-control'), ['max-age=9']);
    }
  });
  it('of the gateway is the only one and makes the answer no-store', () => {
    const forward = { authorization: 'as-received' } as const;
    const valuesOf = run(['DPoP-Nonce', 'theirs', 'Cache-Control', 'public'], { freshNonce: 'ours', forward });
    assert.deepEqual(valuesOf('dpop-nonce'), ['ours']);
    assert.deepEqual(valuesOf('cache-control'), ['no-store']);
  });
});

describe('fields of rate limits', () => {
  const theirs = ['RateLimit', '"theirs";r=1', 'ratelimit-policy', '"theirs";q=1', 'Connection', 'ratelimit'];
  it('of the upstream are replaced on a route with a limit', () => {
    const quota = { name: 'ours', quota: 5, window: 60, remaining: 4, resetAfter: 1 };
    const valuesOf = run(theirs, { rateLimit: makeLimit(), quota });
    assert.deepEqual(valuesOf('ratelimit'), ['"ours";r=4;t=1']);
    assert.deepEqual(valuesOf('ratelimit-policy'), ['"ours";q=5;w=60']);
  });
  it('of the upstream pass on a route without one', () => {
    assert.deepEqual(run(theirs.slice(0, 4))('ratelimit'), ['"theirs";r=1']);
    assert.deepEqual(run(theirs.slice(0, 4))('ratelimit-policy'), ['"theirs";q=1']);
  });
});

describe('CORS fields', () => {
  const ours = ['Access-Control-Allow-Origin', 'https://app.example.com'];
  it('of the upstream are replaced on a route with cors, and Vary names Origin', () => {
    const theirs = ['Access-Control-Allow-Origin', '*', 'access-control-allow-credentials', 'true', 'Vary', 'Accept'];
    const valuesOf = run(theirs, { cors: CORS, ours });
    assert.deepEqual(valuesOf('access-control-allow-origin'), ['https://app.example.com']);
    assert.deepEqual(valuesOf('access-control-allow-credentials'), []);
    assert.deepEqual(valuesOf('vary'), ['Accept, Origin']);
  });
  it('Vary: Origin is there for requests without Origin too, and only once', () => {
    assert.deepEqual(run([], { cors: CORS })('vary'), ['Origin']);
    assert.deepEqual(run(['Vary', 'origin'], { cors: CORS })('vary'), ['origin']);
    assert.deepEqual(run(['Vary', '*'], { cors: CORS })('vary'), ['*']);
  });
  it('of the upstream pass on a route without cors', () => {
    assert.deepEqual(run(['Access-Control-Allow-Origin', '*'])('access-control-allow-origin'), ['*']);
  });
});

describe('ids of a request', () => {
  it('the request id of the upstream is replaced by ours, and removed where there is nothing of ours (1xx)', () => {
    const theirs = ['x-request-id', 'theirs', 'X-Request-ID', 'theirs'];
    assert.deepEqual(run(theirs, { ours: ['X-Request-Id', 'ours'] })('x-request-id'), ['ours']);
    assert.deepEqual(run(theirs)('x-request-id'), []);
  });

  it('an interaction id is added where the upstream sent none, and only there', () => {
    const unlessThere = ['X-FAPI-Interaction-Id', 'ours'] as const;
    assert.deepEqual(run([], { unlessThere })('x-fapi-interaction-id'), ['ours']);
    assert.deepEqual(run(['x-fapi-interaction-ID', 'theirs'], { unlessThere })('x-fapi-interaction-id'), ['theirs']);
  });
});
