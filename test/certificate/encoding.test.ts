// The encodings of certificate fields at their limits, all of a value or nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readClientCert } from '../../src/certificate/client-cert.ts';
import { formatPem, readBase64, readPem, readPercentEncoded } from '../../src/certificate/encoding.ts';

const LIMIT = 65_536;

test('64 KiB are read, a character more is refused, however little it would decode to', () => {
  assert.equal(readBase64('A'.repeat(LIMIT))?.length, (LIMIT / 4) * 3);
  assert.equal(readBase64('A'.repeat(LIMIT + 4)), undefined);
  assert.equal(readPercentEncoded(`${'%41'.repeat(21_845)}A`), 'A'.repeat(21_846));
  assert.equal(readPercentEncoded('%41'.repeat(21_846)), undefined);
  assert.equal(readClientCert(`:${'A'.repeat(LIMIT - 2)}:`)?.length, (LIMIT / 4) * 3 - 2);
  assert.equal(readClientCert(` :${'A'.repeat(LIMIT - 2)}:`), undefined);
});

test('base64 is read with and without its padding, and with nothing else (RFC 9651 §4.2.7)', () => {
  for (const text of ['QQ', 'QQ==', 'QR']) assert.deepEqual(readBase64(text), Buffer.from('A'));
  for (const text of ['QUI', 'QUI=']) assert.deepEqual(readBase64(text), Buffer.from('AB'));
  for (const text of ['Q', 'QQ=', 'QUI==', 'Q===', '=', 'QUJD=', 'QQ==QQ==', 'QQ ', 'Q-', 'Q_'])
    assert.equal(readBase64(text), undefined, text);
});

test('PEM is read completely or not at all', () => {
  const block = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
  assert.deepEqual(readPem(`${block('QQ==')}${block('QUI=')}`), [Buffer.from('A'), Buffer.from('AB')]);
  for (const text of ['', `${block('QQ==')}${block('Q=Q=')}`, `${block('Q=Q=')}${block('QQ==')}`, `\n${block('QQ==')}`])
    assert.equal(readPem(text), undefined, text);
});

test('PEM is written in lines of 64 characters, a newline after each (RFC 7468 §2)', () => {
  for (const bytes of [1, 47, 48, 49, 96, 97]) {
    const lines = formatPem([Buffer.alloc(bytes)]).split('\n');
    const body = lines.slice(1, -2);
    assert.deepEqual(
      [lines[0], lines.at(-2), lines.at(-1)],
      ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', ''],
    );
    assert.ok(body.slice(0, -1).every((line) => line.length === 64) && (body.at(-1)?.length ?? 0) <= 64);
    assert.equal(body.join(''), Buffer.alloc(bytes).toString('base64'));
  }
});
