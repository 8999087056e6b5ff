// Listeners for any host: what a proof was made for counts, whatever Host a thief chooses.

import assert from 'node:assert/strict';
import { connect, type OutgoingHttpHeaders } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { openTls } from '../support/edge.ts';
import { dpop, issue, prove, TO_KEY } from './credentials.ts';

const ROUTES = `
- { name: api, match: { host: api.example.com, path: /* }, upstream: orders, require: dpop }
- { name: tenants, match: { host: "*.tenants.example", path: /* }, upstream: orders, require: dpop }
- { name: site, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }`;
const ANY = { origins: ['https://*', 'https://*:8443'], routes: ROUTES };

const routeOf = async (gateway: TestGateway) => (
  await gateway.logged({ msg: 'request' }), gateway.log.at(-1)?.['route']
);
/** A proof of the holder for a URL. */
const proving = (url: string) => ({ proving: { url } as object });

/** One request over a connection of HTTP/2 that was opened for a name. */
async function askOver(t: TestContext, gateway: TestGateway, servername: string, fields: OutgoingHttpHeaders) {
  const socket = await openTls(portOf(gateway.running.listeners[0]?.bind), {
    ca: SERVER_CA.cert,
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  });
  const session = connect(`https://${servername}`, { createConnection: () => socket });
  session.on('error', () => {}); // of the end of the gateway
  t.after(() => session.destroy());
  const stream = session.request({ ':path': '/1', ...fields });
  const answer = Promise.withResolvers<number>();
  stream
    .once('response', (got) => answer.resolve(Number(got[':status'])))
    .once('error', answer.reject)
    .resume();
  return await answer.promise;
}

test('a proof is good for the very host, port and scheme that the request says', async (t) => {
  const gateway = await startTestGateway(t, ANY);
  const good = [
    ['api.example.com', 'https://api.example.com/1'],
    ['API.Example.com:443', 'https://api.example.com/1'],
    ['api.example.com:8443', 'https://api.example.com:8443/1'],
    ['one.tenants.example', 'https://one.tenants.example/1'],
  ] as const;
  for (const [host, url] of good) {
    assert.equal((await dpop(gateway, 'GET', '/1', { host, ...proving(url) })).status, 200, `${host} ${url}`);
    assert.notEqual(await routeOf(gateway), 'site');
  }
  const bad = [
    ['api.example.com', 'https://thief.example/1'],
    ['api.example.com', 'https://api.example.com:8443/1'],
    ['api.example.com:8443', 'https://api.example.com/1'],
    ['api.example.com', 'http://api.example.com/1'],
    ['one.tenants.example', 'https://two.tenants.example/1'],
    ['one.tenants.example', 'https://one.tenants.example.thief.example/1'],
  ] as const;
  for (const [host, url] of bad) {
    const { reason } = await dpop(gateway, 'GET', '/1', { host, ...proving(url) });
    assert.equal(reason, 'proof_uri_mismatch', `${host} ${url}`);
  }
});

test('a proof that was made for the host of a thief opens nothing, whatever fields the thief sends with it', async (t) => {
  const gateway = await startTestGateway(t, ANY);
  const stolen = 'https://thief.example/1';
  const token = await issue(gateway, TO_KEY);
  const send = async (host: string, fields: readonly (readonly [string, string])[] = []) => {
    const proof = await prove(gateway, token, 'GET', '/1', { url: stolen } as object);
    return gateway.request('GET', '/1', { token, proof, host, fields });
  };
  for (const fields of [
    [],
    [['X-Forwarded-Host', 'api.example.com']],
    [['Forwarded', 'host=api.example.com']],
  ] as const) {
    assert.equal((await send('thief.example', fields)).status, 200);
    assert.equal(await routeOf(gateway), 'site');
  }
  for (const host of [
    'api.example.com.',
    'api.example.com.thief.example',
    'xapi.example.com',
    'a.b.tenants.example',
    'tenants.example',
  ]) {
    await send(host);
    assert.equal(await routeOf(gateway), 'site', host);
  }
  for (const field of ['X-Forwarded-Host', 'Forwarded', 'X-Original-Host']) {
    const value = field === 'Forwarded' ? 'host=thief.example' : 'thief.example';
    assert.equal((await send('api.example.com', [[field, value]])).reason, 'proof_uri_mismatch', field);
  }
});

