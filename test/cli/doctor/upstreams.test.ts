// The doctor's findings about targets of upstreams, with real servers that have each fault.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2, createSecureServer } from 'node:http2';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { lookAtTarget } from '../../../src/cli/doctor/upstreams.ts';
import type { DoctorFinding } from '../../../src/cli/doctor/finding.ts';
import { NO_UPSTREAM, type Upstream } from '../../../src/policy/upstream.ts';
import { doctorTerms, namesOf } from '../../support/doctor.ts';
import { serve } from '../../support/issuer-server.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const DAY = 86_400;
const CA = await makeCa();

type Wishes = { readonly tls?: Partial<Upstream['tls']>; readonly http2?: boolean };

function look(origin: string, { tls, http2 = false }: Wishes = {}, each = 20): Promise<readonly DoctorFinding[]> {
  const upstream = { ...NO_UPSTREAM, name: 'orders', http2, tls: { ...NO_UPSTREAM.tls, ca: CA.cert, ...tls } };
  return lookAtTarget(upstream, { origin, socketPath: undefined }, doctorTerms({ each }));
}

const verdicts = (findings: readonly DoctorFinding[]) => findings.map(({ check, verdict }) => `${check}: ${verdict}`);

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

const certificate = (wishes: Parameters<typeof makeCertificate>[0]) => makeCertificate({ ca: CA, ...wishes });

describe('targets over TCP', () => {
  test('one that listens is in order, and gets no request', async (t) => {
    const server = await serve(t);
    assert.deepEqual(verdicts(await look(server.origin)), ['connection: ok']);
    const byName = await look(server.origin.replace('127.0.0.1', 'localhost'));
    assert.deepEqual(verdicts(byName), ['name: ok', 'connection: ok']);
    assert.deepEqual(server.seen, []);
  });
  test('a port where no server is is a fault', async () => {
    const [refused] = await look('http://127.0.0.1:1');
    assert.equal(refused?.check, 'connection');
    assert.equal(refused?.found, 'refused: no server has this port (ECONNREFUSED)');
    assert.match(refused?.next ?? '', /Start the server/);
  });
  test('a name that does not exist is a fault, and so is DNS that fails', async (t) => {
    const names = await namesOf(t, { 'failing.test': 'failing', 'orders.test': { addresses: ['127.0.0.1'] } });
    const upstream = { ...NO_UPSTREAM, name: 'orders' };
    const lookAt = async (origin: string) =>
      (await lookAtTarget(upstream, { origin, socketPath: undefined }, doctorTerms({ names })))[0];
    assert.equal((await lookAt('http://absent.test:9'))?.found, 'absent.test: the name does not exist (ENOTFOUND)');
    assert.equal((await lookAt('http://failing.test:9'))?.found, 'failing.test: DNS does not answer (EAI_AGAIN)');
    assert.equal((await lookAt('http://orders.test:9'))?.found, 'orders.test is 127.0.0.1');
  });
  test('a socket that is not there is a fault', async () => {
    const upstream = { ...NO_UPSTREAM, name: 'orders' };
    const socketPath = join(tmpdir(), 'holdfast-doctor-absent.sock');
    const [finding] = await lookAtTarget(upstream, { origin: 'http://localhost', socketPath }, doctorTerms());
    assert.equal(finding?.verdict, 'fault');
    assert.match(finding?.found ?? '', /ENOENT/);
  });
});

