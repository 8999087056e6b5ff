// The facts of a request: origin, target and fields, refused in the order of the table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '../../../src/edge/listen/connection.ts';
import { compileIntake, type EdgeFacts, readFacts } from '../../../src/edge/intake/facts.ts';
import { compileManagedFields } from '../../../src/policy/managed-fields.ts';
import type { Listener } from '../../../src/policy/policy.ts';
import { Rejection } from '../../../src/rejection/rejection.ts';
import { cpuTime } from '../../support/cpu-time.ts';
import { HTTPS_ORIGIN, makeListener } from '../../support/edge.ts';

const NOW = 1_800_000_000;
const TLS = { certificates: [], minVersion: 'TLSv1.2' } as const;
const STRANGER: Connection = {
  remoteAddress: '192.0.2.7',
  remotePort: 40_000,
  localAddress: '192.0.2.1',
  localPort: 8443,
  servername: undefined,
  evidence: undefined,
  trustedUntil: 0,
};
const PEER: Connection = { ...STRANGER, trustedUntil: Number.POSITIVE_INFINITY };

type Sent = Readonly<Partial<Record<'method' | 'url' | 'httpVersion', string>>> & {
  readonly connection?: Connection;
  readonly listener?: Partial<Listener>;
};

/** Reads a GET of https://api.example.com/orders/1 with more field lines, `Name: value` each. */
function read(lines: readonly string[] = ['Host: api.example.com'], sent: Sent = {}): EdgeFacts | Rejection {
  const listener = makeListener({ tls: TLS, ...sent.listener });
  const managed = compileManagedFields([], [listener]);
  const rawHeaders = lines.flatMap((line) => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 1).trim(),
  ]);
  const { method = 'GET', url = '/orders/1', httpVersion = '1.1', connection = STRANGER } = sent;
  const rules = compileIntake(listener, managed, 'holdfast-0a1b');
  return readFacts({ method, target: url, httpVersion, rawHeaders }, connection, rules, NOW);
}

function facts(...sent: Parameters<typeof read>): EdgeFacts {
  const result = read(...sent);
  assert.ok(!(result instanceof Rejection), `refused: ${result instanceof Rejection ? result.reason : ''}`);
  return result;
}

function reason(...sent: Parameters<typeof read>): string {
  const result = read(...sent);
  return result instanceof Rejection ? result.reason : 'accepted';
}

const HOST = 'Host: api.example.com';
const host = (value: string, sent?: Sent) => read([`Host: ${value}`], sent);
const hostReason = (value: string, sent?: Sent) => reason([`Host: ${value}`], sent);

test('a plain request has the facts of its lines', () => {
  const url = '/orders/%7e1;v=2?a=b';
  const rawHeaders = ['Host', 'api.example.com', 'Authorization', 'DPoP t', 'DPoP', 'p'];
  assert.deepEqual(facts([HOST, 'Authorization: DPoP t', 'DPoP: p'], { url }), {
    listener: 'public',
    method: 'GET',
    origin: HTTPS_ORIGIN,
    target: url,
    path: '/orders/~1;v=2',
    matchPath: '/orders/~1',
    encodedSlash: false,
    query: 'a=b',
    authorization: ['DPoP t'],
    dpop: ['p'],
    message: { method: 'GET', target: url, httpVersion: '1.1', rawHeaders },
    certificate: undefined,
    clientAddress: '192.0.2.7',
    now: NOW,
    peer: { address: '192.0.2.7', trusted: false, forwarding: undefined },
    endsHere: false,
    browserOrigin: undefined,
    preflight: undefined,
  });
});

test('every Authorization and DPoP line is a separate fact, in any case of the name', () => {
  const { authorization, dpop } = facts([HOST, 'AUTHORIZATION: a', 'dpop: p', 'authorization: b', 'DPoP: q, r']);
  assert.deepEqual(
    [authorization, dpop],
    [
      ['a', 'b'],
      ['p', 'q, r'],
    ],
  );
});

