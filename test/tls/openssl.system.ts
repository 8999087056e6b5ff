// OpenSSL as a client: old versions, renegotiation, saved sessions, early data.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { HOST, SERVER, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { handshakeFailures, portAt, ROUTES, VERSIONS, visit } from './clients.ts';

const GET = `GET /open/1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
/** Quits when it has connected six times. */
const SIX = { after: /(?:^New[^]*){6}/m, send: 'Q\n' };
const start = (t: TestContext): Promise<TestGateway> => startTestGateway(t, { routes: ROUTES });

before(async () => {
  await findProgram('openssl');
}, INSTALLING);

for (const version of ['-tls1', '-tls1_1']) {
  test(`${version} of openssl is refused whatever ciphers it offers`, async (t) => {
    const gateway = await start(t);
    const { text } = await openssl(portAt(gateway), [version, '-cipher', 'ALL:@SECLEVEL=0']);
    assert.match(text, /alert protocol version/);
    assert.doesNotMatch(text, /^New, TLS/m);
    assert.deepEqual(await handshakeFailures(gateway), { version: 1 });
  });
}

test('a client that fell back to TLS 1.2, and says so, is refused because the gateway has 1.3 (RFC 7507)', async (t) => {
  const gateway = await start(t);
  const { text } = await openssl(portAt(gateway), ['-tls1_2', '-fallback_scsv']);
  assert.match(text, /alert inappropriate fallback/);
  assert.deepEqual(await handshakeFailures(gateway), { version: 1 });
});

test('a client that renegotiates TLS 1.2 behind an answer loses its connection, and the process goes on', async (t) => {
  const gateway = await start(t);
  const { text } = await openssl(
    portAt(gateway),
    ['-tls1_2'],
    [{ send: GET }, { after: /from the upstream/, send: 'R\n' }],
  );
  assert.match(text, /RENEGOTIATING\n/);
  assert.equal(text.match(/^HTTP\/1\.1 /gm)?.length, 1);
  assert.equal(gateway.upstream.seen.length, 1);
  assert.equal((await visit(gateway, { path: '/open/1' })).answer.status, 200);
});

test('new keys inside TLS 1.3, as often as a client wants them, are no renegotiation and change nothing', async (t) => {
  const gateway = await start(t);
  const { text } = await openssl(
    portAt(gateway),
    ['-tls1_3'],
    [
      { after: /New, TLSv1\.3/, send: 'K\n' },
      { after: /KEYUPDATE/, send: 'K\n' },
      { after: /KEYUPDATE[^]*KEYUPDATE/, send: GET },
      { after: /from the upstream/, send: 'Q\n' },
    ],
  );
  assert.match(text, /^HTTP\/1\.1 200 /m);
});

test('a client that refuses our certificate with an alert is counted as one that did', async (t) => {
  const gateway = await start(t);
  const { text } = await openssl(portAt(gateway), ['-verify_return_error']);
  assert.match(text, /certificate verify failed/);
  await gateway.logged({ msg: 'handshake refused' });
  assert.deepEqual(await handshakeFailures(gateway), { server_certificate_refused: 1 });
});

test('an address as SNI, which RFC 6066 §3 forbids, gets the first certificate, as no SNI at all does', async (t) => {
  const second = await makeCertificate({ names: ['*.example.net'], ...(SERVER.issuer && { ca: SERVER.issuer }) });
  const gateway = await startTestGateway(t, {
    listeners:
      `- { name: public, bind: "127.0.0.1:0", origins: ["https://${HOST}"], tls: { certificates: ` +
      '[{ cert: tls.crt, key_file: tls.key }, { cert: two.crt, key_file: two.key }] } }',
    files: { 'two.crt': second.chain, 'two.key': second.key },
    routes: ROUTES,
  });
  const get = { send: GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n') };
  for (const name of [['-servername', '127.0.0.1'], ['-servername', '::1'], ['-noservername']]) {
    const { text } = await openssl(portAt(gateway), ['-ign_eof', ...name], [get]);
    assert.match(text, /^subject=CN ?= ?api\.example\.com$[^]*^HTTP\/1\.1 200 /m);
  }
});

test('TLS 1.2 without tickets: the gateway keeps no sessions, so that every connection is a new one', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const { text } = await openssl(portAt(gateway), ['-tls1_2', '-no_ticket', '-reconnect'], [SIX]);
  assert.equal(text.match(/^New, TLSv1\.2/gm)?.length, 6);
  assert.doesNotMatch(text, /^Reused/m);
});

test('early data is not accepted, even of a client whose ticket claims that it may send some', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const [saved, early] = ['saved.pem', 'early.txt'].map((name) => join(folder(t), name));
  assert.ok(saved && early);
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n`;
  const ask = (args: string[], path: string) =>
    openssl(portAt(gateway), ['-tls1_3', '-ign_eof', ...args], [{ send: get(path) }]);

  const first = await ask(['-sess_out', saved], '/open/first');
  assert.match(first.text, /^ *Max Early Data: 0$/m);
  writeFileSync(early, get('/open/early'));
  const honest = await ask(['-sess_in', saved, '-early_data', early], '/open/honest');
  assert.match(honest.text, /^Reused[^]*^Early data was not sent/m);
  writeFileSync(saved, allowEarlyData(readFileSync(saved, 'latin1')));
  const forged = await ask(['-sess_in', saved, '-early_data', early], '/open/forged');
  assert.match(forged.text, /^Reused[^]*^Early data was rejected/m);
  assert.deepEqual(
    gateway.upstream.seen.map(({ target }) => target),
    ['/open/first', '/open/honest', '/open/forged'],
  );
});

