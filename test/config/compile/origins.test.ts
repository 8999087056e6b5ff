// Origins with stars: which routes they reach, and what they demand of them.

import { test } from 'node:test';
import { makeCertificate } from '../../support/pki.ts';
import { assertProblems, policyOf, warningsOf } from '../../support/policies.ts';
import assert from 'node:assert/strict';

test('on a listener for any host, routes that are not public name theirs, also where only their shadow is not', () => {
  const listeners = '- { name: public, bind: "127.0.0.1:0", origins: ["http://*:8080", "http://api.example.com"] }';
  const message =
    'is missing on a route that is not public, although listener public takes any host (http://*:8080): ' +
    'a proof made for a host of a thief would be good here; expected the host by which clients call this route';
  const routes = (match: string, rest = '') =>
    `- { name: orders, match: {${match} path: /* }, upstream: orders${rest} }`;
  const open = ', require: public, weaker_than_defaults: [require]';
  const path = 'routes[0].match.host';
  const marked = (rest = '') => routes('', rest).replace('match: {', 'match: «{');
  assertProblems({ listeners, routes: marked() }, [`${path}: ${message}`]);
  assertProblems({ listeners, routes: marked(`${open}, shadow: { require: dpop }`) }, [`${path}: ${message}`]);
  for (const host of ['api.example.com', '*.example.com', 'other.example']) {
    policyOf({ listeners, routes: routes(` host: "${host}",`) });
  }
  policyOf({ listeners, routes: routes('', open) });
});

test('of two stars a certificate has to name one label, and of any host nothing', async () => {
  const { cert, key } = await makeCertificate({ names: ['*.example.com'] });
  const listeners = (origin: string) =>
    `- { name: public, bind: "127.0.0.1:0", origins: [${origin}], tls: { certificates: [{ cert: a, key_file: b }] } }`;
  const files = { 'listeners.0.tls.certificates.0.cert': cert, 'listeners.0.tls.certificates.0.key_file': key };
  const routes = '- { name: a, match: { host: a.example.com, path: /* }, upstream: orders }';
  policyOf({ listeners: listeners('"https://**.example.com", "https://*"'), routes }, { files });
  assertProblems(
    { listeners: listeners('«"https://**.example.org", "https://*"'), routes },
    ['listeners[0].origins[0]: is not covered by any certificate of this listener, expected one that names its host'],
    { files },
  );
});

test('the hosts of a route are held against the hosts of origins, stars against stars', () => {
  const listeners = (origin: string) => `- { name: public, bind: "127.0.0.1:0", origins: ["http://${origin}"] }`;
  const routes = (host: string) => `- { name: orders, match: { host: ${host}, path: /* }, upstream: orders }`;
  for (const host of ['a.example.com', 'b.a.example.com', '"*.example.com"', '"*.a.example.com"']) {
    policyOf({ listeners: listeners('**.example.com'), routes: routes(host) });
  }
  assertProblems({ listeners: listeners('**.example.com'), routes: routes('«example.com') }, [
    'routes[0].match.host: is the host of no origin of its listeners, expected one of these: **.example.com',
  ]);
});

test('a public route beside one that asks for nonces is told, wherever their origins can be the same', () => {
  const routes = `- { name: asking, match: { host: a.example.com, path: /a/* }, upstream: orders, dpop: { nonce: required } }
- { name: open, match: { host: a.example.com, path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }`;
  const warned = (...origins: readonly string[]) => {
    const listeners = origins.map(
      (origin, index) => `- { name: l${index}, bind: "127.0.0.1:0", origins: ["${origin}"] }`,
    );
    const on = routes
      .replace('{ host', '{ listeners: [l0], host')
      .replace(/(open, match: )\{ host/, '$1{ listeners: [l1], host');
    return warningsOf({ listeners: listeners.join('\n'), routes: on }).some((text) =>
      text.includes('where route asking asks'),
    );
  };
  assert.ok(warned('http://*:*', 'http://a.example.com:8080'));
  assert.ok(warned('http://**.example.com', 'http://*.example.com'));
  assert.ok(!warned('http://*:8081', 'http://a.example.com:8080'), 'another port is another origin');
});
