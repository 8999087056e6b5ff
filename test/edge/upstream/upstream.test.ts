// Connections to upstreams: trust of TLS, unix sockets, and none left open.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openUpstream } from '../../../src/edge/upstream/upstream.ts';
import { type ForwarderWishes, GET, listen, makeUpstream, openForwarder, send } from '../../support/forwarding.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';
import { openBalanced, openTargets } from '../../support/targets.ts';
import { until } from '../../support/until.ts';

const ca = await makeCa();
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const NO_TLS = { ca: undefined, cert: undefined, key: undefined, serverName: undefined, subjectAltNames: undefined };

/** An https upstream that tells the Host and the SNI it saw. */
async function openTls(
  t: TestContext,
  names: readonly string[],
  options: TlsOptions = {},
  onRequest?: RequestListener,
) {
  const leaf = await makeCertificate({ names, ca });
  const seen = { requests: 0, connections: 0 };
  const server = createHttpsServer({ cert: leaf.chain, key: leaf.key, ...options }, (request, response) => {
    seen.requests += 1;
    if (onRequest !== undefined) return onRequest(request, response);
    const { servername } = request.socket as TLSSocket;
    response.end(`host=${request.headers.host} sni=${servername}.`);
  });
  server.on('secureConnection', () => {
    seen.connections += 1;
  });
  const port = await listen(t, server);
  return { seen, port };
}

describe('an https upstream', () => {
  it('is verified by the name of its target, not by the Host that it is sent', async (t) => {
    const { port, seen } = await openTls(t, ['localhost']);
    const hosts = ['one.example.com', 'two.example.com'];
    const facts = {
      method: 'GET',
      target: '/',
      matchPath: '/',
      get origin() {
        return { scheme: 'https', authority: hosts[seen.requests] ?? '', pathPrefix: '' } as const;
      },
    };
    const upstream = { tls: { ...NO_TLS, ca: ca.cert } };
    const forwarder = await openForwarder(t, `https://localhost:${port}`, { upstream, facts });
    await send(t, forwarder.port, GET).until(/host=one\.example\.com sni=localhost\./);
    await send(t, forwarder.port, GET).until(/host=two\.example\.com sni=localhost\./);
    assert.deepEqual(seen, { requests: 2, connections: 1 });
  });

  it('is verified by server_name where that is given', async (t) => {
    const { port } = await openTls(t, ['orders.internal']);
    const tls = { ...NO_TLS, ca: ca.cert, serverName: 'orders.internal' };
    const forwarder = await openForwarder(t, `https://127.0.0.1:${port}`, { upstream: { tls } });
    await send(t, forwarder.port, GET).until(/sni=orders\.internal\./);
  });

  it('is verified by its address where the target is one', async (t) => {
    const { port } = await openTls(t, ['127.0.0.1']);
    const forwarder = await openForwarder(t, `https://127.0.0.1:${port}`, {
      upstream: { tls: { ...NO_TLS, ca: ca.cert } },
    });
    await send(t, forwarder.port, GET).until(/host=api\.example\.com sni=false\./);
  });

  const REFUSED: readonly (readonly [string, string, ForwarderWishes['upstream']])[] = [
    ['a certificate for the Host of the client', 'api.example.com', { tls: { ...NO_TLS, ca: ca.cert } }],
    [
      'a certificate for another name',
      'other.internal',
      { tls: { ...NO_TLS, ca: ca.cert, serverName: 'orders.internal' } },
    ],
    ['a certificate of an unknown CA', 'localhost', { tls: NO_TLS }],
  ];
  for (const [what, name, upstream] of REFUSED) {
    it(`with ${what} is upstream_unreachable and sees no request`, async (t) => {
      const { port, seen } = await openTls(t, [name]);
      const forwarder = await openForwarder(t, `https://localhost:${port}`, { upstream: upstream ?? {} });
      await send(t, forwarder.port, GET).until(/ 502 [^]*upstream_unreachable$/);
      assert.equal(seen.requests, 0);
    });
  }

  it('gets the certificate of the upstream configuration', async (t) => {
    const gateway = await makeCertificate({ names: ['gateway.internal'], ca });
    const options = { requestCert: true, rejectUnauthorized: true, ca: ca.cert };
    const { port } = await openTls(t, ['localhost'], options, (request, response) => {
      response.end(`cn=${(request.socket as TLSSocket).getPeerCertificate().subjectaltname}.`);
    });
    const tls = { ...NO_TLS, ca: ca.cert, cert: gateway.chain, key: gateway.key };
    const forwarder = await openForwarder(t, `https://localhost:${port}`, { upstream: { tls } });
    await send(t, forwarder.port, GET).until(/cn=DNS:gateway\.internal\./);
  });
});

