// Changes of policies in threads: whole in the end, linked by names, refused elsewhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadDocument } from '../../src/cli/load.ts';
import { Kept } from '../../src/config/kept.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { applyChange, changeOf } from '../../src/worker/policy-change.ts';

const kept = new Kept();
const target = (port: number) => ({ targets: [`http://127.0.0.1:${port}`] });
const FIRST = {
  version: 1,
  listeners: [{ name: 'public', bind: '127.0.0.1:8443', origins: ['http://api.example.com'] }],
  issuers: { login: { issuer: 'https://login.example.com', audience: ['https://api.example.com'] } },
  upstreams: { a: target(1), b: target(2), c: target(3) },
  routes: [
    { name: 'one', match: { path: '/one' }, upstream: 'a', dpop: { nonce: 'required' }, shadow: { require: 'dpop' } },
    {
      name: 'two',
      match: { path: '/two' },
      upstreams: [{ name: 'a', weight: 1 }, { name: 'b', weight: 1 }, { weight: 1 }],
    },
    { name: 'three', match: { path: '/three' }, upstream: 'b', mirror: [{ upstream: 'c' }] },
    { name: 'four', match: { path: '/four' }, upstream: 'c', require: 'public', weaker_than_defaults: ['require'] },
  ],
};

function policyOf(configuration: object): Policy {
  const loaded = loadDocument(JSON.stringify(configuration), 'secret a/b', kept);
  assert.ok('policy' in loaded, JSON.stringify('problems' in loaded && loaded.problems));
  return loaded.policy;
}

/** As between threads. */
const sent = <T>(value: T): T => structuredClone(value);

const [one, two, three, four] = FIRST.routes;
const STEPS = [
  FIRST,
  { ...FIRST, routes: [one, { ...two, require: 'dpop' }, three, four] },
  { ...FIRST, routes: [four, three, two, one] },
  { ...FIRST, upstreams: { ...FIRST.upstreams, a: target(9) } },
  { ...FIRST, upstreams: { ...FIRST.upstreams, d: target(4) }, routes: [one, two, { ...three, upstream: 'd' }] },
  { ...FIRST, issuers: { login: { ...FIRST.issuers.login, clock_tolerance: '1s' } } },
  {
    ...FIRST,
    listeners: [...FIRST.listeners, { name: 'more', bind: '127.0.0.1:8444', origins: ['http://api.example.com:8444'] }],
  },
  FIRST,
];

test('a thread that gets one change after the other has the policy of the supervisor', () => {
  let there = sent(policyOf(FIRST));
  let here = policyOf(FIRST);
  for (const [step, configuration] of STEPS.entries()) {
    const next = policyOf(configuration);
    there = applyChange(there, sent(changeOf(here, next)));
    here = next;
    assert.deepEqual(there, here, `step ${step}`);
    const upstreams = there.routes.flatMap(({ upstream, split = [], mirrors = [] }) => [
      upstream,
      ...[...split, ...mirrors].flatMap((share) => share.upstream ?? []),
    ]);
    for (const upstream of upstreams)
      assert.ok(upstream.name === '' || there.upstreams.includes(upstream), upstream.name);
    const issuers = there.routes.flatMap(({ demand, shadow }) => [...demand.issuers, ...(shadow?.issuers ?? [])]);
    for (const issuer of issuers) assert.ok(there.issuers.includes(issuer));
    for (const route of there.withoutUpstreamNonce) assert.ok(there.routes.includes(route));
  }
  assert.ok(here.withoutUpstreamNonce.size > 0, 'the step with such a route was met');
});

test('what did not change is not sent', () => {
  const [before, after] = [policyOf(FIRST), policyOf(STEPS[1] ?? {})];
  const { routes, upstreams, issuers } = changeOf(before, after);
  assert.deepEqual(
    routes.map((route) => (typeof route === 'number' ? route : route.name)),
    [0, 'two', 2, 3],
  );
  assert.deepEqual([upstreams, issuers], [[0, 1, 2], [0]]);
});

test('a change that does not fit the policy before is refused', () => {
  const [before, after] = [policyOf(FIRST), policyOf(STEPS[1] ?? {})];
  const small = policyOf({ ...FIRST, routes: [four], upstreams: { c: target(3) } });
  assert.throws(() => applyChange(sent(small), sent(changeOf(before, after))), /does not fit the policy before/);
});
