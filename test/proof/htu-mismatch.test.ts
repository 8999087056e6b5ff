// The refusal of another htu: the part that differs, both URIs, no secrets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { htuMismatch } from '../../src/proof/htu-mismatch.ts';

const TARGET = 'https://api.example.com/orders/1';
const SECRET = /secret/i;

test('the first part that differs is named, and the two values are never the same', () => {
  for (const [target, htu, what] of [
    [TARGET, 'http://api.example.com/orders/1', 'scheme'],
    [TARGET, 'http://api.example.com:443/orders/1', 'scheme'],
    [TARGET, 'https://gateway.internal/orders/1', 'host'],
    [TARGET, 'https://api.example.com./orders/1', 'host'],
    [TARGET, 'https://api.example.com:8443/orders/1', 'port'],
    ['https://api.example.com:8443/orders/1', TARGET, 'port'],
    ['https://[2001:db8::1]:8443/', 'https://[2001:db8::1]/', 'port'],
    ['https://[2001:db8::1]/', 'https://[2001:db8::2]/', 'host'],
    [TARGET, 'https://api.example.com/orders/2', 'path'],
    [TARGET, 'https://api.example.com/orders/1/', 'path'],
    [TARGET, 'https://api.example.com/Orders/1', 'path'],
  ] as const) {
    const facts = htuMismatch(target, htu);
    assert.deepEqual(facts, { what, htu: { expected: target, received: htu } });
    assert.notEqual(facts.htu?.expected, facts.htu?.received);
  }
});

test('userinfo, query and fragment are left out', () => {
  for (const [htu, received] of [
    ['https://other.example/a?secret=1#secret', 'https://other.example/a'],
    ['https://user:secret@api.example.com/orders/1', TARGET],
    ['https://secret@secret@api.example.com/orders/1', TARGET],
    ['https://api.example.com?/secret', 'https://api.example.com'],
  ] as const) {
    assert.equal(htuMismatch(TARGET, htu).htu?.received, received);
  }
});

test('userinfo is named: without it, nothing else may differ', () => {
  for (const htu of ['https://user@api.example.com/orders/1', 'https://user:secret\\@api.example.com/orders/1']) {
    assert.deepEqual(htuMismatch(TARGET, htu), { what: 'userinfo', htu: { expected: TARGET, received: TARGET } });
  }
});

test('what is not a URI to compare is named so, and shown only where its authority is one', () => {
  for (const htu of [
    '',
    'secret',
    '/secret',
    'secret https://other.example/a',
    'https:/api.example.com/secret',
    'https://user:secret/@api.example.com/orders/1',
    'https://sécret.example/secret',
    'https:///secret',
  ]) {
    const { what, htu: shown } = htuMismatch(TARGET, htu);
    assert.equal(what, 'htu', htu);
    assert.deepEqual(shown, { expected: TARGET, received: '' }, htu);
  }
  assert.equal(htuMismatch(TARGET, 'ftp://api.example.com/orders/1').htu?.received, 'ftp://api.example.com/orders/1');
});

test('at most 256 characters are shown of each', () => {
  const { htu } = htuMismatch(`${TARGET}/${'a'.repeat(300)}`, `https://other.example/${'b'.repeat(300)}`);
  assert.deepEqual([htu?.expected.length, htu?.received.length], [256, 256]);
});

test('nothing of it is ever a secret', () => {
  for (const htu of [
    'https://a:SECRET@x/',
    'https://x/?SECRET',
    'https://x/#SECRET',
    'SECRET://',
    'https://SECRET@/x',
  ]) {
    assert.doesNotMatch(JSON.stringify(htuMismatch(TARGET, htu)), SECRET, htu);
  }
});