describe('an answer that ends with its TLS connection', () => {
  it('is upstream_invalid, since it could be a half one (RFC 9112 §9.8)', async (t) => {
    const { port } = await openTls(t, ['localhost'], {}, (_, response) => {
      response.useChunkedEncodingByDefault = false;
      response.write('all');
      response.end();
    });
    const upstream = { tls: { ...NO_TLS, ca: ca.cert } };
    const forwarder = await openForwarder(t, `https://localhost:${port}`, { upstream });
    await send(t, forwarder.port, GET).until(/ 502 [^]*upstream_invalid$/);
  });

  it('may come to HEAD and with 304, which have no body', async (t) => {
    const { port } = await openTls(t, ['localhost'], {}, (request, response) => {
      response.writeHead(request.method === 'HEAD' ? 200 : 304).end();
    });
    const upstream = { tls: { ...NO_TLS, ca: ca.cert } };
    const forwarder = await openForwarder(t, `https://localhost:${port}`, { upstream });
    await send(t, forwarder.port, GET.replace('GET', 'HEAD')).until(/^HTTP\/1\.1 200/);
    await send(t, forwarder.port, GET).until(/^HTTP\/1\.1 304/);
  });
});

describe('a unix socket', () => {
  it('is connected to by its path', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
    t.after(() => rm(folder, { recursive: true }));
    const socketPath = join(folder, 'up.sock');
    const server = createHttpServer((request, response) => response.end(`host=${request.headers.host}.`));
    await new Promise<void>((resolve) => {
      server.listen(socketPath, resolve);
    });
    t.after(() => server.close());
    const upstream = { targets: [{ origin: 'http://localhost', socketPath }] };
    const forwarder = await openForwarder(t, 'http://localhost', { upstream, forward: { host: 'upstream' } });
    await send(t, forwarder.port, GET).until(/host=localhost\./);
  });
});

describe('a target that no request was for', () => {
  it('takes less than 4 KB', (t) => {
    const targets = Array.from({ length: 1000 }, (_, index) => ({
      origin: `http://10.0.0.1:${index + 1}`,
      socketPath: undefined,
    }));
    const before = heapInUse();
    const upstream = openUpstream(makeUpstream('http://a', { targets }), { connect: 2 });
    t.after(() => upstream.destroy());
    const each = (heapInUse() - before) / targets.length;
    assert.ok(each < 4096, `${each} bytes`);
    assert.equal(upstream.targets.length, targets.length);
  });
});

function heapInUse(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

describe('closing', () => {
  it('lets running and waiting requests finish, then closes every connection', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    const held: (() => void)[] = [];
    target.answer = (_request, response) => held.push(() => response.end('done'));
    const balanced = await openBalanced(t, [target], { connections: 1 }, { open: { linger: 0.1 } });
    const asked = ['/1', '/2'].map((path) => balanced.ask(path));
    await until(() => held.length >= 1);
    let closed = false;
    const closing = balanced.upstream.close().then(() => (closed = true));
    asked.push(balanced.ask('/late'));
    held[0]?.();
    await until(() => held.length >= 2);
    assert.equal(closed, false);
    held[1]?.();
    await until(() => held.length >= 3);
    held[2]?.();
    for (const one of asked) assert.deepEqual(await one, { status: 200, body: 'done' });
    await closing;
    await until(() => target.connections === 0);
    assert.equal((await balanced.ask('/3')).body, 'upstream_unreachable');
  });

  it('refuses a request that comes after the end, also where it is the first one', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    const balanced = await openBalanced(t, [target], {}, { open: { linger: 0 } });
    await balanced.upstream.close();
    assert.equal((await balanced.ask('/1')).body, 'upstream_unreachable');
    assert.deepEqual(target.seen, []);
  });

  for (const linger of [0, 60]) {
    it(`ends at once when it is destroyed while it closes, having lingered for ${linger} s`, async (t) => {
      const [target] = await openTargets(t, 1);
      assert.ok(target);
      target.answer = () => {};
      const balanced = await openBalanced(t, [target], {}, { open: { linger } });
      const asked = balanced.ask('/1');
      await until(() => target.seen.length > 0);
      const closing = balanced.upstream.close();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await balanced.upstream.destroy();
      assert.equal((await asked).body, 'upstream_unreachable');
      await closing;
    });
  }

  it('is not needed for an upstream that a new policy has unchanged, contents of its files included', (t) => {
    const tls = { ...NO_TLS, ca: ca.cert };
    const upstream = openUpstream(makeUpstream('https://a', { tls }), { connect: 2 });
    t.after(() => upstream.destroy());
    assert.ok(upstream.fits(makeUpstream('https://a', { tls: { ...tls } }), { connect: 2 }));
    assert.ok(upstream.fits(makeUpstream('https://a', { tls, targets: [] }), { connect: 2 }));
    assert.ok(!upstream.fits(makeUpstream('https://a', { tls }), { connect: 3 }));
    for (const over of [{ tls: NO_TLS }, { tls, retries: 0 }, { tls, name: 'other' }]) {
      assert.ok(!upstream.fits(makeUpstream('https://a', over), { connect: 2 }));
    }
  });

  it('an upstream without target refuses, and says why', () => {
    const upstream = openUpstream(makeUpstream('http://127.0.0.1:1', { targets: [] }), { connect: 1 });
    assert.equal(upstream.blocked, true);
    assert.equal(upstream.whyBlocked().reason, 'upstream_without_targets');
  });
});
