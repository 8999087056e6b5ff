// The difference in one word, and values of strangers cut and escaped.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mismatch, mismatchOfAll, untrusted } from '../../src/rejection/difference.ts';

const ISSUER = 'https://login.example.com';

test('one word says what differs from the nearest value that would do', () => {
  for (const [expected, received, differs] of [
    [[ISSUER], `${ISSUER}/`, 'trailing slash'],
    [[`${ISSUER}/`], ISSUER, 'trailing slash'],
    [[ISSUER], 'https://Login.example.com', 'case'],
    [[ISSUER], ` ${ISSUER}`, 'white space'],
    [[ISSUER], 'http://login.example.com', 'scheme'],
    [[ISSUER], `${ISSUER}:8443`, 'port'],
    [[ISSUER], `${ISSUER}/realms/a`, 'path'],
    [[ISSUER], `${ISSUER}?tenant=a`, 'query'],
    [[ISSUER], 'https://other.example.com', 'host'],
    [[ISSUER], 'login', 'form'],
    [['orders'], 'Orders', 'case'],
    [['orders'], 'payments', 'value'],
    [['https://other.example.com', ISSUER], `${ISSUER}/`, 'trailing slash'],
    [[ISSUER], undefined, 'missing'],
  ] as const) {
    assert.equal(mismatch('iss', expected, received).differs, differs, received ?? 'missing');
  }
});

test('of several values the one that nearly fits decides, and all are shown', () => {
  const facts = mismatchOfAll('aud', ['orders'], ['payments', 'ORDERS']);
  assert.deepEqual(facts, { what: 'aud', differs: 'case', expected: ['orders'], received: 'payments, ORDERS' });
  assert.equal(mismatchOfAll('aud', ['orders'], []).differs, 'missing');
});

test('a value of a stranger is short, and visible ASCII but for the mark of a cut', () => {
  assert.equal(untrusted('a\r\nX-Admin: 1\u001b[31m\u202e'), 'a\\u000d\\u000aX-Admin: 1\\u001b[31m\\u202e');
  assert.equal(untrusted('x'.repeat(300)), `${'x'.repeat(256)}…`);
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 2000 }),
      fc.nat(2000),
      fc.constantFrom(32, 256),
      (text, from, most) => {
        const shown = untrusted(text, most, from);
        assert.match(shown, /^[\x20-\x7e…]*$/);
        assert.ok(shown.length <= 2 * most + 2, String(shown.length));
        if (text !== '' && from < text.length) assert.match(shown, /[^…]/);
      },
    ),
  );
});

test('what is shown as received is never what was expected', () => {
  const unit = fc.constantFrom('a', 'A', '/', '.', ':', '%', 'é', ' ', '\u200b');
  const text = fc.string({ unit, maxLength: 600 }).map((made) => `https://${made}`);
  fc.assert(
    fc.property(text, text, (expected, received) => {
      if (expected === received) return;
      assert.notEqual(mismatch('x', [expected], received).received, expected);
    }),
  );
  const long = 'y'.repeat(1000);
  assert.notEqual(mismatch('x', [`${long}1`], `${long}2`).received, `${long}1`);
});
