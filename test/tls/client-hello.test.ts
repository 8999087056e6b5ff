// The first message of a client: in how many pieces it comes, which name it asks for, and that no name decides about a request.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { dpop } from '../gateway/credentials.ts';
import { Client, reasonOf, statusOf } from '../hostile/rig.ts';
import { openTls } from '../support/edge.ts';
import { HOST, SERVER, startTestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { clientHello, handshakeFailures, openssl, Pieces, portAt, sendBytes, VERSIONS, visit } from './clients.ts';

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

/** One listener with three certificates and two origins. */
async function startNamed(t: TestContext) {
  const make = (names: readonly string[]) =>
    makeCertificate({ names, ...(SERVER.issuer && { ca: SERVER.issuer }) });
  const [wild, exact] = [await make(['*.example.org']), await make(['exact.example.org', 'exact.example.net'])];
  return await startTestGateway(t, {
    listeners:
      '- { name: public, bind: "127.0.0.1:0", origins: ["https://api.example.com", "https://exact.example.org"], tls: ' +
      '{ certificates: [{ cert: tls.crt, key_file: tls.key }, { cert: wild.crt, key_file: wild.key }, { cert: exact.crt, key_file: exact.key }] } }',
    files: {
      'tls.crt': (await make([HOST])).chain,
      'wild.crt': wild.chain,
      'wild.key': wild.key,
      'exact.crt': exact.chain,
      'exact.key': exact.key,
    },
    routes: ROUTES,
  });
}
