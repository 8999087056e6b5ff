// Message signatures in a configuration: what a route can demand, and what it cannot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePolicy } from '../../../src/config/report/describe.ts';
import { readSource } from '../../../src/config/read/source.ts';
import { checkConfig } from '../../../src/config/schema/check.ts';
import { assertProblems, configuration, policyOf, type Sections } from '../../support/policies.ts';

const route = (more: string) =>
  `- { name: orders, match: { path: /orders/* }, upstream: orders, ${more}, weaker_than_defaults: [require] }`;
const plain = (more: string) => `- { name: orders, match: { path: /orders/* }, upstream: orders, ${more} }`;
const ruleOf = (sections: Sections) => policyOf(sections).routes[0]?.demand.signature;

test('a route without signature demands none; with an empty one it has the defaults', () => {
  assert.equal(ruleOf({ routes: plain('require: dpop') }), undefined);
  assert.deepEqual(ruleOf({ routes: plain('signature: {}') }), {
    components: ['content-type', 'content-encoding'],
    tag: undefined,
    maxAge: 60,
    clockTolerance: 15,
  });
});

test('a shadow has the signature of its route unless it has one of its own', () => {
  const [own] = policyOf({ routes: plain('shadow: { signature: { tag: a } }') }).routes;
  assert.deepEqual([own?.demand.signature, own?.shadow?.signature?.tag], [undefined, 'a']);
  const [same] = policyOf({ routes: plain('signature: { tag: b }, shadow: { require: dpop }') }).routes;
  assert.equal(same?.shadow?.signature?.tag, 'b');
});

test('proofs and signatures are remembered for the longest time in which any of them is taken', () => {
  const { replay } = policyOf({ routes: plain('signature: { max_age: 5m, clock_tolerance: 1m }') });
  assert.equal(replay.retention, 360);
});

test('a route without a key is a problem: a public one, one for unbound tokens, and such a shadow', () => {
  const unbound =
    'needs a key to which the token is bound, and require: token takes unbound ones, expected require: sender-constrained, dpop or mtls';
  assertProblems({ routes: route('require: public, signature: «{}') }, [
    'routes[0].signature: is never looked at on a public route, expected no signature, or another require',
  ]);
  assertProblems({ routes: route('require: token, signature: «{}') }, [`routes[0].signature: ${unbound}`]);
  assertProblems({ routes: plain('shadow: «{ require: token, signature: {} }') }, [`routes[0].shadow: ${unbound}`]);
});

test('a body without a limit is a problem', () => {
  assertProblems({ routes: plain('signature: «{}, limits: { request_body: none }') }, [
    'routes[0].signature: covers bodies, which on listener public have no limit, expected limits.request_body on the route, such as 10MiB',
  ]);
});

test('a listener that decides for another proxy is a problem, for the shadow too', () => {
  const listeners =
    '- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8080"], mode: decide, dialect: forwarded, trusted_peers: [{ cidr: 127.0.0.1/32 }] }';
  const none =
    'covers bodies, of which listener public sees none (mode: decide), expected match.listeners with listeners that forward';
  assertProblems({ listeners, routes: plain('signature: «{}') }, [`routes[0].signature: ${none}`]);
  assertProblems({ listeners, routes: plain('shadow: { signature: «{} }') }, [`routes[0].shadow.signature: ${none}`]);
});

test('a component is a field in small letters and not the signature itself, a tag has no quotes, an age is ten minutes at most', () => {
  for (const [written, at] of [
    ['{ components: [Content-Type] }', 'components.0'],
    ['{ components: ["@path"] }', 'components.0'],
    ['{ components: [signature] }', 'components.0'],
    ["{ tag: 'a\"b' }", 'tag'],
    ['{ max_age: 1h }', 'max_age'],
    ['{ fields: [] }', 'fields'],
  ] as const) {
    const source = readSource('holdfast.yaml', configuration({ routes: plain(`signature: ${written}`) }), {});
    const { findings } = checkConfig(source.data, (path) => source.written(path));
    assert.deepEqual(
      findings.map(({ path }) => path.join('.')),
      [`routes.0.signature.${at}`],
      written,
    );
  }
});

test('what pages may read of refusals is exposed where a route has both', () => {
  const cors = 'cors: { origins: ["https://app.example.com"] }';
  const [signed] = policyOf({ routes: plain(`signature: {}, ${cors}`) }).routes;
  assert.deepEqual(signed?.cors?.expose, ['X-Request-Id', 'Accept-Signature', 'Want-Content-Digest']);
  assert.deepEqual(policyOf({ routes: plain(cors) }).routes[0]?.cors?.expose, ['X-Request-Id']);
});

test('check says what is signed, and what is not', () => {
  const routes = plain('require: dpop, signature: { tag: orders, components: [idempotency-key] }');
  const [described] = describePolicy(policyOf({ routes })).routes;
  assert.match(
    described?.demands.join('\n') ?? '',
    /a message signature by that key with tag orders .*idempotency-key where it is there; at most 60 s old/,
  );
  const missing = described?.notEnforced.join('\n') ?? '';
  assert.match(missing, /the beginning of a body over 64 KiB/);
  assert.doesNotMatch(missing, /body and query/);
});
