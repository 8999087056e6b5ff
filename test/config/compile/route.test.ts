// Routes in the configuration: names, matches, merging, and those that cannot match.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Route } from '../../../src/policy/policy.ts';
import { assertProblems, policyOf, type Sections, type Surroundings } from '../../support/policies.ts';

const PUBLIC = 'require: public, weaker_than_defaults: [require]';
const ISSUERS =
  'login: { issuer: https://login.example.com, audience: [a] }\nother: { issuer: https://other.example.com, audience: [a] }';

/** One route for everything but for what `rest` says. */
const route = (rest: string, match = 'path: /*', name = 'orders') =>
  `- { name: ${name}, match: { ${match} }, upstream: orders${rest === '' ? '' : `, ${rest}`} }`;

function routeOf(rest: string, match?: string, more: Sections = {}): Route {
  const [compiled] = policyOf({ routes: route(rest, match), ...more }).routes;
  assert.ok(compiled);
  return compiled;
}

function assertRouteProblems(
  rest: string,
  expected: readonly string[],
  more: Sections = {},
  around?: Surroundings,
): void {
  assertProblems({ routes: route(rest), ...more }, expected, around);
}

describe('names', () => {
  test('an unknown upstream, issuer or listener is answered with the names there are', () => {
    assertProblems(
      {
        routes:
          '- { name: orders, match: { listeners: [«private], path: /* }, upstream: «billing, issuers: [«keycloak] }',
      },
      [
        'routes[0].match.listeners[0]: is not a declared listener, expected one of: public',
        'routes[0].upstream: is not a declared upstream, expected one of: orders',
        'routes[0].issuers[0]: is not a declared issuer, expected one of: login',
      ],
    );
  });

  test('a slip of the pen is answered with the name that was meant', () => {
    assertProblems(
      { routes: '- { name: orders, match: { listeners: [«pulbic], path: /* }, upstream: «order, issuers: [«logon] }' },
      [
        'routes[0].match.listeners[0]: is not a declared listener, did you mean public?',
        'routes[0].upstream: is not a declared upstream, did you mean orders?',
        'routes[0].issuers[0]: is not a declared issuer, did you mean login?',
      ],
    );
  });

  test('names of object members are names like any other', () => {
    assertRouteProblems('issuers: [«constructor]', [
      'routes[0].issuers[0]: is not a declared issuer, expected one of: login',
    ]);
  });

  test('two routes do not share a name', () => {
    assertProblems({ routes: `${route('')}\n${route('', 'path: /a', '«orders')}` }, [
      'routes[1].name: is the name of an earlier route, expected another one',
    ]);
  });
});

describe('issuers of a route', () => {
  test('a route that names none takes the only one of the main file', () => {
    assert.deepEqual(
      routeOf('').demand.issuers.map(({ name }) => name),
      ['login'],
    );
    const included: Surroundings = { included: ([section, name]) => section === 'issuers' && name === 'other' };
    const [compiled] = policyOf({ issuers: ISSUERS }, included).routes;
    assert.deepEqual(
      compiled?.demand.issuers.map(({ name }) => name),
      ['login'],
    );
  });

  test('with several issuers or none in the main file a route has to name its own', () => {
    assertProblems({ issuers: ISSUERS, routes: `- «${route('').slice(2)}` }, [
      'routes[0].issuers: is missing and there are several issuers, expected the names of issuers: login, other',
    ]);
    assertProblems({ issuers: '{}', routes: `- «${route('').slice(2)}` }, [
      'routes[0].issuers: is missing and no issuer is declared, expected an issuer under issuers, whose tokens count here, or require: public',
    ]);
  });

  test('where every route is public no issuer is needed, and the key can be left out', () => {
    policyOf({ issuers: '{}', routes: route(PUBLIC) });
  });

  test('two issuers of one route with the same iss are refused, because nothing tells their tokens apart', () => {
    const issuers = `${ISSUERS}\ntwin: { issuer: https://login.example.com, audience: [b] }`;
    assertRouteProblems(
      'issuers: [login, «twin]',
      ['routes[0].issuers[1]: has the iss of login, so that nothing tells their tokens apart, expected each iss once'],
      { issuers },
    );
    assertRouteProblems(
      'issuers: [login, «login]',
      ['routes[0].issuers[1]: is named before, expected each issuer once'],
      {
        issuers,
      },
    );
    policyOf({
      issuers,
      routes: `${route('issuers: [login]', 'path: /a', 'a')}\n${route('issuers: [twin]', 'path: /b', 'b')}`,
    });
  });

  test('identities of several issuers never go on without their issuer', () => {
    const more: Sections = { issuers: ISSUERS };
    assertRouteProblems(
      'issuers: [login, other], forward: { identity: «{ X-Auth-Issuer: iss } }',
      [
        'routes[0].forward.identity: has no field with "@issuer" although several issuers can reach this route, expected one such as X-Auth-Issuer: "@issuer"',
      ],
      more,
    );
    policyOf({ routes: route('issuers: [login, other]'), ...more });
    policyOf({ routes: route('issuers: [login], forward: { identity: { X-Auth-Issuer: iss } }'), ...more });
  });
});