test('Host is compared without case and without the default port, and with any other port', () => {
  assert.equal(hostReason('API.example.COM:443'), 'accepted');
  assert.equal(hostReason('api.example.com:'), 'accepted');
  assert.equal(hostReason('api.example.com:8443'), 'misdirected');
  assert.equal(hostReason('api.example.com:80'), 'misdirected');
});

test('a trailing dot, a sibling and an address are other hosts', () => {
  for (const value of ['api.example.com.', 'apiXexample.com', 'other.example.com', '192.0.2.1', '[::1]']) {
    assert.equal(hostReason(value), 'misdirected', value);
  }
});

test('IPv6 hosts are compared as addresses', () => {
  const listener = { origins: [{ ...HTTPS_ORIGIN, authority: '[2001:db8::1]:8443' }] };
  assert.equal(hostReason('[2001:0DB8:0:0::0001]:8443', { listener }), 'accepted');
  assert.equal(hostReason('[2001:db8::2]:8443', { listener }), 'misdirected');
  assert.equal(hostReason('[2001:db8::1%25eth0]:8443', { listener }), 'request_malformed');
});

test('a Host outside the grammar is request_malformed before any origin is looked at', () => {
  for (const value of [
    '',
    'a b',
    'user@api.example.com',
    'api.example.com/',
    'api.example.com?x',
    'api.example.com#x',
    'api.example.com:65536',
    'api.example.com:8x',
    'api%2eexample.com',
    'api.example.com\\',
    'api.example.com\xe9',
    '[::1',
  ]) {
    assert.equal(hostReason(value), 'request_malformed', value);
  }
});

test('no Host and two Hosts are request_malformed, HTTP/1.0 or not', () => {
  assert.equal(reason([]), 'request_malformed');
  assert.equal(reason([], { httpVersion: '1.0' }), 'request_malformed');
  assert.equal(reason([HOST, HOST]), 'request_malformed');
  assert.equal(reason([HOST, 'host: other.example.com']), 'request_malformed');
});

test('a wildcard origin stands for exactly one label of letters, digits, - and _', () => {
  const listener = {
    origins: [{ ...HTTPS_ORIGIN, authority: '*.example.com:8443', pathPrefix: '/v1', wildcard: true }],
  };
  const found = host('Tenant-1.example.com:8443', { listener });
  assert.ok(!(found instanceof Rejection));
  assert.deepEqual(found.origin, { scheme: 'https', authority: 'tenant-1.example.com:8443', pathPrefix: '/v1' });
  for (const value of [
    'example.com:8443',
    'a.b.example.com:8443',
    '.example.com:8443',
    '*.example.com:8443',
    'a,b.example.com:8443',
    'a.example.com',
  ]) {
    assert.equal(hostReason(value, { listener }), 'misdirected', value);
  }
});

test('an exact origin comes before a wildcard one', () => {
  const wildcard = { ...HTTPS_ORIGIN, authority: '*.example.com', wildcard: true };
  const listener = { origins: [wildcard, { ...HTTPS_ORIGIN, pathPrefix: '/exact' }] };
  assert.equal(facts([HOST], { listener }).origin.pathPrefix, '/exact');
});

test('a listener without origins takes any host as it comes', () => {
  const { origin } = facts(['Host: Any.example.com:444'], { listener: { origins: [] } });
  assert.deepEqual(origin, { scheme: 'https', authority: 'any.example.com:444', pathPrefix: '' });
});

test('the scheme of a stranger is that of the connection', () => {
  assert.equal(reason([HOST], { listener: { tls: undefined, origins: [HTTPS_ORIGIN] } }), 'misdirected');
  assert.equal(
    reason([HOST, 'X-Forwarded-Proto: https'], { listener: { tls: undefined, origins: [HTTPS_ORIGIN] } }),
    'misdirected',
  );
});

test('absolute-form counts where it says what Host says, and is forwarded in origin-form', () => {
  const { target, path, query } = facts([HOST], { url: 'HTTPS://API.example.com:443/a?b' });
  assert.deepEqual([target, path, query], ['/a?b', '/a', 'b']);
  assert.equal(facts([HOST], { url: 'https://api.example.com' }).target, '/');
  assert.equal(facts([HOST], { url: 'https://api.example.com?b' }).target, '/?b');
});

