// The ClientHello: in pieces, with names, and without influence on decisions.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { dpop } from '../gateway/credentials.ts';
import { Client, reasonOf, statusOf } from '../hostile/rig.ts';
import { openTls } from '../support/edge.ts';
import { HOST, SERVER, startTestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { clientHello, handshakeFailures, Pieces, portAt, sendBytes, VERSIONS, visit } from './clients.ts';

const ROUTES = `
- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }`;

const CHANGE_CIPHER_SPEC = 20;

/** Each byte of whatever is written by itself. */
const bytewise = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.of(byte));

/** Handshake records cut into records of `size` bytes each, as far as they are not encrypted (RFC 8446 §5.1, RFC 5246 §6.2.1). */
function inRecordsOf(size: number): (bytes: Buffer) => readonly Buffer[] {
  let encrypted = false;
  return (bytes) => {
    const records: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 5 + bytes.readUInt16BE(at + 3);
      encrypted ||= bytes[at] === CHANGE_CIPHER_SPEC;
      if (encrypted) records.push(bytes.subarray(at, end));
      else records.push(...cutRecord(bytes.subarray(at, end), size));
      at = end;
    }
    return records;
  };
}

function cutRecord(record: Buffer, size: number): readonly Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 5; at < record.length; at += size) {
    const content = record.subarray(at, at + size);
    parts.push(Buffer.concat([record.subarray(0, 3), Buffer.of(0, content.length), content]));
  }
  return parts;
}

for (const version of VERSIONS) {
  for (const [how, least, cutter] of [
    ['one byte in each TCP segment', 400, () => bytewise],
    ['one byte in each TLS record', 100, () => inRecordsOf(1)],
    ['seven bytes in each TLS record', 20, () => inRecordsOf(7)],
  ] as const) {
    test(`${version}: a handshake with ${how} is one like any other, and so is its request`, async (t) => {
      const gateway = await startTestGateway(t, { routes: ROUTES });
      const socket = new Pieces(portAt(gateway), cutter());
      const { answer, server } = await visit(gateway, { version, socket, path: '/pieces' });
      assert.deepEqual([answer.status, server], [200, `DNS:${HOST}, DNS:*.example.org`]);
      assert.ok(socket.pieces > least, `${socket.pieces} pieces`);
      assert.deepEqual(await handshakeFailures(gateway), {});
    });
  }
}

/** One listener with three certificates, the first also for the names that none has, and two origins. */
async function startNamed(t: TestContext) {
  const make = (name: string) => makeCertificate({ names: [name], ...(SERVER.issuer && { ca: SERVER.issuer }) });
  const [wild, exact] = [await make('*.example.net'), await make('exact.example.net')];
  return await startTestGateway(t, {
    listeners:
      '- { name: public, bind: "127.0.0.1:0", origins: ["https://api.example.com", "https://exact.example.net"], tls: { certificates: [' +
      '{ cert: tls.crt, key_file: tls.key }, { cert: wild.crt, key_file: wild.key }, { cert: exact.crt, key_file: exact.key }] } }',
    files: { 'wild.crt': wild.chain, 'wild.key': wild.key, 'exact.crt': exact.chain, 'exact.key': exact.key },
    routes: ROUTES,
  });
}

const FIRST = `DNS:${HOST}, DNS:*.example.org`;
const WILD = 'DNS:*.example.net';
const EXACT = 'DNS:exact.example.net';

