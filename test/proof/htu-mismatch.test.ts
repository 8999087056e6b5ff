// The refusal of another htu: the part that differs, both URIs, no secrets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { htuMismatch } from '../../src/proof/htu-mismatch.ts';

const TARGET = 'https://api.example.com/orders/1';
const SECRET = /secret/i;

test('the first part that differs is named, and the two values are never the same', () => {
  for (const [target, htu, differs] of [
    [TARGET, 'http://api.example.com/orders/1', 'scheme'],
    [TARGET, 'http://api.example.com:443/orders/1', 'scheme'],
    [TARGET, 'wss://api.example.com/orders/1', 'scheme'],
    [TARGET, 'https://gateway.internal/orders/1', 'host'],
    [TARGET, 'https://api.example.com./orders/1', 'host'],
    [TARGET, 'https://api.example.com:8443/orders/1', 'port'],
    ['https://api.example.com:8443/orders/1', TARGET, 'port'],
    ['https://[2001:db8::1]:8443/', 'https://[2001:db8::1]/', 'port'],
    ['https://[2001:db8::1]/', 'https://[2001:db8::2]/', 'host'],
    [TARGET, 'https://api.example.com/orders/2', 'path'],
    [TARGET, 'https://api.example.com', 'path'],
    [TARGET, 'https://api.example.com/orders/1/', 'trailing slash'],
    [`${TARGET}/`, TARGET, 'trailing slash'],
    [TARGET, 'https://api.example.com/Orders/1', 'case'],
    [TARGET, 'https://api.example.com/orders/1%3Fpage=2', 'query'],
    [TARGET, 'https://api.example.com/orders/1%3fpage=2', 'query'],
    ['https://api.example.com/a%2Fb', 'https://api.example.com/a/b', 'encoding'],
    ['https://api.example.com/a%20b', 'https://api.example.com/a%2520b', 'path'],
    [TARGET, 'https://api.example.com/orders/1%zz', 'path'],
  ] as const) {
    assert.deepEqual(htuMismatch(target, htu), { what: 'htu', differs, expected: target, received: htu });
  }
});

test('what can hold a secret is left out: userinfo is stars, and query and fragment are cut', () => {
  for (const [htu, received] of [
    ['https://other.example/a?secret=1#secret', 'https://other.example/a'],
    ['https://user:secret@api.example.com/orders/2', 'https://***@api.example.com/orders/2'],
    ['https://secret@secret@api.example.com/orders/2', 'https://***@api.example.com/orders/2'],
    ['https://api.example.com?/secret', 'https://api.example.com'],
    ['/orders/1?secret#secret', '/orders/1'],
  ] as const) {
    assert.equal(htuMismatch(TARGET, htu).received, received);
  }
});

test('userinfo is named, and shows as what makes the two different', () => {
  for (const htu of ['https://user@api.example.com/orders/1', 'https://user:secret\\@api.example.com/orders/1']) {
    const received = 'https://***@api.example.com/orders/1';
    assert.deepEqual(htuMismatch(TARGET, htu), { what: 'htu', differs: 'userinfo', expected: TARGET, received });
  }
});

test('what is not a URI to compare is named so, and shown only where it cannot hide a password', () => {
  for (const [htu, received] of [
    ['', ''],
    ['secret', ''],
    ['/orders/1', '/orders/1'],
    ['//secret@api.example.com/orders/1', ''],
    ['/orders@secret', '/orders'],
    ['secret https://other.example/a', ''],
    ['https:/api.example.com/secret', ''],
    ['https://user:secret/@api.example.com/orders/1', ''],
    ['https://sécret.example/secret', ''],
    ['https:///secret', ''],
  ] as const) {
    assert.deepEqual(htuMismatch(TARGET, htu), { what: 'htu', differs: 'form', expected: TARGET, received }, htu);
  }
});

test('of a long one the place where it differs is shown, and characters that nobody would see are escaped', () => {
  const same = 'a'.repeat(1000);
  const { expected, received } = htuMismatch(`${TARGET}/${same}b`, `${TARGET}/${same}c${'d'.repeat(5000)}`);
  assert.ok(received.length < 300, String(received.length));
  assert.match(received, /^…a+cd+…$/);
  assert.equal(expected.length, TARGET.length + 1002, 'what is our own is not cut here');
  const hidden = htuMismatch(TARGET, `${TARGET}\u200b`);
  assert.deepEqual([hidden.differs, hidden.received], ['path', `${TARGET}\\u200b`]);
});

test('nothing of it is ever a secret', () => {
  for (const htu of [
    'https://a:SECRET@x/',
    'https://x/?SECRET',
    'https://x/#SECRET',
    'SECRET://',
    'https://SECRET@/x',
    '/x?SECRET',
    '/x@SECRET',
  ]) {
    assert.doesNotMatch(JSON.stringify(htuMismatch(TARGET, htu)), SECRET, htu);
  }
});
