// Useless bytes and connections: plaintext, garbage, slowness, floods.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { portOf } from '../support/gateway.ts';
import { Client, HOST, reasonOf, type Rig, SMUGGLED, startRig, statusOf } from './rig.ts';
import { readAnswers } from './wire.ts';

/** A TCP connection without TLS to the TLS port. */
async function openTcp(rig: Rig): Promise<Client> {
  const socket = connect(portOf(rig.gateway.running.listeners[0]?.bind), '127.0.0.1');
  await once(socket, 'connect');
  return new Client(socket);
}

async function assertServes(rig: Rig): Promise<void> {
  const [answer] = await (await rig.open(`GET /alive HTTP/1.1\r\n${HOST}\r\n`)).answers(1);
  assert.equal(answer && statusOf(answer), 200);
  assert.ok(rig.upstream.seen.includes('GET /alive HTTP/1.1'));
}

const PLAIN_HTTP: Readonly<Record<string, string>> = {
  'a plain request': SMUGGLED,
  'two of them': SMUGGLED + SMUGGLED,
  'a plain request for another host': 'GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n',
  'an upgrade': `GET / HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n`,
  'half a request': 'POST / HTTP/1.1\r\n',
};

// Decision 100: in one answer, whatever follows its first line.
test('plain HTTP on a TLS port is told that it needs TLS, once, reaches nobody, and is one failed handshake each', async (t) => {
  const rig = await startRig(t);
  for (const [what, bytes] of Object.entries(PLAIN_HTTP)) {
    const client = await openTcp(rig);
    const { messages, rest, broken } = readAnswers(await client.send(bytes).toEnd());
    assert.deepEqual(
      [messages.map((answer) => [statusOf(answer), reasonOf(answer)]), rest, broken],
      [[[400, 'tls_required']], '', undefined],
      what,
    );
  }
  assert.equal(rig.upstream.text, '');
  await assertServes(rig);
  assert.equal(rig.gateway.log.filter(({ msg }) => msg === 'handshake refused').length, Object.keys(PLAIN_HTTP).length);
});

const NO_TLS: Readonly<Record<string, string>> = {
  garbage: '\x00\x01\x02\x03'.repeat(100),
  'a TLS record of the wrong version': '\x16\x09\x09\x00\x05hello',
  'an alert': '\x15\x03\x03\x00\x02\x02\x28',
  'application data before a handshake': '\x17\x03\x03\x00\x05hello',
  'a ClientHello that is none': `\x16\x03\x01\x00\xc8\x01\x00\x00\xc4${'\xff'.repeat(196)}`,
  'SSL 2': '\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10'.padEnd(48, '\x01'),
  'a PROXY line': `PROXY TCP4 10.0.0.1 10.0.0.2 1 443\r\n${SMUGGLED}`,
};

test('what is neither TLS nor HTTP on a TLS port gets no HTTP answer, reaches nobody, and is one line in the log', async (t) => {
  const rig = await startRig(t);
  for (const [what, bytes] of Object.entries(NO_TLS)) {
    const client = await openTcp(rig);
    const text = await client.send(bytes).toEnd();
    assert.doesNotMatch(text, /HTTP/, what);
    client.socket.destroy();
  }
  assert.equal(rig.upstream.text, '');
  await assertServes(rig);
  assert.equal(rig.gateway.log.filter(({ msg }) => msg === 'handshake refused').length, Object.keys(NO_TLS).length);
});