test('openssl s_client gets no early data and sees one full handshake after another', async (t) => {
  const listener = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';
  const gateway = await startTestGateway(t, { listener, routes: ROUTES });
  const { text } = await openssl(portAt(gateway), ['-tls1_2', '-reconnect'], [SIX]);
  assert.equal(text.match(/^New, TLSv1\.2/gm)?.length, 6);
  assert.doesNotMatch(text, /^Reused/m);
});

for (const version of VERSIONS) {
  test(`${version}: a session is good at every worker, and no longer when their secret has been replaced`, async (t) => {
    const more = 'workers: 3\nlog: { level: fatal }\ndrain: { delay: 0s, grace: 1s }';
    const gateway = await startTestGateway(t, { routes: ROUTES, threads: true, more });
    const { session } = await visit(gateway, { version, path: '/open/1' });
    assert.ok(session);
    const again = () => visit(gateway, { version, session, path: '/open/1' });
    const visits = await Promise.all(Array.from({ length: 12 }, again));
    assert.ok(visits.every(({ resumed }) => resumed));
    const brief = await startTestGateway(t, { routes: ROUTES, threads: true, more, ticketSecretAge: 50 });
    const { session: old } = await visit(brief, { version, path: '/open/1' });
    assert.ok(old);
    while ((await visit(brief, { version, session: old, path: '/open/1' })).resumed);
  });
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** OpenSSL's SSL_SESSION with `max_early_data [15]`, which it puts before all later ones. */
function allowEarlyData(pem: string): string {
  const der = Buffer.from(pem.replaceAll(/-----[^-]*-----|\s/g, ''), 'base64');
  const elements = elementsOf(elementsOf(der)[0]?.content ?? der);
  const later = (tag: number) => tag >= 0xaf && tag <= 0xbe;
  const content = Buffer.concat([
    ...elements.filter(({ tag }) => !later(tag)).map(({ bytes }) => bytes),
    Buffer.from('af0402024000', 'hex'),
    ...elements.filter(({ tag }) => later(tag) && tag !== 0xaf).map(({ bytes }) => bytes),
  ]);
  const header = Buffer.of(0x30, 0x82, content.length >> 8, content.length & 0xff);
  const label = 'SSL SESSION PARAMETERS';
  const lines =
    Buffer.concat([header, content])
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** DER elements that follow one another. */
function elementsOf(der: Buffer): { tag: number; bytes: Buffer; content: Buffer }[] {
  const elements = [];
  for (let at = 0; at < der.length; ) {
    const short = der.readUInt8(at + 1);
    const more = short < 0x80 ? 0 : short & 0x7f;
    const start = at + 2 + more;
    const end = start + (more === 0 ? short : der.readUIntBE(at + 2, more));
    elements.push({ tag: der.readUInt8(at), bytes: der.subarray(at, end), content: der.subarray(start, end) });
    at = end;
  }
  return elements;
}

export interface Dialogue {
  /** Both of its outputs. */
  readonly text: string;
  readonly exit: number;
}

/**
 * `openssl s_client` until the gateway closes or a line makes it quit. It sends SNI unless told not to.
 * @param lines written one after the other, each when what it waits for has been printed
 */
export async function openssl(
  port: number,
  args: readonly string[],
  lines: readonly { readonly after?: RegExp; readonly send: string }[] = [],
): Promise<Dialogue> {
  const name = args.includes('-noservername') ? [] : ['-servername', HOST];
  const client = spawn(await findProgram('openssl'), ['s_client', '-connect', `127.0.0.1:${port}`, ...name, ...args], {
    stdio: 'pipe',
    signal: AbortSignal.timeout(30_000),
  });
  const waiting = [...lines];
  let text = '';
  const read = (chunk: string) => {
    text += chunk;
    const [next] = waiting;
    if (next?.after?.test(text)) client.stdin.write(waiting.shift()?.send ?? '');
  };
  client.stdout.setEncoding('latin1').on('data', read);
  client.stderr.setEncoding('latin1').on('data', read);
  client.stdin.on('error', () => {}); // the gateway closed before it read everything
  while (waiting[0] !== undefined && waiting[0].after === undefined) client.stdin.write(waiting.shift()?.send ?? '');
  const [exit] = (await once(client, 'close')) as [number];
  return { text, exit };
}
