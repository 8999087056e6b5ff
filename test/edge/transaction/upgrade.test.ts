// The opening of a WebSocket: the example of RFC 6455 §1.3, and its near misses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readUpgrade, verifySwitch } from '../../../src/edge/transaction/upgrade.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ASKED = ['Host', 'a', 'Connection', 'Upgrade', 'UPGRADE', 'WebSocket', 'sec-websocket-key', KEY];
const GOOD = ['Upgrade', 'websocket', 'Sec-WebSocket-Accept', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='];

test('the example of RFC 6455 asks for a WebSocket, in any case of letters, with and without Content-Length: 0', () => {
  assert.equal(readUpgrade({ method: 'GET', httpVersion: '1.1', rawHeaders: ASKED }), KEY);
  const rawHeaders = [...ASKED, 'Content-Length', '0'];
  assert.equal(readUpgrade({ method: 'GET', httpVersion: '1.1', rawHeaders }), KEY);
});

test('another method, another version, a body, a second line or a bad key ask for none', () => {
  const others = [
    { method: 'HEAD', httpVersion: '1.1', rawHeaders: ASKED },
    { method: 'GET', httpVersion: '1.0', rawHeaders: ASKED },
    ...[
      ['Content-Length', '1'],
      ['Transfer-Encoding', 'chunked'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Key', KEY],
    ].map((more) => ({ method: 'GET', httpVersion: '1.1', rawHeaders: [...ASKED, ...more] })),
    ...['', 'x', `${KEY}, ${KEY}`, KEY.slice(0, -1), KEY.replace('Q==', 'R==')].map((key) => ({
      method: 'GET',
      httpVersion: '1.1',
      rawHeaders: [...ASKED.slice(0, -1), key],
    })),
  ];
  for (const request of others) assert.equal(readUpgrade(request), undefined, JSON.stringify(request));
});

test('the example of RFC 6455 answers it, and the same answer to another key does not', () => {
  assert.ok(verifySwitch(GOOD, KEY));
  assert.ok(!verifySwitch(GOOD, 'AAAAAAAAAAAAAAAAAAAAAA=='));
  assert.ok(!verifySwitch([], KEY));
});
