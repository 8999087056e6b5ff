// Known methods, and request lines that the parser refused for another one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasUnknownMethod, isKnownMethod, type ParserError } from '../../src/http/method.ts';

const refused = (packet: string, bytesParsed: number, code = 'HPE_INVALID_METHOD') => {
  const error: ParserError = Object.assign(new Error(code), { code, rawPacket: Buffer.from(packet), bytesParsed });
  return hasUnknownMethod(error);
};

test('GET and PROPFIND are known, get and BREW are not', () => {
  assert.deepEqual(['GET', 'PROPFIND', 'get', 'BREW', ''].map(isKnownMethod), [true, true, false, false, false]);
});

test('an unknown method in a good request line, also behind another request', () => {
  assert.ok(refused('BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n', 1));
  assert.ok(refused('get / HTTP/1.0\r\n\r\n', 0));
  assert.ok(refused('GET / HTTP/1.1\r\nHost: a\r\n\r\nBREW / HTTP/1.1\r\n\r\n', 29));
  assert.ok(refused('PRI / HTTP/1.1\r\n\r\n', 16, 'HPE_INVALID_VERSION'));
});

for (const [what, packet, parsed, code] of [
  ['a TLS ClientHello', '\x16\x03\x01\x02\x00\x01 / HTTP/1.1\r\n', 0, 'HPE_INVALID_METHOD'],
  ['a line that does not end', 'BREW /pot HTTP/1.1', 1, 'HPE_INVALID_METHOD'],
  ['another version', 'GET / HTTP/9.9\r\n', 13, 'HPE_INVALID_VERSION'],
  ['two spaces', 'BREW  / HTTP/1.1\r\n', 1, 'HPE_INVALID_METHOD'],
  ['no version', 'BREW /\r\n', 1, 'HPE_INVALID_METHOD'],
  ['a known method', 'GET / HTTP/1.1\r\n', 3, 'HPE_INVALID_METHOD'],
  ['a chunk that looks like it', '0\r\nBREW / HTTP/1.1\r\n', 4, 'HPE_INVALID_CHUNK_SIZE'],
] as const) {
  test(`${what} is malformed`, () => assert.equal(refused(packet, parsed, code), false));
}
