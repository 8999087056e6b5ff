// A policy in plain words: what it demands, and what it does not enforce.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describePolicy, type RouteDescription } from '../../../src/config/report/describe.ts';
import { formatBind } from '../../../src/policy/addresses.ts';
import { makeCertificate } from '../../support/pki.ts';
import { policyOf } from '../../support/policies.ts';

const routeOf = (keys: string): RouteDescription => {
  const policy = policyOf({ routes: `- { name: orders, match: { path: /orders/* }, upstream: orders, ${keys} }` });
  const [route] = describePolicy(policy).routes;
  assert.ok(route);
  return route;
};
const LIMIT = 'rate_limits: { per_client: { key: client, rate: 100/m, burst: 20 } }\n';
const says = (lines: readonly string[], text: string | RegExp) =>
  lines.some((line) => (typeof text === 'string' ? line.includes(text) : text.test(line)));

describe('a route in plain words', () => {
  test('names binding, issuer, audience, age of proofs, scope, claims and strength', () => {
    const { demands } = routeOf(
      'require: dpop, scope: [a, b], claims: { tenant: acme }, acr: [gold], max_auth_age: 10m, dpop: { nonce: required }',
    );
    for (const text of [
      'a proof by that key',
      'issued by',
      '60 s old',
      'with a nonce of ours',
      'scope: a b',
      'claim tenant: acme',
      'acr: gold',
      '600 s ago',
    ]) {
      assert.ok(says(demands, text), text);
    }
  });
  test('names the targets, and what else decides which of them is called', () => {
    const share = '1024 connections and 4096 WebSockets per worker, of which one client gets at most two thirds';
    assert.equal(routeOf('require: dpop').upstream, `orders (http://127.0.0.1:9000; ${share})`);
    const keys = 'health: { path: /healthz }, circuit: { failures: 3 }';
    const upstreams = `orders: { targets: ["http://127.0.0.1:9000", "unix:/run/b.sock"], ${keys} }`;
    assert.equal(
      describePolicy(policyOf({ upstreams })).routes[0]?.upstream,
      `orders (http://127.0.0.1:9000, unix:/run/b.sock; least-pending; each ${share}; GET /healthz every 5 s; ` +
        'left alone for 5 s after 3 failures in a row)',
    );
  });
  test('names what marks access tokens, and what is taken from the issuer on trust', () => {
    const describe = (more: string) => {
      const issuers = `login: { issuer: https://a.example, audience: [api]${more} }`;
      const files = { 'issuers.login.introspection.client_secret_file': 's' };
      const [route] = describePolicy(policyOf({ issuers }, { files })).routes;
      assert.ok(route);
      return route;
    };
    const asked = (more: string) => `, introspection: { client_id: g, client_secret_file: s, ${more} }`;
    const marked = describe(
      `, access_token: { typ: [Bearer, DPoP], scp: present }${asked('signed: true, access_token: { token_use: access_token }')}`,
    );
    assert.ok(says(marked.demands, 'access tokens of https://a.example: typ: Bearer or DPoP, scp: any value'));
    assert.ok(says(marked.demands, 'access tokens in its answers: token_use: access_token'));
    assert.ok(says(marked.demands, 'answers are signed by the issuer (RFC 9701)'));
    assert.ok(!says(marked.notEnforced, 'kind of token') && !says(marked.notEnforced, 'without aud'));
    const trusted = describe(`, access_token: any, audience_claim: client_id${asked('access_token: any')}`);
    assert.ok(says(trusted.demands, 'for api (in client_id where there is no aud)'));
    assert.ok(says(trusted.notEnforced, /^kind of token: an ID token .*\(access_token: any\)$/));
    assert.ok(says(trusted.notEnforced, /^kind of token: what .*\(introspection\.access_token: any\)$/));
    assert.ok(says(trusted.notEnforced, 'a token of https://a.example without aud passes by its client_id'));
  });
  test('names what differs from the limits of its listeners, and how far clocks may differ', () => {
    const { limits, demands } = routeOf(
      'limits: { request_body: none, upload_rate: 512B }, dpop: { clock_tolerance: 9s }',
    );
    assert.deepEqual(limits, ['request bodies of any size', 'request bodies are sent at 512 B a second or more']);
    assert.ok(says(demands, 'proofs: at most 60 s old and 9 s ahead of our clock'));
    assert.ok(says(demands, /its times within \d+ s of our clock/));
    assert.deepEqual(routeOf('require: dpop').limits, []);
  });
  test('is summed up for a table', () => {
    const { summary } = routeOf(
      'require: token, weaker_than_defaults: [require], shadow: { require: dpop }, scope: { any: [a, b] }',
    );
    const { requires, shadow, scope, path, issuers, upstream, methods, cors } = summary;
    assert.deepEqual(
      [requires, shadow, scope, path, issuers, upstream, methods, cors],
      ['token', 'dpop', 'any of a b', '/orders/*', ['login'], 'orders', undefined, false],
    );
  });
  test('names its rate limit', () => {
    const routes = '- { name: orders, match: { path: /* }, upstream: orders, rate_limit: per_client }';
    const [route] = describePolicy(policyOf({ more: LIMIT, routes })).routes;
    assert.deepEqual(route?.demands.at(-1), 'rate: 100/m, 20 at once, by client');
    assert.ok(!says(routeOf('require: dpop').demands, 'rate'));
  });
  test('a public route enforces nothing, and says so', () => {
    const { demands, notEnforced } = routeOf('require: public, weaker_than_defaults: [require]');
    assert.ok(says(demands, 'anybody may call it') && says(notEnforced, 'anything'));
  });
  test('a token route says that possession is not checked', () => {
    assert.ok(
      says(routeOf('require: token, weaker_than_defaults: [require]').notEnforced, 'anyone who holds an unbound token'),
    );
  });
  test('without nonces, and with on-skew, proofs made in advance pass; with required they do not', () => {
    assert.ok(says(routeOf('require: dpop').notEnforced, 'proofs made in advance pass'));
    assert.ok(says(routeOf('require: dpop, dpop: { nonce: on-skew }').notEnforced, 'proofs made in advance pass'));
    assert.ok(!says(routeOf('require: dpop, dpop: { nonce: required }').notEnforced, 'in advance'));
  });
  test('a route without scope and claims says that every token passes', () => {
    assert.ok(says(routeOf('require: dpop').notEnforced, 'every token of these issuers'));
    assert.ok(!says(routeOf('require: dpop, scope: [a]').notEnforced, 'every token of these issuers'));
  });
  test('shadow is described beside what is demanded', () => {
    const { shadow } = routeOf('require: token, weaker_than_defaults: [require], shadow: { require: dpop }');
    assert.ok(says(shadow, 'a proof by that key'));
  });
  test('addresses are written as they are in the configuration', () => {
    assert.deepEqual([{ host: '0.0.0.0', port: 1 }, { host: '::', port: 2 }, { path: '/run/h.sock' }].map(formatBind), [
      '0.0.0.0:1',
      '[::]:2',
      'unix:/run/h.sock',
    ]);
  });
  test('a listener that requires PROXY headers says so', () => {
    const keys = 'origins: ["http://a.example"], trusted_peers: [{ cidr: 10.0.0.7/32 }]';
    const described = (more: string) =>
      describePolicy(policyOf({ listeners: `- { name: a, bind: "127.0.0.1:0", ${keys}${more} }` })).listeners;
    assert.ok(says(described(', proxy_protocol: required'), 'begins with a PROXY header of a trusted peer'));
    assert.ok(!says(described(''), 'PROXY'));
  });
});

