// Field edits and rewrites in the configuration: what they may not name.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describePolicy } from '../../../src/config/report/describe.ts';
import { readSource } from '../../../src/config/read/source.ts';
import { schema } from '../../../src/config/schema/schema.ts';
import { assertProblems, compileText, configuration, policyOf } from '../../support/policies.ts';

const route = (rest: string, path = '/one/*') =>
  `- { name: orders, match: { path: "${path}" }, upstream: orders, ${rest} }`;

/** Messages of a route, without what was expected. */
function problems(rest: string, more: Parameters<typeof configuration>[0] = {}): readonly string[] {
  const compiled = compileText(configuration({ routes: route(rest), ...more }));
  return 'problems' in compiled ? compiled.problems.map(({ message }) => message.split(',')[0] ?? '') : [];
}

const edit = (direction: string, how: 'set' | 'add' | 'remove', name: string) =>
  `${direction}: { ${how}: ${how === 'remove' ? `["${name}"]` : `{ "${name}": v }`} }`;

const MANAGED = (
  'X-Auth-Subject x-auth-SUBJECT X_Auth_Subject XAuthSubject Client-Cert client_cert X-Forwarded-For ' +
  'X-Forwarded-Anything X_Forwarded_Host Forwarded X-Real-IP DPoP d_pop X-Request-Id Remote-User ' +
  'X-Amzn-Oidc-Data Proxy Content_Length Transfer_Encoding X-Original-URL'
).split(' ');
const FRAMING = (
  'Authorization authorization Proxy-Authorization Host Connection Keep-Alive TE Trailer Upgrade ' +
  'Transfer-Encoding Content-Length Content-Encoding Expect Via Date HTTP2-Settings Max-Forwards ' +
  'Sec-WebSocket-Key sec-websocket-protocol Signature Signature-Input Content-Digest ~~'
).split(' ');
const OF_ANSWERS = (
  'WWW-Authenticate DPoP-Nonce Authentication-Info Access-Control-Allow-Origin access-control-anything ' +
  'Vary Allow Client-Cert X-Request-Id grpc-status Accept-Signature'
).split(' ');

describe('fields that no edit may name', () => {
  for (const how of ['set', 'add', 'remove'] as const) {
    test(`${how} on the way to the upstream`, () => {
      for (const name of [...MANAGED, ...FRAMING])
        assert.equal(problems(edit('request_fields', how, name)).length, 1, `${how} ${name}`);
    });
    test(`${how} on the way to the client`, () => {
      for (const name of [...OF_ANSWERS, ...FRAMING])
        assert.equal(problems(edit('response_fields', how, name)).length, 1, `${how} ${name}`);
    });
  }

  test('a field that any route sets from a claim is managed on every route', () => {
    const forward = 'forward: { identity: { X-Tenant: tenant } }';
    const routes = `${route(edit('request_fields', 'set', 'x-tenant'))}\n- { name: b, match: { path: /b }, upstream: orders, ${forward} }`;
    const compiled = compileText(configuration({ routes }));
    assert.ok('problems' in compiled);
    assert.match(compiled.problems[0]?.message ?? '', /^is what only the gateway may say to an upstream/);
  });

  test('an imitation of a field that signs requests is refused on their route alone', () => {
    const signature = 'signature: { components: [x-team] }';
    const setting = (name: string) => edit('request_fields', 'set', name);
    assert.equal(problems(`${setting('X_Team')}, ${signature}`).length, 1);
    assert.deepEqual(problems(`${setting('X-Team')}, ${signature}`), []);
    const other = `- { name: b, match: { path: /b }, upstream: orders, ${signature} }`;
    assert.deepEqual(problems('', { routes: `${route(setting('X_Team'))}\n${other}` }), []);
  });

  test('a rewrite changes something', () => {
    assert.deepEqual(problems('rewrite: {}'), ['changes nothing']);
    assert.deepEqual(problems('rewrite: { host: a.example }'), []);
  });

  test('fields of other keys are theirs: tracing, interaction_id, rate_limit', () => {
    const tracing = { more: 'tracing: { otlp_endpoint: "http://127.0.0.1:4318" }\n' };
    assert.deepEqual(problems(edit('request_fields', 'set', 'Traceparent'), tracing), ['is written by tracing']);
    assert.deepEqual(problems(edit('request_fields', 'set', 'Traceparent')), []);
    const listeners =
      '- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8080"], interaction_id: X-FAPI-Interaction-Id }';
    for (const direction of ['request_fields', 'response_fields'])
      assert.deepEqual(problems(edit(direction, 'remove', 'x-fapi-interaction-id'), { listeners }), [
        'is the field of interaction_id',
      ]);
    const limits = { more: 'rate_limits: { l: { key: client, rate: 1/s, burst: 1 } }\n' };
    const limited = `rate_limit: l, ${edit('response_fields', 'set', 'RateLimit')}`;
    assert.deepEqual(problems(limited, limits), ['is written by rate_limit']);
  });

  test('one field is edited once, in whatever spelling', () => {
    const twice = 'request_fields: { set: { X-A: v }, remove: [x_a] }';
    assert.deepEqual(problems(twice), ['is edited twice']);
    assert.deepEqual(problems(edit('request_fields', 'add', 'Content-Type')), ['has one line only']);
    assert.deepEqual(problems(edit('request_fields', 'set', 'Content-Type')), []);
  });

  test('a value is one line of visible ASCII, also when it comes from the environment', () => {
    for (const value of [
      'a\r\nX-Auth-Subject: admin',
      'a\nb',
      'a\0b',
      ' a',
      'a ',
      '',
      'ä',
      'a\u2028b',
      'a'.repeat(4097),
    ]) {
      const text = configuration({ routes: route('request_fields: { set: { X-A: "${VALUE}" } }') });
      const source = readSource('holdfast.yaml', text, { VALUE: value });
      const parsed = schema.safeParse(source.data);
      assert.ok(source.problems.length > 0 || !parsed.success, JSON.stringify(value));
    }
    for (const value of ['a', 'a\tb c', '"quoted", list', 'a'.repeat(4096)]) {
      const text = configuration({ routes: route('request_fields: { set: { X-A: "${VALUE}" } }') });
      assert.ok(schema.safeParse(readSource('holdfast.yaml', text, { VALUE: value }).data).success, value);
    }
  });
});