test('SNI chooses a certificate and nothing else: whatever name it has, Host decides about the request', async (t) => {
  const gateway = await startNamed(t);
  for (const [servername, certificate] of [
    [HOST, FIRST],
    ['any.example.org', FIRST],
    ['exact.example.net', EXACT],
    ['EXACT.Example.NET', EXACT],
    ['other.example.net', WILD],
    ['*.example.net', WILD],
    ['exact.example.net.', FIRST],
    ['a.b.example.net', FIRST],
    ['example.net', FIRST],
    ['unknown.example', FIRST],
    ['', FIRST],
    ['.', FIRST],
    ['__proto__', FIRST],
    ['a name', FIRST],
    ['exämple.net', FIRST],
    [`${'a'.repeat(63)}.`.repeat(4).slice(0, 255), FIRST],
  ] as const) {
    const { server, answer } = await visit(gateway, { servername });
    assert.deepEqual([server, answer.status], [certificate, 200], servername);
    const misdirected = await visit(gateway, { servername, host: 'other.example.net' });
    assert.deepEqual([misdirected.answer.status, misdirected.answer.reason], [421, 'misdirected'], servername);
  }
  assert.deepEqual(await handshakeFailures(gateway), {});
});

test('requests of one connection are each decided by their own Host, SNI or not: served here, 421 where it is not served', async (t) => {
  const gateway = await startNamed(t);
  for (const servername of [HOST, 'exact.example.net', 'unknown.example', '']) {
    gateway.upstream.seen.length = 0;
    const trust = { ca: SERVER.issuer?.cert, checkServerIdentity: () => undefined };
    const connection = new Client(await openTls(portAt(gateway), { servername, ...trust }));
    const outcomes = [];
    for (const host of [HOST, 'other.example.net', 'exact.example.net', 'exact.example.net.', `${HOST}:444`, HOST]) {
      connection.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      const answer = (await connection.answers(outcomes.length + 1)).at(-1);
      outcomes.push(answer && (reasonOf(answer) ?? statusOf(answer)));
    }
    assert.deepEqual(outcomes, [200, 'misdirected', 200, 'misdirected', 'misdirected', 200], servername);
    assert.deepEqual(
      gateway.upstream.seen.map(({ fields }) => fields.one('host')),
      [HOST, 'exact.example.net', HOST],
    );
    connection.socket.destroy();
  }
});

test('a proof is held against the origin of Host, not against the name in SNI', async (t) => {
  const gateway = await startNamed(t);
  const host = 'exact.example.net';
  const path = '/dpop/1';
  assert.equal((await dpop(gateway, 'GET', path)).status, 200);
  const elsewhere = await dpop(gateway, 'GET', path, { host });
  assert.equal(elsewhere.reason, 'proof_uri_mismatch', 'SNI says api.example.com, as the proof does');
});

const u16 = (number: number) => Buffer.of(number >> 8, number & 0xff);
const vector = (content: Buffer) => Buffer.concat([u16(content.length), content]);
const entry = (name: string, type = 0) => Buffer.concat([Buffer.of(type), vector(Buffer.from(name, 'latin1'))]);
const serverName = (...entries: Buffer[]) => Buffer.concat([u16(0), vector(vector(Buffer.concat(entries)))]);

const SPOILT: readonly (readonly [what: string, extension: Buffer])[] = [
  ['a NUL inside the name', serverName(entry('api.example.com\0.example.net'))],
  ['a name of 256 bytes', serverName(entry('a'.repeat(256)))],
  ['a name of 5000 bytes', serverName(entry('a'.repeat(5000)))],
  ['two names', serverName(entry(HOST), entry('other.example.net'))],
  ['a name of an unknown type', serverName(entry(HOST, 7))],
  ['an empty list', serverName()],
  ['a list longer than the extension', Buffer.from('000000040001ff00', 'hex')],
  ['nothing at all', Buffer.from('00000000', 'hex')],
  ['the extension twice', Buffer.concat([serverName(entry(HOST)), serverName(entry(HOST))])],
];

test('a server_name extension that is none ends the handshake with an alert, and is counted', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  for (const [what, extension] of SPOILT) {
    const reply = await sendBytes(portAt(gateway), await clientHello(extension));
    assert.match(reply.toString('hex'), /^1503..000202..$/, `${what}: one fatal alert (RFC 8446 §6)`);
  }
  assert.deepEqual(await handshakeFailures(gateway), { other: SPOILT.length });
  assert.equal((await visit(gateway)).answer.status, 200, 'the gateway goes on');
});
