// Tests of the readers of objects: what is missing or wrong narrows, and never widens.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KINDS, readObjects } from '../../src/kubernetes/kinds.ts';
import { readHoldfastPolicy } from '../../src/kubernetes/read-policy.ts';
import { readHttpRoute } from '../../src/kubernetes/read-route.ts';
import { translate } from '../../src/kubernetes/translate.ts';
import { readReferenceGrant } from '../../src/kubernetes/read-gateway.ts';

const metadata = { name: 'a', namespace: 'b' };
const NOTHING = Object.fromEntries([...KINDS.map(({ member }) => [member, []]), ['running', []]]) as never;

test('no kind of object is read without a name', () => {
  for (const kind of KINDS) assert.deepEqual(readObjects(kind, [{}, null, { metadata: { name: '../x' } }]).read, []);
});

test('a part of a match that cannot be read is known to be there', () => {
  const route = (match: unknown) => readHttpRoute({ metadata, spec: { rules: [{ matches: [match] }] } })?.rules[0];
  assert.deepEqual(route({ cookies: [] })?.matches[0]?.unknown, ['cookies']);
  assert.notEqual(route(7)?.matches[0]?.unknown.length, 0);
  assert.equal(route({ headers: [7] })?.matches[0]?.headers[0]?.type, 'unreadable');
  assert.equal(route({ headers: {} })?.matches[0]?.headers[0]?.type, 'unreadable');
});

test('a policy without readable targets is still a policy', () => {
  assert.equal(readHoldfastPolicy({ metadata, spec: { targetRefs: [7] } })?.targetRefs, undefined);
  assert.equal(readHoldfastPolicy({ metadata })?.targetRefs, undefined);
});

test('a grant that cannot be read permits nothing', () => {
  const grant = readReferenceGrant({
    metadata,
    spec: { from: [{ kind: 'Gateway' }], to: [{ group: '', kind: 'Secret', name: 7 }] },
  });
  assert.deepEqual([grant?.from, grant?.to], [[], []]);
});

test('a cluster without classes of ours is translated into nothing', () => {
  assert.deepEqual(translate(NOTHING, { controllerName: 'holdfast.internal/controller', now: 0 }), {
    dataPlanes: [],
    statuses: [],
    events: [],
    effective: [],
  });
});
