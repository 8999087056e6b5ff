// Answers of routes without an upstream: where redirects lead, what fixed answers say.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { locationOf, makeOwnAnswer, type Redirect } from '../../src/policy/own-answer.ts';
import { readRequestPath } from '../../src/http/uri.ts';

const SAME: Redirect = {
  kind: 'redirect',
  status: 302,
  scheme: undefined,
  host: undefined,
  port: undefined,
  path: undefined,
};
const front = (segments: number, to: string) => ({ part: 'front', segments, to }) as const;

/** Where a redirect leads from a URL, as the client called it. */
function from(url: string, redirect: Partial<Redirect>, pathPrefix = ''): string {
  const [, scheme, authority = '', target = ''] = /^(https?):\/\/([^/]*)(\/.*)$/s.exec(url) ?? [];
  const origin = { scheme: scheme === 'http' ? 'http' : 'https', authority, pathPrefix } as const;
  return locationOf({ ...SAME, ...redirect }, { origin, target });
}

describe('a redirect', () => {
  test('changes what it names, and the rest stays as the client called it', () => {
    assert.equal(from('http://a.example/x?y=1', { scheme: 'https' }), 'https://a.example/x?y=1');
    assert.equal(from('https://a.example/x', { host: 'b.example' }), 'https://b.example/x');
    assert.equal(from('https://a.example/x?y', { path: { part: 'whole', to: '/new' } }), 'https://a.example/new?y');
  });

  test('has the port of its scheme where that is given, else the one that the client called; a default port is left out', () => {
    assert.equal(from('http://a.example:8080/x', { host: 'b.example' }), 'http://b.example:8080/x');
    assert.equal(from('https://a.example:8443/x', { path: { part: 'whole', to: '/y' } }), 'https://a.example:8443/y');
    assert.equal(from('http://a.example:8080/x', { scheme: 'https' }), 'https://a.example/x');
    assert.equal(from('http://a.example:8080/x', { scheme: 'http' }), 'http://a.example/x');
    assert.equal(from('http://a.example/x', { scheme: 'https', port: 8443 }), 'https://a.example:8443/x');
    assert.equal(from('http://a.example/x', { port: 8080 }), 'http://a.example:8080/x');
    assert.equal(from('http://a.example:8080/x', { port: 80 }), 'http://a.example/x');
    assert.equal(from('https://a.example/x', { port: 443 }), 'https://a.example/x');
    assert.equal(from('https://a.example/x', { port: 80 }), 'https://a.example:80/x');
    assert.equal(from('http://a.example/x', { port: 443 }), 'http://a.example:443/x');
    assert.equal(
      from('https://[2001:db8::1]:8443/x', { path: { part: 'whole', to: '/' } }),
      'https://[2001:db8::1]:8443/',
    );
    assert.equal(from('https://[2001:db8::1]/x', { port: 1 }), 'https://[2001:db8::1]:1/x');
  });

  test('replaces the front of a path by segments, without a double slash', () => {
    const replaced = (path: string, segments: number, to: string) =>
      from(`https://a.example${path}`, { path: front(segments, to) }).slice('https://a.example'.length);
    assert.equal(replaced('/one/x', 1, '/two'), '/two/x');
    assert.equal(replaced('/one', 1, '/two'), '/two');
    assert.equal(replaced('/one/', 1, '/two'), '/two/');
    assert.equal(replaced('/one/x', 1, ''), '/x');
    assert.equal(replaced('/one', 1, ''), '/');
    assert.equal(replaced('/x/y', 0, '/new'), '/new/x/y');
    assert.equal(replaced('/%6Fne;v=1/x%2Fy', 1, '/two'), '/two/x%2Fy');
  });

  test('shows the client the prefix that a proxy in front strips, unless it leads to another host', () => {
    assert.equal(from('https://a.example/x', { path: { part: 'whole', to: '/y' } }, '/api'), 'https://a.example/api/y');
    assert.equal(from('https://a.example/x', { host: 'b.example' }, '/api'), 'https://b.example/x');
  });

  test('encodes what no URI has, so that nothing ends the field or begins another', () => {
    assert.equal(
      from('https://a.example/x|y?z="<\xe4>`{}^\\', { port: 1 }),
      'https://a.example:1/x%7Cy?z=%22%3C%E4%3E%60%7B%7D%5E%5C',
    );
    assert.equal(
      from('https://a.example/x?a\r\nSet-Cookie: b', { port: 1 }),
      'https://a.example:1/x?a%0D%0ASet-Cookie:%20b',
    );
  });

  test('for any target, the host is the one of the origin or of the policy', () => {
    const piece = fc.constantFrom(
      '/',
      '//',
      '@',
      ':',
      'evil.example',
      '\\',
      '?',
      '%2F',
      '..',
      'a',
      ';',
      '&',
      '=',
      '\t',
      '\xff',
    );
    const target = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`);
    const origin = { scheme: 'https', authority: 'a.example', pathPrefix: '' } as const;
    fc.assert(
      fc.property(target, fc.constantFrom(undefined, 'b.example'), fc.boolean(), (raw, host, cut) => {
        fc.pre(readRequestPath(raw.split('?')[0] ?? '') !== undefined);
        const path = cut ? front(1, '') : undefined;
        const url = new URL(locationOf({ ...SAME, port: 8443, host, path }, { origin, target: raw }));
        assert.equal(url.host, `${host ?? 'a.example'}:8443`);
        assert.equal(url.username, '');
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a fixed answer', () => {
  const REQUEST = { origin: { scheme: 'https', authority: 'a.example', pathPrefix: '' }, target: '/' } as const;
  const GONE = { kind: 'respond', status: 503, body: 'Für später, 50 %', contentType: 'text/plain' } as const;

  test('is stored nowhere, and is no other type than it says', () => {
    assert.deepEqual(makeOwnAnswer(GONE, REQUEST), {
      status: 503,
      fields: [
        ['Content-Type', 'text/plain'],
        ['X-Content-Type-Options', 'nosniff'],
        ['Cache-Control', 'no-store'],
      ],
      body: 'Für später, 50 %',
    });
    const empty = { kind: 'respond', status: 204, body: '', contentType: undefined } as const;
    assert.deepEqual(makeOwnAnswer(empty, REQUEST).fields, [['Cache-Control', 'no-store']]);
  });

  test('has a status that gRPC clients understand, in trailers alone', () => {
    const grpc = { contentType: 'application/grpc+proto', web: false };
    const told = (status: number) => Object.fromEntries(makeOwnAnswer({ ...GONE, status }, REQUEST, grpc).fields);
    assert.deepEqual(told(503), {
      'Content-Type': 'application/grpc+proto',
      'grpc-status': '14',
      'grpc-message': 'F%C3%BCr sp%C3%A4ter, 50 %25',
      'Cache-Control': 'no-store',
    });
    assert.equal(told(404)['grpc-status'], '12');
    assert.equal(told(500)['grpc-status'], '13');
    assert.equal(told(418)['grpc-status'], '2', 'a status without a name: UNKNOWN');
    assert.equal(makeOwnAnswer({ ...GONE, status: 200 }, REQUEST, grpc).status, 200);
    assert.equal(told(200)['grpc-status'], undefined);
  });
});