test('absolute-form that disagrees with Host, in scheme or authority, is request_malformed', () => {
  for (const url of [
    'http://api.example.com/',
    'https://other.example.com/',
    'https://api.example.com:8443/',
    'https://user@api.example.com/',
    'https:///',
    'https://api.example.com\\@other/',
    'ftp://api.example.com/',
    'https:/a',
    'a/b',
    '',
  ]) {
    assert.equal(reason([HOST], { url }), 'request_malformed', url);
  }
});

test('OPTIONS * and OPTIONS with Max-Forwards: 0 end here, other requests do not', () => {
  const star = facts([HOST], { method: 'OPTIONS', url: '*' });
  assert.deepEqual([star.endsHere, star.target, star.path, star.matchPath], [true, '*', '*', '*']);
  assert.equal(facts([HOST], { method: 'OPTIONS', url: 'https://api.example.com' }).target, '*');
  assert.equal(facts([HOST, 'Max-Forwards: 0'], { method: 'OPTIONS' }).endsHere, true);
  assert.equal(facts([HOST, 'Max-Forwards: 1'], { method: 'OPTIONS' }).endsHere, false);
  assert.equal(facts([HOST, 'Max-Forwards: 0']).endsHere, false);
  assert.equal(reason([HOST], { url: '*' }), 'request_malformed');
});

test('a path that could mean two things is request_malformed, and so is a fragment behind the query', () => {
  for (const url of [
    '/a//b',
    '/a/../b',
    '/a/%2e%2e/b',
    '/a/..;x/b',
    '/%zz',
    '/%00',
    '/a%5cb',
    '/a\\b',
    '/a#b',
    '/a?b#c',
  ]) {
    assert.equal(reason([HOST], { url }), 'request_malformed', url);
  }
});

test('a request target over the limit is uri_too_long, one at the limit passes', () => {
  const listener = { limits: { ...makeListener().limits, urlLength: 20 } };
  assert.equal(reason([HOST], { url: `/${'a'.repeat(19)}`, listener }), 'accepted');
  assert.equal(reason([HOST], { url: `/${'a'.repeat(20)}`, listener }), 'uri_too_long');
  assert.equal(reason([HOST], { url: `/?${'a'.repeat(19)}`, listener }), 'uri_too_long');
});

test('a coding other than chunked alone, or in HTTP/1.0, is request_malformed, whatever the parser makes of it', () => {
  for (const value of ['identity', 'gzip, chunked', 'xchunked', '"chunked"', 'chunked;a=b', '']) {
    assert.equal(reason([HOST, `Transfer-Encoding: ${value}`]), 'request_malformed', value);
  }
  assert.equal(reason([HOST, 'Transfer-Encoding: identity', 'Transfer-Encoding: chunked']), 'request_malformed');
  assert.equal(reason([HOST, 'Transfer-Encoding: chunked'], { httpVersion: '1.0' }), 'request_malformed');
  assert.equal(reason([HOST, 'Transfer-Encoding: Chunked']), 'accepted');
});

test('versions other than 1.0 and 1.1 are request_malformed', () => {
  for (const httpVersion of ['0.9', '2.0', '1.2']) assert.equal(reason([HOST], { httpVersion }), 'request_malformed');
  assert.equal(reason([HOST], { httpVersion: '1.0' }), 'accepted');
});

test('our own name in Via is a loop, on whichever line and behind whomever', () => {
  assert.equal(reason([HOST, 'Via: 1.1 holdfast-0a1b']), 'request_malformed');
  assert.equal(reason([HOST, 'Via: 1.1 a', 'via: 1.0 b, 1.1 holdfast-0a1b (x)']), 'request_malformed');
  assert.equal(reason([HOST, 'Via: 1.1 holdfast-ffff']), 'accepted');
});

