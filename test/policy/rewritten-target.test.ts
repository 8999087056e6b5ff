// The request target that the upstream sees: rewritten paths.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rewrittenTarget } from '../../src/policy/rewritten-target.ts';
import { policyOf } from '../support/policies.ts';

/** The target for the upstream, by a route as it is written. */
function through(path: string, rewrite: string): (target: string) => string {
  const [route] = policyOf({
    routes: `- { name: orders, match: { path: "${path}" }, upstream: orders, rewrite: { ${rewrite} } }`,
  }).routes;
  return (target) => rewrittenTarget(target, route?.path);
}

// The table of HTTPPathModifier in the Gateway API, and its edges.
const FRONTS = {
  '/foo/* → /xyz': ['/foo/*', 'prefix: /xyz', { '/foo/bar': '/xyz/bar', '/foo': '/xyz', '/foo/': '/xyz/' }],
  '/foo/* → /xyz/': ['/foo/*', 'prefix: /xyz/', { '/foo/bar': '/xyz/bar', '/foo': '/xyz', '/foo/': '/xyz/' }],
  '/foo/* → /': ['/foo/*', 'prefix: /', { '/foo/bar': '/bar', '/foo': '/', '/foo/': '/', '/foo/a/b/': '/a/b/' }],
  '/* → /xyz': ['/*', 'prefix: /xyz', { '/': '/xyz/', '/a': '/xyz/a', '/a/': '/xyz/a/' }],
  '/* → /': ['/*', 'prefix: /', { '/': '/', '/a//': '/a//' }],
  '/a/*/b/* → /c': ['/a/*/b/*', 'prefix: /c', { '/a/1/b': '/c', '/a/1/b/2': '/c/2' }],
  '/one/two/* → /one': ['/one/two/*', 'prefix: /one', { '/one/two': '/one', '/one/two/three': '/one/three' }],
} as const;

describe('the front of a path', () => {
  for (const [name, [path, rewrite, targets]] of Object.entries(FRONTS)) {
    test(name, () => {
      const target = through(path, rewrite);
      for (const [received, sent] of Object.entries(targets)) assert.equal(target(received), sent);
    });
  }

  test('is counted in segments as received, whatever their spelling, and what follows stays byte for byte', () => {
    const target = through('/one/*', 'prefix: /two');
    assert.equal(target('/%6Fne;v=1/a%7Eb%2fc;d?x=/one/%2e%2e&y#'), '/two/a%7Eb%2fc;d?x=/one/%2e%2e&y#');
    assert.equal(target('/one?/one/x'), '/two?/one/x');
    assert.equal(target('/one%2Fx/y'), '/two/y');
  });
});

test('a whole path is the same for every request, and the query stays', () => {
  const target = through('/one/*', 'path: /all');
  assert.equal(target('/one/x/y?a=1&b=?'), '/all?a=1&b=?');
  assert.equal(target('/one'), '/all');
});
