// Ways past the gateway through an upgrade, refused or failed.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { echo, fieldOf, HOST, perRequest, reasonOf, type Script, SMUGGLED, startRig, statusOf } from './rig.ts';
import { readAnswers } from './wire.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const HANDSHAKE = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n`;
const opening = (path: string, lines = HANDSHAKE, start = 'GET') => `${start} ${path} HTTP/1.1\r\n${HOST}${lines}\r\n`;
const switching = (lines: string) => `HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`;
const SWITCH = switching(`Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`);
const answering = (bytes: string): Script => perRequest(({ socket }) => void socket.write(bytes, 'latin1'));

test('what follows a refused upgrade is never taken for a request, and nothing reaches the upstream', async (t) => {
  const rig = await startRig(t);
  for (const [path, reason] of [
    ['/admin/1', 'credentials_missing'],
    ['//x', 'request_malformed'],
    ['/token/1', 'credentials_missing'],
  ] as const) {
    const client = await rig.open(opening(path) + SMUGGLED);
    await client.answers(1);
    client.send(SMUGGLED + SMUGGLED);
    const answers = readAnswers(await client.toEnd());
    assert.deepEqual(answers.messages.map(reasonOf), [reason]);
    assert.equal(answers.rest, '');
  }
  assert.equal(rig.upstream.text, '');
});

test('what follows an upgrade that the upstream declines never reaches it', async (t) => {
  const rig = await startRig(t);
  for (const status of [200, 400, 403, 426, 500]) {
    const before = rig.upstream.connections.length;
    rig.upstream.script = answering(`HTTP/1.1 ${status} x\r\nContent-Length: 2\r\n\r\nno`);
    const client = await rig.open(opening('/x') + SMUGGLED);
    await client.answers(1);
    client.send(SMUGGLED);
    const { messages, rest } = readAnswers(await client.toEnd());
    assert.deepEqual([messages.map(statusOf), messages.map(({ body }) => body), rest], [[status], ['no'], '']);
    assert.deepEqual(
      messages.flatMap((message) => fieldOf(message, 'connection')),
      ['close'],
    );
    assert.equal(rig.upstream.connections.length, before + 1);
  }
  assert.doesNotMatch(rig.upstream.text, /smuggled/);
  assert.deepEqual(new Set(rig.upstream.seen), new Set(['GET /x HTTP/1.1']));
});

const PROXIED = `- name: public
  bind: "127.0.0.1:0"
  origins: ["http://api.example.com"]
  proxy_protocol: required
  trusted_peers: [{ cidr: 127.0.0.0/8 }]`;