describe('targets over TLS', () => {
  test('a trusted certificate for the name is in order, and its end is told', async (t) => {
    const { chain, key } = await certificate({ names: ['127.0.0.1'], notAfter: Date.now() / 1000 + 90 * DAY });
    const server = await serve(t, { cert: chain, key });
    assert.deepEqual(verdicts(await look(server.origin)), ['connection: ok', 'TLS: ok', 'certificate end: ok']);
  });
  test('a certificate that ends within three weeks is a warning', async (t) => {
    const { chain, key } = await certificate({ names: ['127.0.0.1'], notAfter: Date.now() / 1000 + 20.5 * DAY });
    const server = await serve(t, { cert: chain, key });
    const end = (await look(server.origin)).at(-1);
    assert.deepEqual([end?.verdict, end?.expected], ['warning', 'more than 21 days']);
    assert.match(end?.found ?? '', /in 20 days$/);
  });
  test('an expired one is a fault', async (t) => {
    const { chain, key } = await certificate({ names: ['127.0.0.1'], notAfter: Date.now() / 1000 - 60 });
    const server = await serve(t, { cert: chain, key });
    const [finding] = await look(server.origin);
    assert.deepEqual([finding?.check, finding?.verdict], ['TLS', 'fault']);
    assert.match(finding?.found ?? '', /has expired/);
  });
  test('one for another name is a fault that says which names it has', async (t) => {
    const { chain, key } = await certificate({ names: ['orders.internal', 'orders'] });
    const server = await serve(t, { cert: chain, key });
    const [finding] = await look(server.origin);
    assert.match(finding?.found ?? '', /not for this name .*it names orders\.internal, orders$/);
    assert.equal(finding?.expected, '127.0.0.1');
    assert.match(finding?.next ?? '', /upstreams\.orders\.tls\.server_name/);
    const named = await look(server.origin, { tls: { serverName: 'orders.internal' } });
    assert.deepEqual(verdicts(named).slice(0, 2), ['connection: ok', 'TLS: ok']);
  });
  test('one of a CA that the policy does not name is a fault', async (t) => {
    const { chain, key } = await certificate({ names: ['127.0.0.1'] });
    const server = await serve(t, { cert: chain, key });
    const [finding] = await look(server.origin, { tls: { ca: undefined } });
    assert.match(finding?.found ?? '', /not trusted/);
    assert.match(finding?.next ?? '', /upstreams\.orders\.tls\.ca_file/);
  });
  test('plain HTTP where TLS is expected is a fault', async (t) => {
    const server = await serve(t);
    const [finding] = await look(server.origin.replace('http:', 'https:'));
    assert.deepEqual([finding?.check, finding?.verdict], ['TLS', 'fault']);
  });
  test('a server that never shakes hands is a fault once its time is over', async (t) => {
    const port = await listen(
      t,
      createServer((socket) => socket.on('error', () => {})),
    );
    const [finding] = await look(`https://127.0.0.1:${port}`, {}, 0.2);
    assert.match(finding?.found ?? '', /no answer in time/);
  });
});

describe('targets that have to speak HTTP/2', () => {
  test('over TLS by ALPN, in the clear by their settings', async (t) => {
    const { chain, key } = await certificate({ names: ['127.0.0.1'], notAfter: Date.now() / 1000 + 90 * DAY });
    const secure = await listen(t, createSecureServer({ cert: chain, key }));
    const over = await look(`https://127.0.0.1:${secure}`, { http2: true });
    assert.deepEqual(verdicts(over).at(-1), 'HTTP/2: ok');
    const plain = await listen(t, createHttp2());
    assert.deepEqual(verdicts(await look(`http://127.0.0.1:${plain}`, { http2: true })), [
      'connection: ok',
      'HTTP/2: ok',
    ]);
  });
  test('one that speaks HTTP/1.1 alone is a fault', async (t) => {
    const { chain, key } = await certificate({ names: ['127.0.0.1'] });
    const secure = await serve(t, { cert: chain, key });
    const [over] = await look(secure.origin, { http2: true });
    assert.deepEqual([over?.check, over?.verdict], ['HTTP/2', 'fault']);
    const plain = await serve(t);
    const clear = (await look(plain.origin, { http2: true })).at(-1);
    assert.deepEqual([clear?.check, clear?.verdict], ['HTTP/2', 'fault']);
    assert.match(clear?.next ?? '', /upstreams\.orders\.http2: false/);
  });
});