describe('rewrite', () => {
  test('says one thing about the path, and takes paths that requests can have', () => {
    assertProblems({ routes: route('rewrite: «{ path: /a, prefix: /b }') }, [
      'routes[0].rewrite: has prefix and path, expected one of them',
    ]);
    assertProblems({ routes: route('rewrite: { prefix: «/a }', '/one') }, [
      'routes[0].rewrite.prefix: is there although the path of the route has no last /*, expected path',
    ]);
    for (const [key, value] of [
      ['path', '/a/../b'],
      ['path', '/a//b'],
      ['prefix', '//a'],
      ['prefix', '/a?b'],
      ['path', '/a#b'],
      ['path', '/a%2Fb'],
      ['prefix', '/a/*'],
      ['path', '/%zz'],
      ['path', '/a%0d%0ab'],
    ] as const)
      assert.deepEqual(problems(`rewrite: { ${key}: "${value}" }`), ['is not a path that a request can have'], value);
  });

  test('of the host is one host, and said in one place', () => {
    assert.deepEqual(problems('rewrite: { host: orders.internal }, forward: { host: upstream }'), [
      'says what forward.host of this route says too',
    ]);
    for (const host of ['a:b', 'a:99999', '[::g]'])
      assert.equal(problems(`rewrite: { host: "${host}" }`).length, 1, host);
    const [compiled] = policyOf({ routes: route('rewrite: { host: "Orders.Internal:8080" }') }).routes;
    assert.equal(compiled?.host, 'orders.internal:8080');
  });
});

test('check says what is changed, names of fields but no values', () => {
  const rest =
    'rewrite: { prefix: /two, host: o.internal }, request_fields: { set: { X-Key: hush }, remove: [X-Debug] }, response_fields: { add: { X-A: hush } }';
  const [described] = describePolicy(policyOf({ routes: route(rest) })).routes;
  const words = described?.forwards.join('\n') ?? '';
  for (const line of [
    '/two in place of /one at the front of the path',
    'Host: o.internal',
    'fields set to the upstream: X-Key',
  ])
    assert.ok(words.includes(line), line);
  assert.doesNotMatch(words, /hush/);
});

test('a listener that only decides takes none of these', () => {
  const listeners =
    '- { name: public, bind: "127.0.0.1:0", mode: decide, dialect: forwarded, trusted_peers: [{ cidr: 127.0.0.1/32 }], origins: ["http://localhost:8080"] }';
  for (const rest of [
    'request_fields: { remove: [X-A] }',
    'response_fields: { remove: [X-A] }',
    'rewrite: { host: a.example }',
    'rewrite: { path: /a }',
    'rewrite: { prefix: /a }',
  ])
    assert.deepEqual(problems(rest, { listeners }), ['is nothing that listener public can do (mode: decide)'], rest);
});

test('a field that one route sets, and that clients may send on another one to the same upstream, is warned of', () => {
  const set = route('request_fields: { set: { X-Tenant: acme } }');
  const warnings = (other: string) => {
    const routes = `${set}\n- { name: b, match: { path: /b }, ${other} }`;
    const upstreams = 'orders: { targets: ["http://127.0.0.1:9000"] }\nelse: { targets: ["http://127.0.0.1:9001"] }';
    const compiled = compileText(configuration({ routes, upstreams }));
    assert.ok('warnings' in compiled);
    return compiled.warnings.map(({ message }) => message).filter((message) => message.startsWith('sets'));
  };
  assert.deepEqual(warnings('upstream: orders'), [
    'sets X-Tenant, which clients of route b may send themselves to the same upstream: set or remove it there too',
  ]);
  assert.deepEqual(warnings('upstreams: [{ name: else }, { name: orders }]').length, 1);
  assert.deepEqual(warnings('upstream: orders, request_fields: { remove: [x-tenant] }'), []);
  assert.deepEqual(warnings('upstream: else'), []);
});
