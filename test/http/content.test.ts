// Content of answers: codings, size limits, byte order marks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { decodeText, undoCoding } from '../../src/http/content.ts';

const TEXT = Buffer.from('x'.repeat(1000));

test('a coding that is known is undone', async () => {
  for (const coding of ['', 'identity', ' Identity ']) assert.equal(await undoCoding(TEXT, coding, 10), TEXT);
  for (const [coding, coded] of [
    ['gzip', gzipSync(TEXT)],
    ['X-GZip', gzipSync(TEXT)],
    ['deflate', deflateSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
  ] as const) {
    assert.deepEqual(await undoCoding(coded, coding, 1000), TEXT);
    await assert.rejects(undoCoding(coded, coding, 999), { code: 'ERR_BUFFER_TOO_LARGE' });
    await assert.rejects(undoCoding(coded.subarray(0, -4), coding, 1000));
  }
});

test('any other is not, two of them neither', async () => {
  for (const coding of ['zstd', 'compress', 'gzip, gzip', 'gzip;q=1', 'constructor'])
    assert.equal(await undoCoding(gzipSync(TEXT), coding, 1000), undefined, coding);
});

test('a byte order mark at the front is dropped, anywhere else it is text', () => {
  assert.equal(decodeText(Buffer.from('\uFEFF{}')), '{}');
  assert.equal(decodeText(Buffer.from('{"a":"\uFEFF"}')), '{"a":"\uFEFF"}');
  assert.equal(decodeText(Buffer.from('\uFEFF\uFEFFa')), '\uFEFFa');
  assert.equal(decodeText(undefined), '');
});
