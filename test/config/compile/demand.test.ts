// Demands of routes: challenges, merging, and nothing weaker without its name.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Route } from '../../../src/policy/policy.ts';
import { readSource } from '../../../src/config/read/source.ts';
import { checkConfig } from '../../../src/config/schema/check.ts';
import { assertProblems, configuration, policyOf, type Sections, warningsOf } from '../../support/policies.ts';

const route = (rest: string) => `- { name: orders, match: { path: /* }, upstream: orders, ${rest} }`;

function routeOf(rest: string, more: Sections = {}): Route {
  const [compiled] = policyOf({ routes: route(rest), ...more }).routes;
  assert.ok(compiled);
  return compiled;
}

/** What the schema says to a route, whose values compiling never sees. */
function schemaProblems(rest: string): readonly string[] {
  const source = readSource('holdfast.yaml', configuration({ routes: route(rest) }), {});
  return checkConfig(source.data, (path) => source.written(path)).findings.map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );
}

function assertRouteProblems(rest: string, expected: readonly string[], more: Sections = {}): void {
  assertProblems({ routes: route(rest), ...more }, expected);
}

const CERTIFICATES: Sections = {
  listeners:
    '- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost"], trusted_peers: [{ cidr: 127.0.0.1/32 }], ' +
    'client_certificate: { verify: possession }, client_certificate_from: { format: xfcc, field: X-Forwarded-Client-Cert } }',
};

describe('challenges', () => {
  test('a challenge offers the schemes by which the requirement can be met, the preferred one first', () => {
    const schemes = (rest: string) => routeOf(rest, CERTIFICATES).challenge.schemes;
    assert.deepEqual(schemes('require: dpop'), ['DPoP']);
    assert.deepEqual(schemes('require: mtls'), ['Bearer', 'DPoP']);
    assert.deepEqual(schemes('require: sender-constrained'), ['DPoP', 'Bearer']);
    assert.deepEqual(schemes('require: token, weaker_than_defaults: [require]'), ['DPoP', 'Bearer']);
    assert.deepEqual(schemes('require: public, weaker_than_defaults: [require]'), []);
  });

  test('a challenge carries algorithms, scope, acr values and the age in whole seconds', () => {
    const { challenge } = routeOf(
      'dpop: { algorithms: [ES256, EdDSA] }, scope: [a, b], acr: [urn:one, urn:two], max_auth_age: 90500ms',
    );
    assert.deepEqual(challenge, {
      schemes: ['DPoP', 'Bearer'],
      algs: 'ES256 EdDSA',
      scope: 'a b',
      acrValues: 'urn:one urn:two',
      maxAge: 90,
    });
    const plain = routeOf('scope: { any: [a, b] }').challenge;
    assert.deepEqual([plain.scope, plain.acrValues, plain.maxAge], ['a b', undefined, undefined]);
  });
});

describe('conditions', () => {
  test('scope is all of a list, or any of { any }', () => {
    assert.deepEqual(routeOf('scope: [a, b]').demand.scope, { match: 'all', scopes: ['a', 'b'] });
    assert.deepEqual(routeOf('scope: { any: [a, b] }').demand.scope, { match: 'any', scopes: ['a', 'b'] });
  });

  test('a claim is a member name, or a JSON Pointer when it begins with a slash (RFC 6901)', () => {
    assert.deepEqual(routeOf('claims: { tenant: acme, a/b: 1, /realm/ro~1les~0/0/: [x, true] }').demand.claims, [
      { name: 'tenant', path: ['tenant'], anyOf: ['acme'] },
      { name: 'a/b', path: ['a/b'], anyOf: [1] },
      { name: '/realm/ro~1les~0/0/', path: ['realm', 'ro/les~', '0', ''], anyOf: ['x', true] },
    ]);
    assertRouteProblems('claims: { /a~2b: «x, /a~: «y, a~2: z }', [
      'routes[0].claims["/a~2b"]: is not a valid JSON Pointer, expected ~0 for "~" and ~1 for "/" (RFC 6901)',
      'routes[0].claims["/a~"]: is not a valid JSON Pointer, expected ~0 for "~" and ~1 for "/" (RFC 6901)',
    ]);
  });

  test('a number in a rule is one that every reader keeps; a larger one is written in quotes', () => {
    const read = (value: string) => schemaProblems(`claims: { tenant: ${value} }`);
    for (const value of [
      '9007199254740992',
      '9007199254740993',
      '-9007199254740993',
      '9007199254740993.0',
      '1e16',
      '0x20000000000001',
    ])
      assert.deepEqual(read(value), [
        `routes.0.claims.tenant: is the number ${value}, expected the digits in quotes, which match this integer (a number is at most 9007199254740991)`,
      ]);
    assert.deepEqual(
      routeOf('claims: { tenant: [9007199254740991, "9007199254740993", 0.5] }').demand.claims[0]?.anyOf,
      [9007199254740991, '9007199254740993', 0.5],
    );
    const digits = (key: string) =>
      `routes[0].claims.${key}: has more digits than a number keeps, expected 15 digits at most`;
    assertRouteProblems('claims: { a: «9007199254740991.4, b: [1, «0.12345678901234567891] }', [
      digits('a'),
      digits('b[1]'),
    ]);
  });

  test('conditions on a public route are refused, because nobody would look at them', () => {
    const never = (key: string) =>
      `routes[0].${key}: is never looked at on a public route, expected no ${key}, or another require`;
    const conditions =
      'issuers: «[login], audience: «[a], dpop: «{ max_age: 10s }, scope: «[a], claims: «{ a: b }, acr: «[c], max_auth_age: «1m';
    const keys = ['issuers', 'audience', 'dpop', 'scope', 'claims', 'acr', 'max_auth_age'];
    assertRouteProblems(`require: public, weaker_than_defaults: [require], ${conditions}`, keys.map(never));
    routeOf(
      `require: public, weaker_than_defaults: [require], shadow: { require: dpop }, ${conditions.replaceAll('«', '')}`,
    );
  });
});

