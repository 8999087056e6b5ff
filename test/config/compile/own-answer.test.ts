// Routes that answer by themselves in the configuration, and where they can lead.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describePolicy } from '../../../src/config/report/describe.ts';
import { assertProblems, policyOf, warningsOf } from '../../support/policies.ts';

const route = (rest: string, path = '/one/*') => `- { name: own, match: { path: ${path} }, ${rest} }`;
const ownOf = (rest: string, path?: string) => policyOf({ routes: route(rest, path) }).routes[0]?.own;

describe('respond', () => {
  test('has a status, and a body of plain text unless it says another type', () => {
    const plain = 'text/plain; charset=utf-8';
    assert.deepEqual(ownOf('respond: { status: 503, body: later }'), {
      kind: 'respond',
      status: 503,
      body: 'later',
      contentType: plain,
    });
    assert.deepEqual(ownOf('respond: { status: 200, body: "{}", content_type: application/json }'), {
      kind: 'respond',
      status: 200,
      body: '{}',
      contentType: 'application/json',
    });
    assert.deepEqual(ownOf('respond: { status: 204 }'), {
      kind: 'respond',
      status: 204,
      body: '',
      contentType: undefined,
    });
  });

  test('has no status that means more than a body, or another key', () => {
    for (const status of [205, 206, 401, 407])
      assertProblems({ routes: route(`respond: { status: «${status} }`) }, [
        'routes[0].respond.status: needs more than a fixed answer has, expected another status',
      ]);
    assertProblems({ routes: route('respond: { status: 204, body: «a }') }, [
      'routes[0].respond.body: cannot be sent with 204, expected no body',
    ]);
    assertProblems({ routes: route('respond: { status: 200, content_type: «text/html }') }, [
      'routes[0].respond.content_type: is that of no body, expected a body, or no content_type',
    ]);
    for (const status of ['100', '199', '302', '304', '600', '99.5', '"200"'])
      assert.throws(
        () => ownOf(`respond: { status: ${status} }`),
        /a status from 200 to 299 or from 400 to 599/,
        status,
      );
    assert.throws(
      () => ownOf('respond: { status: 200, body: a, content_type: "text/html\\r\\nX: y" }'),
      /a media type/,
    );
  });
});

describe('redirect', () => {
  test('keeps what it does not name', () => {
    const absent = { scheme: undefined, host: undefined, port: undefined, path: undefined };
    assert.deepEqual(ownOf('redirect: { scheme: https }'), {
      kind: 'redirect',
      status: 302,
      ...absent,
      scheme: 'https',
    });
    assert.deepEqual(ownOf('redirect: { host: WWW.example.com, port: 8443, status: 308 }'), {
      kind: 'redirect',
      status: 308,
      ...absent,
      host: 'www.example.com',
      port: 8443,
    });
    const path = { part: 'front', segments: 1, to: '/two' };
    assert.deepEqual(ownOf('redirect: { prefix: /two/ }'), { kind: 'redirect', status: 302, ...absent, path });
  });

  test('leads somewhere else, by one path that requests can have', () => {
    const problem = (rest: string, message: string, path?: string) =>
      assertProblems({ routes: route(rest, path) }, [`routes[0].redirect${message}`]);
    problem('redirect: «{ path: /a, prefix: /b }', ': has prefix and path, expected one of them');
    problem(
      'redirect: { prefix: «/b }',
      '.prefix: is there although the path of the route has no last /*, expected path',
      '/one',
    );
    const bad =
      'is not a path that a request can have, expected no "*", encoded slash, empty or dot segments, "?", "#", "\\" or broken %';
    for (const path of ['//evil.example', '/a/../b', '/a?b', '/a#b', '/a%2Fb', '/a\\\\b', '/%0d%0a'])
      problem(`redirect: { path: «"${path}" }`, `.path: ${bad}`);
    for (const host of ['a@b', 'a/b', 'a:80', 'https://a', '*.example.com', ''])
      assert.throws(() => ownOf(`redirect: { host: "${host}" }`), /a host without port/, host);
    for (const rest of ['status: 300', 'status: 304', 'scheme: ftp', 'port: 0', 'port: 65536'])
      assert.throws(() => ownOf(`redirect: { host: a, ${rest} }`), /http or https|303, 307|whole number/, rest);
  });

  test('without a host is for listeners that say which hosts are theirs', () => {
    const listeners = '- { name: public, bind: "127.0.0.1:0" }';
    const open = 'require: public, weaker_than_defaults: [require]';
    assertProblems({ listeners, routes: route(`redirect: «{ scheme: https }, ${open}`) }, [
      'routes[0].redirect: leads to whatever host a request names, because listener public has no origins, expected host here, or origins there',
    ]);
    policyOf({ listeners, routes: route(`redirect: { host: www.example.com }, ${open}`) });
  });
});

describe('either of them', () => {
  test('is named to those who left the upstream out', () => {
    assertProblems({ routes: '- «{ name: nowhere, match: { path: /* } }' }, [
      'routes[0]: has no upstream, and listener public forwards; expected upstream (one of: orders), upstreams, respond or redirect',
    ]);
  });

  test('stands in place of an upstream, and next to nothing that is about one', () => {
    assertProblems(
      {
        routes: `- «{ name: own, match: { path: /* }, upstream: orders, respond: { status: 503 }, redirect: { host: a } }`,
      },
      ['routes[0]: has upstream and respond and redirect, expected one of them'],
    );
    assertProblems({ routes: route('respond: { status: 503 }, rewrite: «{ strip_prefix: /one }') }, [
      'routes[0].rewrite: is about an upstream, and this route has none, expected no rewrite',
    ]);
  });

  test('is nothing for a proxy in front that asks for decisions', () => {
    const listeners =
      '- { name: front, bind: "127.0.0.1:0", mode: decide, dialect: forwarded, trusted_peers: [{ cidr: 127.0.0.1/32 }], origins: ["http://a.example"] }';
    for (const key of ['respond: «{ status: 503 }', 'redirect: «{ host: a }'])
      assertProblems({ listeners, routes: route(key) }, [
        `routes[0].${key.split(':')[0]}: is nothing that listener front can do (mode: decide), expected it in the proxy in front, or match.listeners with listeners that forward`,
      ]);
  });

  test('is no way around a stricter route, and is described as what it is', () => {
    const routes = `- { name: strict, match: { path: /* }, upstream: orders }
- { name: own, match: { path: /*, headers: { X-Env: a } }, respond: { status: 503, body: later }, require: public, weaker_than_defaults: [require] }
- { name: moved, match: { path: /old/* }, redirect: { host: www.example.com, prefix: /new } }
- { name: below, match: { path: /v1/* }, redirect: { prefix: /, status: 308 } }`;
    assert.deepEqual(
      warningsOf({ routes }).filter((one) => one.includes('in place of')),
      [],
    );
    const [, own, moved, below] = describePolicy(policyOf({ routes })).routes;
    assert.equal(own?.upstream, 'the gateway itself: 503 with 5 characters of text/plain; charset=utf-8');
    assert.deepEqual(own?.notEnforced, ['anything']);
    assert.deepEqual([own?.summary.upstream, own?.forwards], ['respond 503', []]);
    assert.equal(
      moved?.upstream,
      'the gateway itself: 302 to the same scheme, www.example.com, the same port, /new and the rest of the path, with the query',
    );
    assert.equal(
      below?.upstream,
      'the gateway itself: 308 to the same origin, / and the rest of the path, with the query',
    );
  });
});