test('hosts that no name has, other ports and two hosts in one request are refused', async (t) => {
  const gateway = await startTestGateway(t, ANY);
  for (const host of [
    '*',
    '*.example.com',
    '**.example.com',
    "a'b.example",
    'a~b',
    'api.example.com:444',
    '..',
    '.example.com',
  ]) {
    assert.equal((await gateway.request('GET', '/1', { host })).reason, 'misdirected', host);
  }
  const raw = (line: string, host: string) => gateway.raw(`GET ${line} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  assert.equal((await raw('https://api.example.com/1', 'thief.example')).reason, 'request_malformed');
  assert.equal((await raw('http://api.example.com/1', 'api.example.com')).reason, 'request_malformed');
  assert.equal((await raw('https://api.example.com/1', 'api.example.com')).reason, 'credentials_missing');
});

test('the name of the TLS handshake decides nothing but the certificate: Host and proof are judged alike over any', async (t) => {
  const gateway = await startTestGateway(t, ANY);
  const token = await issue(gateway, TO_KEY);
  const ask = async (servername: string, host: string, url: string) => {
    const proof = await prove(gateway, token, 'GET', '/1', { url } as object);
    return await askOver(t, gateway, servername, {
      ':authority': host,
      authorization: `DPoP ${token}`,
      dpop: proof,
    });
  };
  assert.equal(await ask('thief.example', 'api.example.com', 'https://api.example.com/1'), 200);
  assert.equal(await ask('thief.example', 'api.example.com', 'https://thief.example/1'), 401);
  assert.equal(await ask('api.example.com', 'api.example.com', 'https://thief.example/1'), 401);
});

test('hosts with separate connections are answered 421 on those of others, with a good proof and without any', async (t) => {
  const tls =
    'tls: { certificates: [{ cert: tls.crt, key_file: tls.key }], sni_hosts: [api.example.com, "*.tenants.example"] }';
  const gateway = await startTestGateway(t, {
    routes: ROUTES,
    listeners: `- { name: public, bind: "127.0.0.1:0", origins: ["https://*"], ${tls} }`,
  });
  const token = await issue(gateway, TO_KEY);
  const good = async (host: string) => ({
    ':authority': host,
    authorization: `DPoP ${token}`,
    dpop: await prove(gateway, token, 'GET', '/1', { url: `https://${host}/1` } as object),
  });
  for (const [servername, host] of [
    ['thief.example', 'api.example.com'],
    ['one.tenants.example', 'api.example.com'],
    ['api.example.com', 'one.tenants.example'],
  ] as const) {
    assert.equal(await askOver(t, gateway, servername, await good(host)), 421, `${servername} ${host}`);
    const line = await gateway.logged({ msg: 'request', status: 421 });
    assert.match(JSON.stringify(line), /"reason":"misdirected".*"what":"SNI"/);
  }
  assert.equal(await askOver(t, gateway, 'api.example.com', { ':authority': 'thief.example' }), 421);
  assert.equal(await askOver(t, gateway, 'api.example.com', await good('api.example.com')), 200);
  assert.equal(await askOver(t, gateway, 'two.tenants.example', await good('one.tenants.example')), 200);
  assert.equal(await askOver(t, gateway, 'thief.example', { ':authority': 'site.example' }), 200);
});

test('with any port, the port of the request counts for the proof and not for the route', async (t) => {
  const gateway = await startTestGateway(t, { ...ANY, origins: ['https://*:*'] });
  const ask = (host: string, url: string) => dpop(gateway, 'GET', '/1', { host, ...proving(url) });
  assert.equal((await ask('api.example.com:30443', 'https://api.example.com:30443/1')).status, 200);
  assert.equal((await ask('api.example.com', 'https://api.example.com/1')).status, 200);
  assert.equal((await ask('api.example.com:30443', 'https://api.example.com/1')).reason, 'proof_uri_mismatch');
  assert.equal((await ask('api.example.com:99999', 'https://api.example.com:99999/1')).reason, 'request_malformed');
});
