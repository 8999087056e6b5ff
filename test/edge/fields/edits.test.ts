// Field edits of a route, against clients and upstreams that would undo them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerFields } from '../../../src/edge/fields/answer-fields.ts';
import { requestFields } from '../../../src/edge/fields/request-fields.ts';
import { answerTrailers } from '../../../src/edge/fields/trailers.ts';
import type { FieldEdits } from '../../../src/policy/edits.ts';
import { makePermit, makeRules, type RuleWishes } from '../../support/forwarding.ts';

const EDITS: FieldEdits = {
  set: [['X-Tenant', 'acme']],
  add: [['X-Seen', 'here']],
  remove: ['X-Debug'],
};

const values = (flat: readonly string[]) => (name: string) =>
  flat.filter((_, at) => at % 2 === 1 && flat[at - 1]?.toLowerCase() === name);

function toUpstream(rawHeaders: readonly string[], wishes: RuleWishes = {}) {
  const received = {
    transaction: { rawHeaders, httpVersion: '1.1' },
    facts: {
      method: 'GET',
      origin: { scheme: 'https' as const, authority: 'api.example.com', pathPrefix: '' },
      path: '/',
      now: 0,
      peer: { address: '192.0.2.7', trusted: false },
    },
    upstreamToken: undefined,
    correlation: { requestField: undefined, interaction: undefined },
  };
  const rules = makeRules({ edits: { requestFields: EDITS }, ...wishes });
  const permit = makePermit({ identity: [['X-Auth-Subject', 'alice']] });
  return values(requestFields(received, rules, permit.facts));
}

describe('edits of a request', () => {
  it('set is the only line of its name, add one more, and remove none', () => {
    const of = toUpstream([
      'x-tenant',
      'evil',
      'X-TENANT',
      'evil',
      'X-Seen',
      'before',
      'x-debug',
      '1',
      'Accept',
      '*/*',
    ]);
    assert.deepEqual([of('x-tenant'), of('x-seen'), of('x-debug')], [['acme'], ['before', 'here'], []]);
    assert.deepEqual(of('accept'), ['*/*']);
  });

  for (const name of ['X_Tenant', 'x.tenant', 'XTenant', 'X-Ten-ant', 'x_TENANT'])
    it(`${name} of a client, which CGI reads as X-Tenant, does not stand next to what the route sets`, () => {
      const of = toUpstream([name, 'evil']);
      assert.deepEqual([of(name.toLowerCase()), of('x-tenant')], [[], ['acme']]);
    });

  for (const option of ['X-Tenant', 'x-tenant, close', 'X-Seen'])
    it(`Connection: ${option} takes away nothing that the route puts in`, () => {
      const of = toUpstream(['Connection', option, 'X-Tenant', 'evil']);
      assert.deepEqual([of('x-tenant'), of('x-seen')], [['acme'], ['here']]);
    });

  it('what the gateway says of the caller is added afterwards', () => {
    const wishes = {
      edits: { requestFields: { set: [], add: [], remove: ['X-Auth-Subject', 'Host', 'Via'] } },
    } as const;
    const of = toUpstream(['X-Auth-Subject', 'admin'], wishes);
    assert.deepEqual([of('x-auth-subject'), of('host'), of('via').length], [['alice'], ['api.example.com'], 1]);
  });

  it('another host stands in Host alone, once, and X-Forwarded-Host names the one that was called', () => {
    for (const host of ['preserve', 'upstream'] as const) {
      const of = toUpstream(['Host', 'api.example.com'], { forward: { host }, edits: { host: 'orders.internal:81' } });
      assert.deepEqual([of('host'), of('x-forwarded-host')], [['orders.internal:81'], ['api.example.com']]);
    }
  });
});

function toClient(raw: readonly string[], edits: FieldEdits, freshNonce?: string) {
  const rules = makeRules({ edits: { responseFields: edits } });
  return values(answerFields(raw, rules, { fields: ['X-Request-Id', 'r1'] }, { freshNonce }));
}

describe('edits of an answer', () => {
  it('cookies of the upstream stay lines of their own; set replaces them all, add is one more', () => {
    const cookies = ['Set-Cookie', 'a=1; Path=/', 'set-cookie', 'b=2'];
    const add = toClient(cookies, { set: [], add: [['Set-Cookie', 'c=3']], remove: [] });
    assert.deepEqual(add('set-cookie'), ['a=1; Path=/', 'b=2', 'c=3']);
    const set = toClient(cookies, { set: [['Set-Cookie', 'c=3']], add: [], remove: [] });
    assert.deepEqual(set('set-cookie'), ['c=3']);
    assert.deepEqual(toClient(cookies, { set: [], add: [], remove: ['set-COOKIE'] })('set-cookie'), []);
  });

  it('an answer with a fresh nonce is stored by nobody, whatever the route says of caches', () => {
    const edits: FieldEdits = { set: [['Cache-Control', 'public, max-age=600']], add: [], remove: [] };
    const plain = toClient(['Cache-Control', 'private'], edits);
    assert.deepEqual(plain('cache-control'), ['public, max-age=600']);
    const nonced = toClient(['Cache-Control', 'private'], edits, 'n1');
    assert.deepEqual([nonced('cache-control'), nonced('dpop-nonce')], [['no-store'], ['n1']]);
  });

  it('Connection of the upstream takes away nothing that the route puts in, nor the request id', () => {
    const of = toClient(['Connection', 'X-Frame-Options, x-request-id'], {
      set: [['X-Frame-Options', 'DENY']],
      add: [],
      remove: [],
    });
    assert.deepEqual([of('x-frame-options'), of('x-request-id')], [['DENY'], ['r1']]);
  });

  it('Vary that names an edited field of the request becomes *: caches know the client’s value alone', () => {
    const rules = makeRules({ edits: { requestFields: EDITS } });
    for (const name of ['X-Tenant', 'x-seen', 'X-Debug'])
      assert.deepEqual(values(answerFields(['Vary', `Accept, ${name}`], rules, { fields: [] }))('vary'), ['*']);
    assert.deepEqual(values(answerFields(['Vary', 'Accept'], rules, { fields: [] }))('vary'), ['Accept']);
  });

  it('a field that is set or removed does not come back as a trailer', () => {
    const rules = makeRules({ edits: { responseFields: { set: [['X-A', '1']], add: [], remove: ['X-B'] } } });
    assert.deepEqual(answerTrailers(['x-a', 'evil', 'X-B', 'evil', 'X-C', 'ok'], rules), ['x-c', 'ok']);
  });
});