const KINDS = [
  ['TLS', {}, ''],
  ['plain TCP', { plain: true }, ''],
  ['the PROXY protocol', { plain: true, listeners: PROXIED }, 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 80\r\n'],
] as const;

for (const [kind, wishes, first] of KINDS) {
  test(`bytes of the client wait for the 101, and those of the upstream that come with it follow it: ${kind}`, async (t) => {
    const rig = await startRig(t, wishes);
    const asked = Promise.withResolvers<void>();
    rig.upstream.script = (_connection, complete) => complete === 1 && asked.resolve();
    const client = await rig.open(`${first}${opening('/x')}early `);
    await asked.promise;
    client.send('and late');
    const [connection = assert.fail()] = rig.upstream.connections;
    assert.match(connection.text, /\r\n\r\n$/);
    connection.socket.write(`${SWITCH}with the 101 `);
    await rig.upstream.until(({ text }) => text.endsWith('\r\n\r\nearly and late'));
    connection.socket.write('and behind it');
    await client.until(({ text }) => text.endsWith('\r\n\r\nwith the 101 and behind it'));
    // In the tunnel a request is data like any other.
    client.send(SMUGGLED);
    await rig.upstream.until(({ text }) => text.endsWith(`early and late${SMUGGLED}`));
  });
}

const BAD_SWITCHES: Readonly<Record<string, string>> = {
  'another protocol': `Connection: upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`,
  'a protocol beside it': `Connection: upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`,
  'two Upgrade lines': `Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`,
  'no Upgrade': `Connection: upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`,
  'no Connection': `Upgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`,
  'no Sec-WebSocket-Accept': 'Connection: upgrade\r\nUpgrade: websocket\r\n',
  "another key's Sec-WebSocket-Accept": `Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${createHash('sha1').digest('base64')}\r\n`,
  'Sec-WebSocket-Accept twice': `Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`,
  'nothing at all': '',
};

for (const [what, lines] of Object.entries(BAD_SWITCHES)) {
  test(`a 101 with ${what} opens no tunnel and is upstream_invalid`, async (t) => {
    const rig = await startRig(t);
    rig.upstream.script = answering(`${switching(lines)}poison`);
    const client = await rig.open(opening('/x') + SMUGGLED);
    await client.answers(1);
    client.send(SMUGGLED);
    const { messages, rest } = readAnswers(await client.toEnd());
    assert.deepEqual([messages.map(statusOf), messages.map(reasonOf), rest], [[502], ['upstream_invalid'], '']);
    await rig.upstream.until(({ connections }) => connections.every(({ ended }) => ended));
    assert.doesNotMatch(rig.upstream.text, /smuggled/);
    assert.equal(await rig.gateway.count('holdfast_tunnels'), 0);
  });
}

test('a 101 to a request that asked for none is upstream_invalid, with Upgrade and without', async (t) => {
  const rig = await startRig(t);
  for (const answer of [SWITCH, switching('')]) {
    rig.upstream.script = answering(`${answer}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`);
    const client = await rig.open(`GET /x HTTP/1.1\r\n${HOST}\r\n`);
    assert.deepEqual((await client.answers(1)).map(reasonOf), ['upstream_invalid']);
  }
});

const [, UPGRADE = '', VERSION = ''] = /^(.*?)(Sec-WebSocket-Key.*)$/s.exec(HANDSHAKE) ?? [];
const IGNORED: Readonly<Record<string, string>> = {
  'another method': opening('/x', `${HANDSHAKE}Content-Length: 0\r\n`, 'POST'),
  'a body of a known length': `${opening('/x', `${HANDSHAKE}Content-Length: 5\r\n`)}hello`,
  'a body in chunks': `${opening('/x', `${HANDSHAKE}Transfer-Encoding: chunked\r\n`)}5\r\nhello\r\n0\r\n\r\n`,
  'two Upgrade lines': opening('/x', `${HANDSHAKE}Upgrade: websocket\r\n`),
  'another protocol beside': opening('/x', HANDSHAKE.replace('websocket', 'websocket, h2c')),
  'a version of the protocol': opening('/x', HANDSHAKE.replace('websocket', 'websocket/13')),
  'no option in Connection': opening('/x', HANDSHAKE.replace('Connection: Upgrade\r\n', '')),
  'no key': opening('/x', UPGRADE),
  'two keys': opening('/x', `${HANDSHAKE}Sec-WebSocket-Key: ${KEY}\r\n`),
  'a key of 15 octets': opening('/x', UPGRADE + VERSION.replace(KEY, 'AAAAAAAAAAAAAAAAAAAA')),
  'a key with bits to spare': opening('/x', UPGRADE + VERSION.replace(KEY, 'dGhlIHNhbXBsZSBub25jZR==')),
};

for (const [what, bytes] of Object.entries(IGNORED)) {
  test(`an upgrade with ${what} is an ordinary request, and the last of its connection`, async (t) => {
    const rig = await startRig(t);
    rig.upstream.script = perRequest(echo);
    const client = await rig.open(bytes + SMUGGLED);
    await client.answers(1);
    client.send(SMUGGLED);
    assert.deepEqual(readAnswers(await client.toEnd()).messages.map(statusOf), [200]);
    assert.equal(rig.upstream.seen.length, 1);
    assert.doesNotMatch(rig.upstream.text, /upgrade|smuggled/i);
    rig.upstream.assertClean();
  });
}

test('HTTP/1.0 opens no WebSocket', async (t) => {
  const rig = await startRig(t);
  const answers = await rig.answersTo(opening('/x').replace('HTTP/1.1', 'HTTP/1.0') + SMUGGLED);
  assert.deepEqual(answers.map(statusOf), [200]);
  assert.doesNotMatch(rig.upstream.text, /upgrade|smuggled/i);
});

test('an upgrade behind a request that has no answer yet is an ordinary one; behind an answered one it opens', async (t) => {
  const rig = await startRig(t);
  const answers = await rig.answersTo(`GET /first HTTP/1.1\r\n${HOST}\r\n${opening('/second')}${SMUGGLED}`);
  assert.deepEqual(
    answers.map(({ body }) => /GET (\S+)/.exec(body)?.[1]),
    ['/first', '/second'],
  );
  assert.doesNotMatch(rig.upstream.text, /upgrade|smuggled/i);

  const client = await rig.open(`GET /first HTTP/1.1\r\n${HOST}\r\n`);
  await client.answers(1);
  rig.upstream.script = answering(`${SWITCH}open`);
  client.send(opening('/second'));
  await client.until(({ text }) => text.endsWith('\r\n\r\nopen'));
});

test('the 101 carries what an answer may: no hop-by-hop, certificate or length fields, and no second Upgrade', async (t) => {
  const rig = await startRig(t);
  const lines = `Connection: upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`;
  const more =
    'Client-Cert: x\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\nDPoP-Nonce: x\r\nX-Kept: 1\r\nX-Request-Id: theirs\r\n';
  rig.upstream.script = answering(`${switching(lines + more)}frames`);
  const client = await rig.open(opening('/token/1').replace('/token/1', '/x'));
  await client.until(({ text }) => text.endsWith('\r\n\r\nframes'));
  const names = [...client.text.matchAll(/^([\w-]+):/gm)].map(([, name]) => name?.toLowerCase());
  assert.deepEqual(
    names.toSorted((one = '', other = '') => one.localeCompare(other)),
    ['connection', 'date', 'dpop-nonce', 'sec-websocket-accept', 'upgrade', 'via', 'x-kept', 'x-request-id'],
  );
  assert.match(client.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.doesNotMatch(client.text, /theirs/);
});

test('a client that leaves before there is an answer ends the connection to the upstream', async (t) => {
  const rig = await startRig(t);
  rig.upstream.script = () => {};
  for (const [nth, leave] of (['end', 'destroy'] as const).entries()) {
    const client = await rig.open(opening('/x'));
    await rig.upstream.until(({ connections }) => connections[nth]?.text.endsWith('\r\n\r\n') === true);
    client.socket[leave]();
    await rig.upstream.until(({ connections }) => connections.every(({ ended }) => ended));
  }
  await rig.gateway.logged({ outcome: 'client_gone' });
  assert.equal(await rig.gateway.count('holdfast_requests_total', { outcome: 'client_gone' }), 2);
});

test('an upstream that says nothing to an upgrade is upstream_timed_out', async (t) => {
  const routes = `- { name: open, match: { path: /* }, upstream: raw, require: public, weaker_than_defaults: [require], timeouts: { response_header: 200ms } }`;
  const rig = await startRig(t, { routes });
  rig.upstream.script = () => {};
  const answers = await rig.answersTo(opening('/x'));
  assert.deepEqual(answers.map(reasonOf), ['upstream_timed_out']);
});