describe('match', () => {
  test('hosts are lower-cased, paths take the form of request paths, GET implies HEAD', () => {
    const more: Sections = {
      listeners: '- { name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com:8080"] }',
    };
    const { match } = routeOf('', 'host: API.example.COM, path: "/%6Frders/%e2%82%ac/*", methods: [POST, GET]', more);
    assert.deepEqual(match, {
      listeners: undefined,
      host: 'api.example.com',
      path: '/orders/%E2%82%AC/*',
      methods: ['POST', 'GET', 'HEAD'],
    });
    const alone = routeOf('', 'host: api.example.com, path: /a, methods: [GET], head: false', more);
    assert.deepEqual(alone.match.methods, ['GET']);
  });

  test('a path that no request can have is refused', () => {
    const message =
      'routes[0].match.path: is not a path that a request can have, expected no empty or dot segments, "?" (parameters are match.query), "#", "\\" or broken %';
    for (const path of [
      '/a//b',
      '/a//*',
      '//*',
      '/a/../b',
      '/.',
      '/a/%2e%2E/*',
      '/a?b',
      '/a#b',
      '/a%',
      '/a%0Ab',
      '/a%5Cb',
      '/a\\\\b',
    ]) {
      assertProblems({ routes: route('', `path: «"${path}"`) }, [message]);
    }
  });

  test('a path with parameters, with * inside a segment, or with %2F that the route does not take is refused', () => {
    const problem = (path: string, message: string) =>
      assertProblems({ routes: route('', `path: «"${path}"`) }, [`routes[0].match.path: ${message}`]);
    const parameters =
      'has ";", and parameters are cut from paths before they are matched, expected a path without them';
    problem('/a;v=1/b', parameters);
    problem('/a;v=1/*', parameters);
    const star = 'has "*" next to other characters, expected it to stand for one whole segment';
    problem('/orders*', star);
    problem('/a/b*/*', star);
    problem('/a/**', star);
    problem('/a%2fb', 'has %2F, with which no request gets here, expected encoded: [slash] on this route');
    assert.equal(routeOf('encoded: [slash], weaker_than_defaults: [encoded]', 'path: /a%2fb').match.path, '/a%2Fb');
  });

  test('a host that is none, or that no origin of the listeners has, is refused', () => {
    const listeners =
      '- { name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com", "http://*.shops.example.com"] }\n' +
      '- { name: private, bind: "127.0.0.1:0", origins: ["http://admin.example.com"] }';
    const problem = (host: string, message: string, on = '') =>
      assertProblems({ listeners, routes: route('', `${on}host: «"${host}", path: /*`) }, [
        `routes[0].match.host: ${message}`,
      ]);
    problem(
      '*.192.0.2.1',
      'is not a valid host, expected one such as api.example.com, "*.example.com" or "**.example.com"',
    );
    const hosts = 'api.example.com, *.shops.example.com, admin.example.com';
    problem('ap.example.com', `is the host of no origin of its listeners, expected one of these: ${hosts}`);
    problem('shops.example.com', `is the host of no origin of its listeners, expected one of these: ${hosts}`);
    problem('a.b.shops.example.com', `is the host of no origin of its listeners, expected one of these: ${hosts}`);
    problem(
      'api.example.com',
      'is the host of no origin of its listeners, expected one of these: admin.example.com',
      'listeners: [private], ',
    );
    for (const host of [
      'api.example.com',
      '*.example.com',
      '*.shops.example.com',
      'a.shops.example.com',
      'ADMIN.example.com',
    ]) {
      policyOf({ listeners, routes: route('', `host: "${host}", path: /*`) });
    }
  });

  test('ambiguous routes are refused with the place of the other one', () => {
    assertProblems(
      {
        routes: `${route('', 'path: /a, methods: [GET]')}\n- { name: two, upstream: orders, match: «{ path: /%61, methods: [HEAD] } }`,
      },
      [
        'routes[1].match: is ambiguous with route orders (holdfast.yaml:9): both take HEAD; expected different listeners, hosts, paths, methods, fields or parameters',
      ],
    );
  });

  test('a route that is never chosen is refused, because its demand would silently not count', () => {
    const listeners = '- { name: public, bind: "127.0.0.1:0", origins: ["http://a.example", "http://b.example"] }';
    const admin = '- { name: admin, upstream: orders, match: «{ path: /admin/* }, require: dpop }';
    const broad = (host: string) => route('', `host: ${host}, path: /*`, host);
    assertProblems({ listeners, routes: `${broad('a.example')}\n${broad('b.example')}\n${admin}` }, [
      'routes[2].match: is never chosen, because more specific hosts or paths take all its requests: a.example, b.example; expected a different match',
    ]);
    policyOf({ listeners, routes: `${broad('a.example')}\n${admin.replace('«', '')}` });
    const paths = ['/*', '/a', '/a/*', '/a/*/*', '/a/*/*/*', '/a/b/*', '/*/b'];
    const named = (list: readonly string[]) =>
      list.map((path, index) => route('', `path: ${path}`, `r${index}`)).join('\n');
    policyOf({ routes: named(paths) });
    assertProblems(
      { routes: `${named(['/a', '/a/', '/a/*/*'])}\n- { name: d, upstream: orders, match: «{ path: /a/* } }` },
      [
        'routes[3].match: is never chosen, because more specific hosts or paths take all its requests: r0, r1, r2; expected a different match',
      ],
    );
  });

  test('strip_prefix is made of whole leading segments of the path', () => {
    const problem = (path: string, prefix: string) =>
      assertProblems({ routes: route(`rewrite: { strip_prefix: «"${prefix}" }`, `path: "${path}"`) }, [
        `routes[0].rewrite.strip_prefix: does not begin every path of this route, expected whole leading segments of ${path}, without "*"`,
      ]);
    problem('/orders/*', '/order');
    problem('/orders/*', '/orders/1');
    problem('/*', '/orders');
    problem('/a/*/b', '/a/*');
    problem('/orders/*', '/orders/..');
    const strip = (segments: number) => ({ part: 'front', segments, to: '' });
    assert.deepEqual(routeOf('rewrite: { strip_prefix: /orders }', 'path: /orders/*').path, strip(1));
    assert.deepEqual(routeOf('rewrite: { strip_prefix: /a%62 }', 'path: /ab/*/c').path, strip(1));
    assert.deepEqual(routeOf('rewrite: { strip_prefix: /orders }', 'path: /orders').path, strip(1));
  });
});