test('clients that are slow with TLS, the request line, the fields or Host are cut off at header_timeout, all at once', async (t) => {
  const rig = await startRig(t, { listener: 'limits: { header_timeout: 800ms }' });
  const silent = await openTcp(rig);
  const halfHello = (await openTcp(rig)).send('\x16\x03\x01\x02\x00\x01');
  const slow = await Promise.all(
    ['', '\r\n', 'GE', 'GET /x HTTP/1.1\r\n', `GET /x HTTP/1.1\r\n${HOST}X: `].map((bytes) => rig.open(bytes)),
  );
  const trickling = await rig.open(`GET /x HTTP/1.1\r\n${HOST}X: `);
  const timer = setInterval(() => trickling.socket.write('x'), 20);
  const texts = await Promise.all([...slow, trickling].map((client) => client.toEnd())).finally(() =>
    clearInterval(timer),
  );
  for (const text of texts) assert.match(text, /^(?:HTTP\/1\.1 408 [^]*request_timed_out[^]*)?$/);
  assert.match(texts.at(-1) ?? '', /^HTTP\/1\.1 408 /);
  assert.equal(await silent.toEnd(), '');
  assert.doesNotMatch(await halfHello.toEnd(), /HTTP/);
  assert.equal(rig.upstream.text, '');
  await assertServes(rig);
});

test('over limits.connections nobody gets in, nobody who is in is disturbed, and the next one gets in when one leaves', async (t) => {
  const rig = await startRig(t, { listener: 'limits: { connections: 20 }' });
  const inside = await Promise.all(Array.from({ length: 20 }, () => rig.open()));
  const outside = await Promise.all(Array.from({ length: 30 }, () => openTcp(rig)));
  for (const client of outside) assert.equal(await client.toEnd(), '');
  const port = portOf(rig.gateway.running.listeners[0]?.bind);
  const idle = connect(port, '127.0.0.1').on('error', () => {});
  await once(idle, 'close');
  const [first, ...others] = inside;
  for (const client of others) client.send(`GET /inside HTTP/1.1\r\n${HOST}\r\n`);
  for (const client of others) assert.deepEqual((await client.answers(1)).map(statusOf), [200]);
  const left = first && once(first.socket, 'close');
  first?.socket.end();
  await left;
  while ((await rig.gateway.count('holdfast_connections')) >= 20) await new Promise(setImmediate);
  await assertServes(rig);
});

test('a client that sends every byte on its own, or all of them at once with a thousand empty lines before, is served', async (t) => {
  const rig = await startRig(t);
  const client = await rig.open('\r\n'.repeat(1000));
  for (const byte of `POST /x HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nabc`) client.send(byte);
  assert.deepEqual((await client.answers(1)).map(statusOf), [200]);
  assert.equal(rig.upstream.requests[0]?.body, 'abc');
});

test('the answer to bytes that are no request is written once, whatever comes behind them', async (t) => {
  const rig = await startRig(t);
  for (const bytes of [
    'GET\r\n\r\n',
    '\x16\x03\x01',
    `GET /x HTTP/1.1\r\n\r\n`,
    `POST /x HTTP/1.1\r\n${HOST}Content-Length: x\r\n\r\n`,
  ]) {
    const client = await rig.open(bytes);
    for (let again = 0; again < 50; again += 1) client.send(SMUGGLED);
    const text = await client.toEnd();
    assert.equal(text.split('HTTP/1.1 400 ').length, 2, bytes);
    assert.equal(/"reason":"(\w+)"/.exec(text)?.[1], 'request_malformed');
  }
  assert.equal(rig.upstream.text, '');
});

test('half a request and then the end of the connection is no request', async (t) => {
  const rig = await startRig(t);
  for (const bytes of ['GET /x HTTP/1.1', `GET /x HTTP/1.1\r\n${HOST}`, `GET /x HTTP/1.1\r\n${HOST}X: y\r\n`]) {
    const client = await rig.open(bytes);
    client.socket.end();
    assert.doesNotMatch(await client.toEnd(), / 200 /);
  }
  assert.equal(rig.upstream.text, '');
});

test('a request refused before its headers end gives its reason and no more', async (t) => {
  const rig = await startRig(t, { listener: 'limits: { header_size: 1KiB }' });
  const client = await rig.open(`GET /x HTTP/1.1\r\n${HOST}X: ${'x'.repeat(5000)}`);
  const text = await client.toEnd();
  assert.match(text, /^HTTP\/1\.1 431 /);
  assert.equal(reasonOf({ start: '', lines: [], body: text, trailers: '' }), 'header_too_large');
  assert.doesNotMatch(text, /xxx/);
});