describe('shadow', () => {
  test('a shadow is the demand of its route with its own keys on top', () => {
    const { demand, shadow } = routeOf(
      'require: token, weaker_than_defaults: [require], scope: [a], dpop: { max_age: 30s }, shadow: { require: dpop, dpop: { nonce: required } }',
    );
    assert.deepEqual(shadow, { ...demand, requirement: 'dpop', dpop: { ...demand.dpop, nonce: 'required' } });
    assert.deepEqual([demand.requirement, demand.dpop.nonce, shadow?.dpop.maxAge], ['token', 'none', 30]);
  });
});

describe('weaker_than_defaults', () => {
  const DEFAULTS = (text: string): Sections => ({ more: `defaults: { ${text} }\n` });
  const weaker = (path: string, keys: string) =>
    `routes[0].${path}: is weaker than the defaults, expected weaker_than_defaults: [${keys}] on this route, or a value that is not`;

  test('public < token < sender-constrained < dpop, mtls', () => {
    const order = ['public', 'token', 'sender-constrained', 'dpop'];
    for (const [rank, byDefault] of [...order, 'mtls'].entries()) {
      for (const [own, require] of [...order, 'mtls'].entries()) {
        const more = { ...CERTIFICATES, ...DEFAULTS(`require: ${byDefault}`) };
        if (own < Math.min(rank, 3)) assertRouteProblems(`require: «${require}`, [weaker('require', 'require')], more);
        else routeOf(`require: ${require}`, more);
        if (own < Math.min(rank, 3)) routeOf(`require: ${require}, weaker_than_defaults: [require]`, more);
      }
    }
  });

  test('nonce, max_age, clock_tolerance, algorithms, authorization and encoded are compared too', () => {
    const more = DEFAULTS('dpop: { nonce: required, algorithms: [ES256, EdDSA] }');
    const all = 'nonce, max_age, clock_tolerance, algorithms, authorization, encoded';
    const written =
      'dpop: { nonce: «on-skew, max_age: «61s, clock_tolerance: «16s, algorithms: «[ES256, PS256] }, forward: { authorization: «bearer }, encoded: «[slash]';
    const paths = [
      'dpop.nonce',
      'dpop.max_age',
      'dpop.clock_tolerance',
      'dpop.algorithms',
      'forward.authorization',
      'encoded',
    ];
    assertRouteProblems(
      written,
      paths.map((path) => weaker(path, all)),
      more,
    );
    routeOf(`${written.replaceAll('«', '')}, weaker_than_defaults: [${all}]`, more);
    routeOf('dpop: { nonce: required, max_age: 60s, clock_tolerance: 15s, algorithms: [Ed25519] }', more);
  });

  test('what leaves the gateway is least under remove, then bearer, then as-received', () => {
    const more = DEFAULTS('forward: { authorization: bearer }, require: token');
    assertRouteProblems(
      'forward: { authorization: «as-received }',
      [weaker('forward.authorization', 'authorization')],
      more,
    );
    routeOf('forward: { authorization: remove }', more);
  });

  test('all weaker keys are named, not some', () => {
    assertRouteProblems('require: «token, dpop: { max_age: 2m }, weaker_than_defaults: [max_age]', [
      weaker('require', 'require, max_age'),
    ]);
  });

  test('a key that is not weaker is not named, so that nothing gets weaker later without being seen', () => {
    assertRouteProblems('require: dpop, weaker_than_defaults: [«require, «nonce]', [
      'routes[0].weaker_than_defaults[0]: names require, in which this route is not weaker, expected no key',
      'routes[0].weaker_than_defaults[1]: names nonce, in which this route is not weaker, expected no key',
    ]);
    assertRouteProblems('require: token, weaker_than_defaults: [require, «require]', [
      'routes[0].weaker_than_defaults[1]: names require again, expected require',
    ]);
  });
});

