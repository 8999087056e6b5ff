// Connections to targets: names that do not resolve, trust of TLS.

import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { compileConnector, ConnectFailure } from '../../../src/edge/upstream/connect.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';
import { openBalanced, openTarget } from '../../support/targets.ts';
import { resolver } from './naming.ts';

const ca = await makeCa();
const stranger = await makeCa({ subject: 'CN=Stranger' });
const NO_TLS = { ca: ca.cert, cert: undefined, key: undefined, serverName: undefined, subjectAltNames: undefined };

describe('a target by name', () => {
  it('that does not resolve is unreachable; the request goes to another', async (t) => {
    const server = await openTarget(t, 'a');
    const { lookup } = resolver({});
    const balanced = await openBalanced(
      t,
      ['http://gone.test', server],
      { balance: 'round-robin' },
      { open: { lookup } },
    );
    assert.equal((await balanced.ask('/', 'body')).body, 'a body');
    assert.deepEqual(balanced.events.failures, ['unreachable']);
  });
});

describe('several https targets', () => {
  const { lookup } = resolver({ 'a.test': ['127.0.0.1'], 'b.test': ['127.0.0.1'], 'c.test': ['127.0.0.1'] });

  async function openTlsTarget(t: TestContext, name: string, wishes: object = {}, more: TlsOptions = {}) {
    const leaf = await makeCertificate({ names: [`${name}.test`], ca, ...wishes });
    const target = await openTarget(t, name, { tls: { cert: leaf.chain, key: leaf.key, ...more } });
    return { target, origin: `https://${name}.test:${target.port}` };
  }

  it('are verified by the name of each, over connections that are kept', async (t) => {
    const all = await Promise.all(['a', 'b', 'c'].map((name) => openTlsTarget(t, name)));
    for (const { target } of all) {
      target.answer = ({ socket }, response) => response.end(String((socket as TLSSocket).servername));
    }
    const origins = all.map(({ origin }) => origin);
    const balanced = await openBalanced(t, origins, { tls: NO_TLS, balance: 'round-robin' }, { open: { lookup } });
    const names = [];
    for (let n = 0; n < 6; n += 1) names.push((await balanced.ask('/')).body);
    assert.deepEqual(names, ['a.test', 'b.test', 'c.test', 'a.test', 'b.test', 'c.test']);
    assert.deepEqual(
      all.map(({ target }) => target.connections),
      [1, 1, 1],
    );
  });

  it('are all verified by server_name where that is given', async (t) => {
    const names = { names: ['orders.internal'] };
    const all = await Promise.all(['a', 'b'].map((name) => openTlsTarget(t, name, names)));
    const tls = { ...NO_TLS, serverName: 'orders.internal' };
    const origins = all.map(({ origin }) => origin);
    const balanced = await openBalanced(t, origins, { tls, balance: 'round-robin' }, { open: { lookup } });
    for (const name of ['a ', 'b ']) assert.equal((await balanced.ask('/')).body, name);
  });

  const hourAgo = Date.now() / 1000 - 3600;
  const REFUSED: readonly (readonly [string, object])[] = [
    ['from another CA', { ca: stranger }],
    ['for another name', { names: ['elsewhere.test'] }],
    ['for an address instead of the name', { names: ['127.0.0.1'] }],
    ['that expired', { notBefore: hourAgo - 3600, notAfter: hourAgo }],
    ['that is not valid yet', { notBefore: Date.now() / 1000 + 3600 }],
  ];
  for (const [what, wishes] of REFUSED) {
    it(`send nothing to one with a certificate ${what}, and everything to the other`, async (t) => {
      const bad = await openTlsTarget(t, 'a', wishes);
      const good = await openTlsTarget(t, 'b');
      const upstream = { tls: NO_TLS, balance: 'round-robin' } as const;
      const balanced = await openBalanced(t, [bad.origin, good.origin], upstream, { open: { lookup } });
      for (let n = 0; n < 4; n += 1) assert.equal((await balanced.ask('/', 'body')).body, 'b body');
      assert.deepEqual(bad.target.seen, []);
      assert.deepEqual(balanced.events.failures, ['unreachable']);
    });
  }

  const DEMANDING = { requestCert: true, rejectUnauthorized: true, ca: ca.cert };
  it('get the certificate of the configuration where they demand one', async (t) => {
    const all = [await openTlsTarget(t, 'a', {}, DEMANDING), await openTlsTarget(t, 'b', {}, DEMANDING)];
    const own = await makeCertificate({ names: ['gateway.internal'], ca });
    const tls = { ...NO_TLS, cert: own.chain, key: own.key };
    const origins = all.map(({ origin }) => origin);
    const balanced = await openBalanced(t, origins, { tls, balance: 'round-robin' }, { open: { lookup } });
    for (const name of ['a ', 'b ', 'a ', 'b ']) assert.equal((await balanced.ask('/')).body, name);
  });

  it('that demand one where there is none: TLS 1.2 refuses before anything is sent, and the request goes elsewhere', async (t) => {
    const bad = await openTlsTarget(t, 'a', {}, { ...DEMANDING, maxVersion: 'TLSv1.2' });
    const good = await openTlsTarget(t, 'b');
    const upstream = { tls: NO_TLS, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, [bad.origin, good.origin], upstream, { open: { lookup } });
    assert.equal((await balanced.ask('/')).body, 'b ');
    assert.deepEqual(bad.target.seen, []);
  });

  it('that demand one where there is none: TLS 1.3 refuses after the request was sent, which is not sent again', async (t) => {
    const bad = await openTlsTarget(t, 'a', {}, { ...DEMANDING, minVersion: 'TLSv1.3' });
    const good = await openTlsTarget(t, 'b');
    const upstream = { tls: NO_TLS, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, [bad.origin, good.origin], upstream, { open: { lookup } });
    assert.equal((await balanced.ask('/')).body, 'upstream_unreachable');
    assert.deepEqual([bad.target.seen, good.target.seen], [[], []]);
  });
});

describe('a target by its IPv6 address', () => {
  it('is connected to and not looked up as a name, brackets or not, over HTTP/1.1 and HTTP/2', async () => {
    const asked: string[] = [];
    const lookup: LookupFunction = (name, _options, callback) => {
      asked.push(name);
      callback(Object.assign(new Error(name), { code: 'ENOTFOUND' }), []);
    };
    for (const http2 of [false, true]) {
      // Port 1 has no server, and not every machine has IPv6: in both cases the system says so, and no name is asked for.
      const target = { origin: 'http://[::1]:1', socketPath: undefined };
      const connector = compileConnector(target, { tls: NO_TLS, http2 }, 20, lookup);
      for (const hostname of ['[::1]', '::1']) {
        const failure = await new Promise((resolve) => {
          connector({ hostname, host: '[::1]:1', protocol: 'http:', port: '1' }, (...answer) => resolve(answer[0]));
        });
        assert.ok(failure instanceof ConnectFailure);
        assert.notEqual(failure.code, 'ENOTFOUND');
      }
    }
    assert.deepEqual(asked, []);
  });
});
