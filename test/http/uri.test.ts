// URI grammar: one form for equals, refusal of what two servers read differently.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  hostOf,
  readAuthority,
  readDecodedPaths,
  readOrigin,
  readRequestPath,
  readTargetUri,
  targetUri,
} from '../../src/http/uri.ts';
import { cpuTime } from '../support/cpu-time.ts';

describe('authority', () => {
  const good: [string, 'http' | 'https', string][] = [
    ['api.example.com', 'https', 'api.example.com'],
    ['API.Example.COM:443', 'https', 'api.example.com'],
    ['api.example.com:', 'https', 'api.example.com'],
    ['api.example.com:80', 'http', 'api.example.com'],
    ['api.example.com:80', 'https', 'api.example.com:80'],
    ['api.example.com:08443', 'https', 'api.example.com:8443'],
    ['api.example.com.', 'https', 'api.example.com.'],
    ['[2001:DB8:0:0::1]:8443', 'https', '[2001:db8::1]:8443'],
    ['[::ffff:127.0.0.1]', 'https', '[::ffff:7f00:1]'],
    ['127.0.0.1:65535', 'https', '127.0.0.1:65535'],
    // Names, not addresses: whoever reads them as 127.0.0.1 is more lenient than RFC 3986 §3.2.2.
    ['127.1', 'https', '127.1'],
    ['0x7F.1', 'https', '0x7f.1'],
    ['x'.repeat(300), 'https', 'x'.repeat(300)],
  ];
  for (const [text, scheme, expected] of good) {
    test(`${text.slice(0, 40)} under ${scheme} is ${expected.slice(0, 40)}`, () =>
      assert.equal(readAuthority(text, scheme), expected));
  }
  const bad = [
    '',
    ':443',
    'user@api.example.com',
    'user:pw@api.example.com',
    'api.example.com/',
    'api.example.com?x',
    'api.example.com#x',
    'api.example.com:65536',
    'api.example.com:99999999999',
    'api.example.com:8a',
    'api.example.com:-1',
    'a b',
    'api%2eexample.com',
    '[fe80::1%25eth0]',
    '[fe80::1%eth0]',
    '[v1.x]',
    '[::1',
    '::1',
    '[]',
    '[1]',
    '[1]:8443',
    '[1:2:3:4:5:6:7:8:9]',
    'api.example.com:443:443',
    'ä.example.com',
    'api.example.com\t',
    'x'.repeat(301),
    'a\\b',
  ];
  for (const text of bad) {
    test(`${JSON.stringify(text.slice(0, 40))} is refused`, () =>
      assert.equal(readAuthority(text, 'https'), undefined));
  }
  test('the host of an authority is without its port, IPv6 with its brackets', () => {
    assert.equal(hostOf('api.example.com:8443'), 'api.example.com');
    assert.equal(hostOf('[2001:db8::1]:8443'), '[2001:db8::1]');
    assert.equal(hostOf('[2001:db8::1]'), '[2001:db8::1]');
  });
});