describe('included files', () => {
  test('their routes name host and issuers, and are nowhere weaker than the defaults', () => {
    const included: Surroundings = { included: ([section]) => section === 'routes' };
    assertProblems(
      {
        routes:
          '- «{ name: team, match: «{ path: /* }, upstream: orders, dpop: { max_age: «2m }, weaker_than_defaults: «[max_age] }',
      },
      [
        'routes[0].issuers: is missing, expected the names of issuers: routes of an included file name theirs',
        'routes[0].match.host: is missing, expected a host: routes of an included file name theirs',
        'routes[0].dpop.max_age: is weaker than the defaults, which an included file may not be',
        'routes[0].weaker_than_defaults: is not allowed in an included file, expected a route in the main file',
      ],
      included,
    );
    policyOf(
      {
        routes: route('issuers: [login], require: dpop', 'host: localhost, path: /*'),
        more: 'include: [{ files: team.yaml, routes: [localhost/*], upstreams: [orders] }]\n',
      },
      included,
    );
  });
});

describe('merging', () => {
  test('what a route leaves out comes from the defaults, key by key', () => {
    const more =
      'defaults:\n  require: dpop\n  dpop: { max_age: 30s, nonce: required }\n  timeouts: { idle: 5s }\n' +
      '  forward: { identity: { X-User: sub, X-Issuer: "@issuer" }, remove: [X-Secret], host: upstream }\n';
    const compiled = routeOf(
      'dpop: { max_age: 20s }, timeouts: { total: 1m }, forward: { identity: { x-user: [email, sub], X-Tenant: tenant }, encoding: base64url }',
      undefined,
      { more },
    );
    assert.equal(compiled.demand.requirement, 'dpop');
    assert.deepEqual(compiled.demand.dpop, {
      nonce: 'required',
      maxAge: 20,
      clockTolerance: 15,
      algorithms: ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'],
    });
    assert.deepEqual(compiled.timeouts, { connect: 2, responseHeader: 30, idle: 5, total: 60 });
    assert.deepEqual(compiled.forward, {
      host: 'upstream',
      authorization: 'remove',
      identity: [
        { field: 'X-Issuer', source: { fact: 'issuer' } },
        { field: 'x-user', source: { claims: ['email', 'sub'] } },
        { field: 'X-Tenant', source: { claims: ['tenant'] } },
      ],
      encoding: 'base64url',
      remove: ['x-secret'],
      clientCertificate: [],
      exchange: undefined,
      assertion: undefined,
    });
  });

  test('a body limit of the route, none included, goes before that of the listener', () => {
    assert.equal(routeOf('').limits.requestBody, undefined);
    assert.equal(routeOf('limits: { request_body: 1KiB }').limits.requestBody, 1024);
    assert.equal(routeOf('limits: { request_body: none }').limits.requestBody, Number.POSITIVE_INFINITY);
  });
});

