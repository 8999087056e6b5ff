// Readers of first bytes: whole ClientHellos, pieces of them, and other things.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { before, test } from 'node:test';
import { connect } from 'node:tls';
import { type FirstBytes, firstBytesReader } from '../../../src/edge/listen/client-hello.ts';

let hello: Buffer;

const readFirstBytes = (bytes: Buffer): FirstBytes | undefined => firstBytesReader()(bytes);

before(async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const [socket] = await once(server, 'connection');
  [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
});

/** The same message in records of so many bytes. */
function inRecords(size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
  }
  return Buffer.concat(records);
}

test('one of a TLS client is whole with its last byte and not before, in however many records', () => {
  for (const bytes of [hello, inRecords(hello.length >> 1), inRecords(300), inRecords(7), inRecords(1)]) {
    const read = firstBytesReader();
    for (let length = 0; length < bytes.length; length += 1)
      assert.equal(read(bytes.subarray(0, length)), undefined, `${length}`);
    assert.equal(read(bytes), 'client_hello');
    assert.equal(readFirstBytes(bytes), 'client_hello', 'all at once');
    assert.equal(readFirstBytes(Buffer.concat([bytes, bytes])), 'client_hello');
  }
});

test('what is no handshake is left to TLS at once', () => {
  for (const text of [
    '\x15\x03\x03',
    '\x80\x2e\x01',
    '\x16\x03\x01\x00\x05\x02',
    'PRI * HTTP/2.0',
    'PROXY TCP4 192.0.2.1',
    'SSH-2.0-client',
    'get / HTTP/1.1',
    'A'.repeat(20),
  ])
    assert.equal(readFirstBytes(Buffer.from(text, 'latin1')), 'other', text);
});

test('a request without TLS is known by its method and the first character of its target', () => {
  for (const text of ['GET / HTTP/1.1\r\n', 'OPTIONS *', 'POST http://x', 'CONNECT api.example.com:443', 'PROPFIND /'])
    assert.equal(readFirstBytes(Buffer.from(text)), 'plain', text);
  for (const text of ['G', 'GET', 'GET ', 'PRI ', 'PROPFIND '])
    assert.equal(readFirstBytes(Buffer.from(text)), undefined, text);
});

test('one that never ends is too long, and so are records without a byte', () => {
  const endless = Buffer.concat([Buffer.from([22, 3, 1, 0xff, 0xff, 1, 255, 255, 255]), Buffer.alloc(40_000)]);
  assert.equal(readFirstBytes(endless.subarray(0, 30_000)), undefined);
  assert.equal(readFirstBytes(endless), 'too_long');
  const empty = Buffer.concat(Array.from({ length: 7000 }, () => Buffer.from([22, 3, 1, 0, 0])));
  assert.equal(readFirstBytes(empty.subarray(0, 30_000)), undefined);
  assert.equal(readFirstBytes(empty), 'too_long');
});