describe('request path', () => {
  const good: [string, string, string, boolean][] = [
    ['/', '/', '/', false],
    ['/orders/', '/orders/', '/orders/', false],
    ['/%6frders/%7E%2d', '/orders/~-', '/orders/~-', false],
    ['/a%c3%a4', '/a%C3%A4', '/a%C3%A4', false],
    ['/a;v=1/b;x;y', '/a;v=1/b;x;y', '/a/b', false],
    ['/a%2fb', '/a%2Fb', '/a%2Fb', true],
    ['/.well-known/x', '/.well-known/x', '/.well-known/x', false],
    ['/a/...', '/a/...', '/a/...', false],
    ['/%252e%252e/', '/%252e%252e/', '/%252e%252e/', false],
    ["/!$&'()*+,=:@", "/!$&'()*+,=:@", "/!$&'()*+,=:@", false],
    ['/a|b/{c}', '/a%7Cb/%7Bc%7D', '/a%7Cb/%7Bc%7D', false],
    ['/a%7cb', '/a%7Cb', '/a%7Cb', false],
  ];
  for (const [raw, path, matchPath, encodedSlash] of good) {
    test(`${raw} is compared as ${path} and matched as ${matchPath}`, () =>
      assert.deepEqual(readRequestPath(raw), { path, matchPath, encodedSlash }));
  }
  const bad = [
    '',
    'orders',
    '*',
    '//',
    '//orders',
    '/a//b',
    '/a//',
    '/.',
    '/..',
    '/./a',
    '/a/..',
    '/a/../b',
    '/%2e%2e/a',
    '/%2E/a',
    '/.%2e/a',
    '/..;/a',
    '/..;x=1',
    '/.;',
    '/%2e%2e;a/b',
    '/a/;x/b',
    '/..%3Bx/b',
    '/a%2f..%2fb',
    '/a%2F.',
    '/%',
    '/%4',
    '/%zz',
    '/%u0041',
    '/a%00',
    '/a%1f',
    '/a%7f',
    '/a%0d%0ab',
    '/a%5cb',
    '/a\\b',
    '/a#b',
    '/a b',
    '/ä',
    '/a\u0000',
    '/a?b',
    '/%2e%2e%2fa',
    '/%c0%ae%c0%ae/a',
    '/a%C1%9Cb',
    '/%e0%80%ae/a',
    '/%f0%80%80%ae/a',
    '/%f8%80%80%80%ae/a',
    '/%f8%87%80%80%ae/a',
    '/%fc%80%80%80%80%ae/a',
    '/%fc%83%80%80%80%ae/a',
  ];
  for (const raw of bad) {
    test(`${JSON.stringify(raw)} is refused`, () => assert.equal(readRequestPath(raw), undefined));
  }
  test('no path that is read can climb, whatever an upstream decodes, and reading its own form changes nothing', () => {
    const pieces = ['/', '.', '%2e', '%2F', '%5c', ';', '%3b', 'a', '%41', '%25', '\\', '%', '#', '?'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
        const read = readRequestPath(`/${parts.join('')}`);
        if (read === undefined) return;
        const decoded = read.path
          .replace(/%[0-9A-F]{2}/g, (triplet) => String.fromCharCode(Number.parseInt(triplet.slice(1), 16)))
          .split('/')
          .map((segment) => segment.replace(/;.*/, ''));
        assert.ok(!decoded.includes('..') && !decoded.includes('.'), read.path);
        assert.deepEqual(readRequestPath(read.path)?.path, read.path);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('a path as servers see it that decode delimiters before they split', () => {
  const decoded: [string, string[]][] = [
    ['/a%2Fb', ['/a/b', '/a/b']],
    ['/a%2F%2Fb', ['/a/b', '/a/b']],
    ['/a%2F', ['/a/', '/a/']],
    ['/%2F%2Fa', ['/a', '/a']],
    ['/a%3Bv/b', ['/a/b', '/a/b']],
    ['/a%3Fb%2Fc', ['/a%3Fb/c', '/a']],
    ['/a%23b', ['/a%23b', '/a']],
    ['/a/%3Fb%3Fc', ['/a/%3Fb%3Fc', '/a/']],
  ];
  for (const [path, expected] of decoded) {
    test(`${path} may be ${expected.join(' or ')}`, () => assert.deepEqual(readDecodedPaths(path), expected));
  }
  for (const path of ['/', '/a/b', '/a;v/b', '/a%20b', '/%252F']) {
    test(`${path} is what everybody sees`, () => assert.deepEqual(readDecodedPaths(path), []));
  }
});

describe('target URI', () => {
  test('is the origin as clients see it, with the prefix that a proxy in front stripped', () => {
    const origin = { scheme: 'https', authority: 'api.example.com', pathPrefix: '/shop' } as const;
    assert.equal(targetUri(origin, '/orders/1'), 'https://api.example.com/shop/orders/1');
  });
  test('an htu without path means the root', () => {
    assert.equal(readTargetUri('https://api.example.com'), 'https://api.example.com/');
    assert.equal(readTargetUri('https://api.example.com?x=/'), 'https://api.example.com/');
  });
  const spelled: [htu: string, expected: string][] = [
    ['https://a/ä', 'https://a/%C3%A4'],
    ['https://a/[x]"{y} |', 'https://a/%5Bx%5D%22%7By%7D%20%7C'],
    ['https://a/?{ä|%zz', 'https://a/'],
    ['https://a#?/b', 'https://a/'],
    ['https://a/b/../c/./d', 'https://a/c/d'],
    ['https://a/b/..', 'https://a/'],
    ['https://a/b/.', 'https://a/b/'],
    ['https://a/..', 'https://a/'],
    ['https://a/../../b', 'https://a/b'],
    ['https://a/b//../c', 'https://a/b/c'],
    ['https://a/%2e%2E/b', 'https://a/b'],
    ['https://a/.b/..c/...', 'https://a/.b/..c/...'],
    ['https://a/b/..;x/c', 'https://a/b/..;x/c'],
  ];
  for (const [htu, expected] of spelled) {
    test(`${htu} is compared as ${expected}`, () => assert.equal(readTargetUri(htu), expected));
  }
  test('what was read reads as itself, and equals what other implementations of RFC 3986 §5.2.4 make of it', () => {
    const pieces = ['/', '.', '..', '%2e', 'a', 'é', ' ', '|', '%7c', ';', '%2F', '?', '#'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
        const htu = `https://a.example/${parts.join('')}`;
        const read = readTargetUri(htu);
        assert.ok(read);
        assert.equal(readTargetUri(read), read);
        // WHATWG takes blanks off the end, and leaves some characters raw that RFC 3986 does not have.
        const { origin, pathname } = new URL(htu.replace(/ +$/, (blanks) => '%20'.repeat(blanks.length)));
        assert.equal(read, readTargetUri(origin + pathname));
      }),
      { numRuns: 5000 },
    );
  });
  test('http has its own default port', () => {
    assert.equal(readTargetUri('http://api.example.com:80/a'), 'http://api.example.com/a');
    assert.equal(readTargetUri('http://api.example.com:443/a'), 'http://api.example.com:443/a');
  });
  for (const htu of [
    'ftp://a/',
    'xhttps://a/',
    'x:https://a/',
    'https://',
    'https:///a',
    'https://a/%',
    'https://ä.example/',
    'https://a b/',
    'https://a\\b',
    'https://%61/',
    'https://a/\udc00',
    ' https://a/',
    'javascript:x',
  ]) {
    test(`${htu} is no target URI`, () => assert.equal(readTargetUri(htu), undefined));
  }
  test('reading costs the same per byte for the longest and oddest input', () => {
    for (const text of ['%41', '%', '/', 'a', ':', '#?', '%2e', '/.', '/..', 'é', '|', ' a']) {
      const cost = cpuTime(() => {
        readTargetUri(`https://a/${text.repeat(100_000)}`);
        readRequestPath(`/${text.repeat(100_000)}`);
      });
      assert.ok(cost < 1000, `${text}: ${cost} ms`);
    }
  });
});

describe('configured origin', () => {
  test('scheme, authority, prefix and wildcard are read', () => {
    assert.deepEqual(readOrigin('https://API.example.com:443/shop/'), {
      scheme: 'https',
      authority: 'api.example.com',
      pathPrefix: '/shop',
      wildcard: false,
    });
    assert.deepEqual(readOrigin('https://*.example.com:8443'), {
      scheme: 'https',
      authority: '*.example.com:8443',
      pathPrefix: '',
      wildcard: true,
    });
  });
  test('stars stand for labels, for a host, and for its port', () => {
    const read = [
      ['https://**.Example.com:443/v1/', '**.example.com', '/v1'],
      ['https://*', '*', ''],
      ['https://*:443', '*', ''],
      ['http://*:443/', '*:443', ''],
      ['https://*:8443', '*:8443', ''],
      ['http://*:*/shop', '*:*', '/shop'],
    ] as const;
    for (const [text, authority, pathPrefix] of read) {
      const scheme = text.startsWith('https') ? 'https' : 'http';
      assert.deepEqual(readOrigin(text), { scheme, authority, pathPrefix, wildcard: true }, text);
    }
  });
  test('an http origin is read as one', () => {
    const origin = { scheme: 'http', authority: 'localhost:8080', pathPrefix: '', wildcard: false };
    assert.deepEqual(readOrigin('http://localhost:8080'), origin);
    assert.equal(readOrigin('http://localhost:80')?.authority, 'localhost');
  });
  for (const text of [
    'api.example.com',
    'xhttps://a',
    'https://a@b',
    'https://a?x',
    'https://a#x',
    'https://**',
    'https://*:',
    'https://*:65536',
    'https://*.example.com:*',
    'https://*a',
    'https://***.a',
    'https://*@a',
    'https://a.*.b',
    'https://a/../b',
    'ws://a',
    'https://a/%2F',
  ]) {
    test(`${text} is no origin`, () => assert.equal(readOrigin(text), undefined));
  }
});