describe('fields', () => {
  test('the gateway sets no field that frames the message, carries credentials or has a meaning of its own', () => {
    const framing = (field: string) =>
      `routes[0].forward.identity.${field}: frames or routes the message itself, expected another field name`;
    assertRouteProblems('forward: { identity: { Host: «sub, Transfer-Encoding: «sub, Content-Length: «sub } }', [
      framing('Host'),
      framing('Transfer-Encoding'),
      framing('Content-Length'),
    ]);
    assertRouteProblems('forward: { identity: { Authorization: «sub, DPoP: «sub, X-Forwarded-For: «sub } }', [
      'routes[0].forward.identity.Authorization: is what forward.authorization decides about, expected another field name',
      'routes[0].forward.identity.DPoP: is what the gateway sets itself, expected another field name',
      'routes[0].forward.identity.X-Forwarded-For: is what the gateway sets itself, expected another field name',
    ]);
    policyOf({ routes: route('forward: { identity: { X-Forwarded-User: sub } }') });
  });

  test('fields of the defaults are checked once, where they are written', () => {
    assertProblems(
      {
        more: 'defaults: { forward: { remove: [Cookie, «connection, «"_"] } }\n',
        routes: `${route('')}\n${route('', 'path: /a', 'a')}`,
      },
      [
        'defaults.forward.remove[1]: frames or routes the message itself, expected another field name',
        'defaults.forward.remove[2]: has no letter, expected another field name',
      ],
    );
  });

  test('no field is set twice, Client-Cert-Chain included', () => {
    const twice = (forward: string, field: string) =>
      assertRouteProblems(`forward: «${forward}`, [`routes[0].forward: sets ${field} twice, expected each field once`]);
    twice('{ identity: { X-A: sub, x-a: iss } }', 'x-a');
    twice('{ client_certificate: [{ format: xfcc, field: X-Auth-Subject }] }', 'X-Auth-Subject');
    twice(
      '{ client_certificate: [{ format: rfc9440, field: Client-Cert }, { format: rfc9440, field: Client-Cert-Chain }] }',
      'Client-Cert-Chain',
    );
  });

  test('the fields of RFC 9440 hold nothing but its format', () => {
    assertRouteProblems('forward: { client_certificate: [{ format: xfcc, field: «client-cert }] }', [
      'routes[0].forward.client_certificate[0].field: is a field of RFC 9440, expected format: rfc9440, or a field of another name',
    ]);
  });
});

describe('cors', () => {
  test('origins are written as browsers send them', () => {
    const problem = (origin: string, expected: string) =>
      assertRouteProblems(`cors: { origins: [«"${origin}"] }`, [
        `routes[0].cors.origins[0]: is not as browsers write it, expected ${expected}`,
      ]);
    problem('https://App.example.com', 'https://app.example.com');
    problem('https://app.example.com:443', 'https://app.example.com');
    problem('http://[0:0:0:0:0:0:0:1]', 'http://[::1]');
    problem('https://app.example.com:99999', 'one such as https://app.example.com');
    assert.deepEqual(
      routeOf('cors: { origins: ["https://app.example.com", "capacitor://localhost"], max_age: 90s }').cors,
      {
        origins: ['https://app.example.com', 'capacitor://localhost'],
        expose: ['X-Request-Id'],
        maxAge: 90,
        credentials: false,
      },
    );
  });
});