describe('routes and listeners', () => {
  const message = (key: string, listener: string) =>
    `routes[0].${key}: demands a certificate that listener ${listener} neither asks for nor is told of, expected client_certificate.request: ` +
    'optional or required there, client_certificate_from, or match.listeners without it';

  test('a route or shadow that demands certificates needs them on each of its listeners', () => {
    assertRouteProblems('require: «mtls', [message('require', 'public')]);
    assertRouteProblems('shadow: «{ require: mtls }', [message('shadow', 'public')]);
    const listeners = `${CERTIFICATES.listeners}\n- { name: plain, bind: "127.0.0.1:0", origins: ["http://localhost"] }`;
    assertRouteProblems('require: «mtls', [message('require', 'plain')], { listeners });
    policyOf({
      listeners,
      routes: '- { name: a, match: { path: /*, listeners: [public] }, upstream: orders, require: mtls }',
    });
  });

  test('the subject of a certificate is forwarded only where its chain is verified (RFC 8705 §6.2)', () => {
    const rest = 'forward: { identity: { X-Subject: «"@certificate_subject" } }';
    assertRouteProblems(
      rest,
      [
        'routes[0].forward.identity.X-Subject: is a name that is not verified on listener public, expected verify: chain there, or no "@certificate_subject"',
      ],
      CERTIFICATES,
    );
    routeOf(rest.replace('«', ''));
  });

  test("an upstream's DPoP-Nonce does not pass on an origin where nonces are ours (RFC 9449 §8.2)", () => {
    const clash = (path: string, origin: string) =>
      `routes[1].${path}: lets DPoP-Nonce of the upstream pass on ${origin}, where route asks asks for nonces of ours, ` +
      'expected another origin for one of them, or nonce: none';
    const asks = (match: string) => `- { name: asks, match: { ${match} }, upstream: orders, dpop: { nonce: on-skew } }`;
    const open = (match: string) =>
      `- { name: open, match: { ${match} }, upstream: orders, require: public, weaker_than_defaults: [require] }`;
    const beside = { routes: `${asks('path: /*')}\n${open('path: /a')}` };
    assert.deepEqual(
      [...policyOf(beside).withoutUpstreamNonce].map(({ name }) => name),
      ['open'],
    );
    assert.ok(warningsOf(beside).some((warning) => warning.includes('a DPoP-Nonce of its upstream is removed')));
    assertProblems(
      {
        routes: `${asks('path: /*')}\n- { name: b, match: { path: /a }, upstream: orders, forward: { authorization: «as-received }, weaker_than_defaults: [authorization] }`,
      },
      [clash('forward.authorization', 'http://localhost:8080')],
    );
    // The later one is refused: whoever writes a route for an origin takes nothing from those that are there.
    const passes = (name: string) =>
      `- { name: ${name}, match: { path: /${name} }, upstream: orders, forward: { authorization: as-received }, weaker_than_defaults: [authorization] }`;
    const asking = asks('path: /*').replace('nonce: on-skew', 'nonce: «on-skew');
    const later =
      'asks for nonces of ours on http://localhost:8080, where route b lets DPoP-Nonce of its upstream pass, expected another origin for one of them, or nonce: none';
    assertProblems({ routes: `${passes('b')}\n${passes('c')}\n${asking}` }, [`routes[2].dpop.nonce: ${later}`]);
    assertProblems({ routes: `${passes('b')}\n${asking.replace('on-skew', 'none').replace('«', '')}` }, []);
    const listeners = '- { name: public, bind: "127.0.0.1:0", origins: ["http://a.example", "http://*.b.example"] }';
    const pair = (one: string, two: string): Sections => ({
      listeners,
      routes: `${asks(`host: ${one}, path: /*`)}\n${open(`host: ${two}, path: /*`)}`,
    });
    assert.equal(policyOf(pair('x.b.example', '"*.b.example"')).withoutUpstreamNonce.size, 1);
    for (const [one, two] of [
      ['a.example', '"*.b.example"'],
      ['x.b.example', 'y.b.example'],
    ] as const) {
      assert.equal(policyOf(pair(one, two)).withoutUpstreamNonce.size, 0);
    }
  });
});

describe('warnings', () => {
  test('unbound tokens, clock aids and names that nothing uses are pointed out', () => {
    const sections: Sections = {
      issuers:
        'login: { issuer: https://login.example.com, audience: [a] }\nspare: { issuer: https://spare.example.com, audience: [a] }',
      upstreams: 'orders: { targets: ["http://127.0.0.1:9000"] }\nspare: { targets: ["http://127.0.0.1:9001"] }',
      routes: route('issuers: [login], require: token, weaker_than_defaults: [require], dpop: { nonce: on-skew }'),
    };
    assert.deepEqual(warningsOf(sections), [
      'issuers.spare: is used by no route',
      'upstreams.spare: is used by no route',
      'routes[0].require: lets unbound tokens pass on route orders: anyone who steals one can use it',
      'routes[0].dpop.nonce: is a clock aid for clients and no protection: only required stops proofs made in advance (RFC 9449 §11.3)',
    ]);
    assert.deepEqual(warningsOf({}), []);
  });
});
