// Matches by fields and query in the configuration: what is taken, refused and warned of.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertProblems, policyOf, warningsOf } from '../../support/policies.ts';

const route = (match: string, rest = '') =>
  `- { name: orders, match: { path: /*, ${match} }, upstream: orders${rest === '' ? '' : `, ${rest}`} }`;

const matchOf = (match: string) => policyOf({ routes: route(match) }).routes[0]?.match;

test('a method with which no request can arrive is a problem', () => {
  const message =
    'routes[0].match.methods[1]: is a method with which no request gets here, expected a registered one such as GET, POST or PROPFIND';
  assertProblems({ routes: route('methods: [GET, «BREW]') }, [message]);
  assert.deepEqual(matchOf('methods: [GET, PROPFIND, QUERY]')?.methods, ['GET', 'HEAD', 'PROPFIND', 'QUERY']);
});

describe('conditions', () => {
  test('names of fields are lower-cased, values stay as they are', () => {
    assert.deepEqual(matchOf('headers: { X-Env: Canary, "a": "b, c" }, query: { Version: "2", debug: "" }'), {
      listeners: undefined,
      host: undefined,
      path: '/*',
      methods: undefined,
      headers: [
        { name: 'x-env', value: 'Canary' },
        { name: 'a', value: 'b, c' },
      ],
      query: [
        { name: 'Version', value: '2' },
        { name: 'debug', value: '' },
      ],
    });
    assert.deepEqual(Object.keys(matchOf('headers: {}, query: {}') ?? {}), ['listeners', 'host', 'path', 'methods']);
  });

  test('credentials, framing and Host choose no route', () => {
    for (const [name, why] of [
      ['Authorization', 'holds credentials, which choose no route'],
      ['DPoP', 'holds credentials, which choose no route'],
      ['cookie', 'holds credentials, which choose no route'],
      ['Proxy-Authorization', 'holds credentials, which choose no route'],
      ['Host', 'is what match.host is about'],
      ['Connection', 'frames or routes the message itself'],
      ['Transfer-Encoding', 'frames or routes the message itself'],
      ['Content-Length', 'frames or routes the message itself'],
      ['Expect', 'frames or routes the message itself'],
      ['--', 'has no letter'],
    ]) {
      assertProblems({ routes: route(`headers: { ${name}: «x }`) }, [
        `routes[0].match.headers.${name}: ${why}, expected another field`,
      ]);
    }
    assertProblems({ routes: route('query: { access_token: «x }') }, [
      'routes[0].match.query.access_token: holds credentials, which choose no route, expected another parameter',
    ]);
  });

  test('nor do fields that only the gateway sets, and imitations of them', () => {
    const managed = 'is a field that only the gateway sets and that never comes from clients, expected another one';
    for (const name of [
      'X-Forwarded-Proto',
      'X-Auth-Subject',
      'X-Real-IP',
      'X-Request-Id',
      'Client-Cert',
      'Remote-User',
    ])
      assertProblems({ routes: route(`headers: { ${name}: «x }`) }, [`routes[0].match.headers.${name}: ${managed}`]);
    const imitated = 'imitates a field of the gateway, with which every request is refused, expected another one';
    for (const name of ['X_Auth_Subject', 'Content_Length', 'X_Forwarded_For'])
      assertProblems({ routes: route(`headers: { ${name}: «x }`) }, [`routes[0].match.headers.${name}: ${imitated}`]);
    const signed = (name: string, on: string) =>
      `- { name: a, match: { path: /a, headers: { ${name}: ${on} } }, upstream: orders, signature: { components: [x-team] } }`;
    assertProblems({ routes: signed('X_Team', '«x') }, [`routes[0].match.headers.X_Team: ${imitated}`]);
    assertProblems({ routes: signed('X-Team', 'x') }, []);
    assertProblems(
      {
        routes: `${signed('X-Team', 'x')}\n- { name: b, match: { path: /b, headers: { X_Team: x } }, upstream: orders }`,
      },
      [],
    );
    assertProblems(
      {
        routes: `${route('headers: { X-Tenant: «a }')}\n- { name: b, match: { path: /b }, upstream: orders, forward: { remove: [X-Tenant] } }`,
      },
      [`routes[0].match.headers.X-Tenant: ${managed}`],
    );
  });

  test('a field is named once, and values are text that can come', () => {
    assertProblems({ routes: route('headers: { X-Env: a, x-env: «b }') }, [
      'routes[0].match.headers.x-env: is named before in other capitals, expected each field once',
    ]);
    const expected = /a value of visible ASCII without blanks at its ends \(numbers in quotes\)/;
    for (const value of ['2', 'true', '"é"', '" a"', '"a "', '""', '"a\\nb"', `"${'a'.repeat(4097)}"`])
      assert.throws(() => matchOf(`headers: { X-Env: ${value} }`), expected, value);
    assert.equal(matchOf(`headers: { X-Env: "${'a'.repeat(4096)}" }`)?.headers?.[0]?.value.length, 4096);
    for (const query of ['a: 2', '"": a', '"\\uFFFD": a', 'a: "\\uFFFD"', 'a: "\\0"', `a: "${'a'.repeat(1025)}"`])
      assert.throws(() => matchOf(`query: { ${query} }`), /numbers in quotes|name of a parameter|Invalid key/, query);
  });

  test('a name that objects have of themselves is not lost', () => {
    assert.deepEqual(matchOf('headers: { constructor: x }')?.headers, [{ name: 'constructor', value: 'x' }]);
    assert.throws(() => policyOf({ routes: route('headers: { __proto__: x }') }));
  });
});

test('a route that is never chosen is a problem, and with fall_through, where many authors meet, a warning', () => {
  const routes = (path: string, mark = '') =>
    `- { name: all, match: { host: localhost, path: ${path} }, upstream: orders }\n` +
    `- { name: other, match: ${mark}{ path: /a }, upstream: orders }`;
  const listeners = '- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8080"], fall_through: true }';
  const warned = (path: string) =>
    warningsOf({ listeners, routes: routes(path) }).filter((one) => one.includes('never chosen'));
  const why = 'routes[1].match: is never chosen, because';
  assert.deepEqual(warned('/*'), [`${why} more specific hosts or paths take all its requests: all`]);
  assert.deepEqual(warned('/x'), [
    `${why} its hosts have more specific routes, and with fall_through the most specific host is final`,
  ]);
  assertProblems({ routes: routes('/*', '«') }, [
    `${why} more specific hosts or paths take all its requests: all; expected a different match`,
  ]);
});

test('a front that brings no fields unless it is told to is named where a route asks for some', () => {
  const listeners = (dialect: string) =>
    `- { name: front, bind: "127.0.0.1:0", mode: decide, dialect: ${dialect}, trusted_peers: [{ cidr: 127.0.0.1/32 }], origins: ["http://a.example"] }`;
  const routes =
    '- { name: a, match: { path: /*, headers: { X-Env: a } } }\n- { name: b, match: { path: /*, query: { x: y } } }';
  const upstreams = '{}';
  const told = (dialect: string) =>
    warningsOf({ listeners: listeners(dialect), routes, upstreams }).filter((one) => one.includes('allowed_headers'));
  assert.match(
    told('envoy-http').join(),
    /^routes\[0\]\.match\.headers: asks for fields that listener front sees only where/,
  );
  assert.deepEqual([...told('forwarded'), ...told('envoy-grpc')], []);
});