test('the only expectation is 100-continue', () => {
  assert.equal(reason([HOST, 'Expect: 100-Continue']), 'accepted');
  assert.equal(reason([HOST, 'Expect: x']), 'expectation_failed');
  assert.equal(reason([HOST, 'Expect: 100-continue', 'Expect: 100-continue']), 'expectation_failed');
});

test('a managed field is no reason to refuse, its imitation is', () => {
  for (const line of [
    'Client-Cert: x',
    'X-Forwarded-For: x',
    'Forwarded: garbage"',
    'X-Forwarded-Host: x, y',
    'DPoP: x',
  ]) {
    assert.equal(reason([HOST, line]), 'accepted', line);
  }
  for (const line of [
    'Client_Cert: x',
    'X_Forwarded_For: x',
    'clientcert: x',
    'X-Real_IP: x',
    'D-PoP: x',
    'X.Forwarded.Foo: x',
  ]) {
    assert.equal(reason([HOST, line]), 'field_forbidden', line);
  }
});

test('the refusal of an imitation names the managed field and nothing that the client wrote', () => {
  const rejection = read([HOST, 'cLiEnT_cErT: x']);
  assert.ok(rejection instanceof Rejection);
  assert.equal(rejection.facts.what, 'client-cert');
});

test('Connection that names a managed field, or an imitation of one, is field_forbidden', () => {
  for (const value of ['close, Client-Cert', 'x-forwarded-for', 'DPoP', 'keep-alive,client_cert']) {
    assert.equal(reason([HOST, `Connection: ${value}`]), 'field_forbidden', value);
  }
  assert.equal(reason([HOST, 'Connection: close', 'connection: X-Real-IP']), 'field_forbidden');
  assert.equal(reason([HOST, 'Connection: keep-alive, X-Mine']), 'accepted');
});

test('where several reasons apply, the one that comes first in the table is reported', () => {
  const listener = { limits: { ...makeListener().limits, urlLength: 5 } };
  const all = ['Host: other.example.com', 'Expect: x', 'Client_Cert: x'];
  assert.equal(reason(all, { url: '/a//b-long', listener }), 'request_malformed');
  assert.equal(reason(all, { url: '/a-long', listener }), 'uri_too_long');
  assert.equal(reason(all), 'expectation_failed');
  assert.equal(reason(['Host: other.example.com', 'Client_Cert: x']), 'field_forbidden');
  assert.equal(reason(['Host: other.example.com']), 'misdirected');
});

const TWO = { origins: [HTTPS_ORIGIN, { ...HTTPS_ORIGIN, authority: 'www.example.com' }], tls: undefined };

test('a trusted peer that terminates TLS says host and scheme, in X-Forwarded-* or in Forwarded', () => {
  for (const lines of [
    ['X-Forwarded-Host: www.example.com', 'X-Forwarded-Proto: https'],
    ['X-Forwarded-Host: WWW.example.com:443', 'X-Forwarded-Proto: HTTPS'],
    ['Forwarded: for=192.0.2.1;host=www.example.com;proto=https'],
    [
      'Forwarded: for=192.0.2.1;host=evil.example.com;proto=http, For="[2001:db8::1]";Host="www.example.com:443";Proto=https',
    ],
  ]) {
    const { origin, peer } = facts(['Host: internal', ...lines], { connection: PEER, listener: TWO });
    assert.equal(origin.authority, 'www.example.com', lines.join());
    assert.equal(peer.trusted, true);
  }
});

test('what a trusted peer states must be an origin of the listener', () => {
  const only = { origins: [HTTPS_ORIGIN], tls: undefined };
  assert.equal(
    reason([HOST, 'X-Forwarded-Host: evil.example.com'], { connection: PEER, listener: only }),
    'misdirected',
  );
  assert.equal(reason([HOST, 'X-Forwarded-Proto: http'], { connection: PEER, listener: only }), 'misdirected');
});

test('forwarding fields of a stranger change nothing', () => {
  const lines = ['X-Forwarded-Host: www.example.com', 'X-Forwarded-Proto: http', 'Forwarded: host=www.example.com'];
  assert.equal(facts([HOST, ...lines], { listener: { ...TWO, tls: TLS } }).origin.authority, 'api.example.com');
});