describe('a listener in plain words', async () => {
  const { chain, key } = await makeCertificate({ names: ['api.example.com'] });
  const files = { 'listeners.0.tls.certificates.0.cert': chain, 'listeners.0.tls.certificates.0.key_file': key };
  const listenerOf = (keys: string) =>
    describePolicy(
      policyOf(
        { listeners: `- { name: a, bind: "0.0.0.0:8443", origins: [https://api.example.com], ${keys} }` },
        { files },
      ),
    ).listeners[0] ?? '';
  const TLS = 'certificates: [{ cert: tls.crt, key_file: tls.key }]';

  test('names its TLS profile and the lowest version', () => {
    assert.match(listenerOf(`tls: { ${TLS} }`), /; TLS from 1\.2 \(intermediate\);/);
    assert.match(listenerOf(`tls: { ${TLS}, profile: modern }`), /; TLS from 1\.3 \(modern\);/);
    assert.match(listenerOf(`tls: { ${TLS}, profile: fapi }`), /; TLS from 1\.2 \(fapi\);/);
  });

  test('names sizes, rates and the share of connections that one client keeps', () => {
    const text = listenerOf(
      `tls: { ${TLS} }, limits: { connections: 400, request_body: 3MiB, upload_rate: 2KiB, download_rate: none, rate_grace: 7s }`,
    );
    assert.match(
      text,
      /; at most 400 connections per worker; where all are taken, the client with the most makes room, /,
    );
    assert.match(text, /; request bodies up to 3 MiB; request bodies are sent at 2 KiB a second or more; /);
    assert.match(text, /; answers are taken at any rate; rates count after 7 s of silence; /);
  });

  test('names the element that is the client, and the field that its own answers repeat', () => {
    const from = (element: string) =>
      listenerOf(
        `tls: { ${TLS} }, trusted_peers: [{ cidr: 10.0.0.1/32 }], client_certificate: { verify: possession }, client_certificate_from: { format: xfcc${element} }`,
      );
    assert.match(from(''), /; and their x-forwarded-client-cert \(xfcc\)$/);
    assert.match(from(', element: 2'), /\(xfcc, the first of 2 elements; fewer: no certificate\)$/);
    assert.match(from(', element: last'), /\(xfcc, the last element\)$/);
    assert.match(listenerOf(`tls: { ${TLS} }, interaction_id: X-Id`), /; every answer has X-Id$/);
  });
});

test('tracing says where spans go, of how much, and whose trace is continued', () => {
  const told = (keys: string) =>
    describePolicy(policyOf({ more: `tracing: { otlp_endpoint: "http://localhost:4318"${keys} }` })).tracing;
  assert.equal(
    told(''),
    'spans to http://localhost:4318/v1/traces; 1 % of the traces that begin here; traceparent of trusted peers is continued',
  );
  assert.equal(
    told(', sample: 0.005, trust: all, client_address: true'),
    "spans to http://localhost:4318/v1/traces; 0.5 % of the traces that begin here; every traceparent is continued; with clients' addresses",
  );
  assert.equal(describePolicy(policyOf({})).tracing, undefined);
});