test('a trusted peer that says nothing leaves Host, or the only origin where there is exactly one', () => {
  const listener = { origins: [HTTPS_ORIGIN], tls: undefined };
  assert.equal(facts(['Host: internal:9000'], { connection: PEER, listener }).origin, HTTPS_ORIGIN);
  assert.equal(reason(['Host: internal:9000'], { listener }), 'misdirected', 'a stranger');
  assert.equal(reason([HOST], { connection: PEER, listener: TWO }), 'misdirected', 'the scheme is not said');
  assert.equal(reason([HOST, 'X-Forwarded-Proto: https'], { connection: PEER, listener: TWO }), 'accepted');
});

test('a trusted peer whose certificate has run out is a stranger', () => {
  const listener = { origins: [HTTPS_ORIGIN], tls: undefined };
  assert.equal(reason([HOST], { connection: { ...PEER, trustedUntil: NOW }, listener }), 'accepted');
  assert.equal(reason([HOST], { connection: { ...PEER, trustedUntil: NOW - 1 }, listener }), 'misdirected');
});

test('contradictions and lists in the forwarding fields of a trusted peer are request_malformed', () => {
  for (const lines of [
    ['X-Forwarded-Host: www.example.com, api.example.com'],
    ['X-Forwarded-Host: www.example.com', 'X-Forwarded-Host: www.example.com'],
    ['X-Forwarded-Host: a/b'],
    ['X-Forwarded-Host:'],
    ['X-Forwarded-Proto: https, http'],
    ['X-Forwarded-Proto: gopher'],
    ['Forwarded: host=www.example.com', 'Forwarded: proto=https'],
    ['Forwarded: host=www.example.com;host=api.example.com'],
    ['Forwarded: host=www.example.com:443'],
    ['Forwarded: host="www.example.com'],
    ['Forwarded: host'],
    ['Forwarded: host="a\\"b"'],
    ['Forwarded: proto=ftp'],
    ['Forwarded: host=api.example.com', 'X-Forwarded-Host: www.example.com'],
    ['Forwarded: proto=http', 'X-Forwarded-Proto: https'],
  ]) {
    assert.equal(reason([HOST, ...lines], { connection: PEER, listener: TWO }), 'request_malformed', lines.join());
  }
});

test('reading Forwarded costs time linear in its length', () => {
  const values = ['a=b;'.repeat(8000), '"'.repeat(32_000), `a="${'\\'.repeat(32_000)}`, ' \t'.repeat(16_000)];
  for (const value of values) {
    assert.ok(cpuTime(() => read([HOST, `Forwarded: ${value}`], { connection: PEER, listener: TWO })) < 500);
  }
});

test('a preflight is OPTIONS with one Origin and one Access-Control-Request-Method', () => {
  const lines = [HOST, 'Origin: https://app.example.com', 'Access-Control-Request-Method: POST'];
  const { preflight, browserOrigin } = facts([...lines, 'Access-Control-Request-Headers: dpop,x-a'], {
    method: 'OPTIONS',
  });
  assert.deepEqual(preflight, { method: 'POST', fieldNames: 'dpop,x-a' });
  assert.equal(browserOrigin, 'https://app.example.com');
  assert.equal(facts(lines).preflight, undefined);
  assert.equal(facts(lines.slice(0, 2), { method: 'OPTIONS' }).preflight, undefined);
  assert.equal(facts([...lines, 'Origin: https://other.example.com'], { method: 'OPTIONS' }).preflight, undefined);
  assert.equal(facts([...lines, 'Origin: https://other.example.com']).browserOrigin, undefined);
});

test('the client of a trusted peer is the one that it names', () => {
  const client = (connection: Connection) =>
    facts([HOST, 'X-Forwarded-For: 203.0.113.9'], { connection }).clientAddress;
  assert.deepEqual([client(PEER), client(STRANGER)], ['203.0.113.9', '192.0.2.7']);
});
