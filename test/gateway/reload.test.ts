// A policy that replaces another: for new requests at once, never by half.

import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import {
  ISSUER_KEY,
  portOf,
  readPage,
  sendRequest,
  startTestGateway,
  startUpstream,
  writePolicy,
} from '../support/gateway.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken } from '../support/tokens.ts';
import { Command } from './command.ts';
import { dpop, issue, prove, TO_KEY } from './credentials.ts';

const route = (path: string, rest: string) => `- { name: orders, match: { path: ${path} }, upstream: orders, ${rest} }`;
const OPEN = route('/*', 'require: public, weaker_than_defaults: [require]');
const DPOP = route('/*', 'require: dpop');

test('requests that come after a reload are decided by the new policy, on connections that were there before too', async (t) => {
  const gateway = await startTestGateway(t, { routes: OPEN });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await gateway.request('GET', '/1', { agent })).status, 200);
  await gateway.reload({ routes: DPOP });
  assert.equal((await gateway.request('GET', '/1', { agent })).reason, 'credentials_missing');
  assert.equal((await dpop(gateway, 'GET', '/1', { agent })).status, 200);
  await gateway.logged({ msg: 'policy adopted' });
  assert.equal(await gateway.count('holdfast_reloads_total', { result: 'adopted' }), 1);
  assert.equal(await gateway.count('holdfast_last_reload_successful'), 1);
});

test('a request in flight ends under the policy it began with, at its own upstream', async (t) => {
  const gateway = await startTestGateway(t, { routes: OPEN });
  const held = Promise.withResolvers<() => void>();
  gateway.upstream.answer = (_request, response) => {
    response.writeHead(200).write('first half, ');
    held.resolve(() => response.end('second half'));
  };
  const slow = gateway.request('GET', '/slow');
  const release = await held.promise;
  await gateway.reload({ routes: route('/other', 'require: dpop'), upstreams: '' });
  assert.equal((await gateway.request('GET', '/slow')).reason, 'route_not_found');
  release();
  assert.deepEqual([(await slow).status, (await slow).body], [200, 'first half, second half']);
});

test('a proof stays used over a reload, and an access token is verified by the new policy', async (t) => {
  const gateway = await startTestGateway(t, { routes: DPOP });
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', '/1');
  assert.equal((await gateway.request('GET', '/1', { token, proof })).status, 200);
  await gateway.reload({ routes: DPOP });
  assert.equal((await gateway.request('GET', '/1', { token, proof })).reason, 'proof_replayed');
  await gateway.reload({
    routes: DPOP,
    issuers: `login: { issuer: ${ISSUER}, audience: [https://other.example], keys: { jwks_file: keys.json } }`,
  });
  assert.equal((await dpop(gateway, 'GET', '/1', { token })).reason, 'token_audience_mismatch');
});

test('after a reload that raises max_age, proofs dated before it keep the old one', async (t) => {
  const clock = { now: Math.floor(Date.now() / 1000) };
  const wishes = (maxAge: string) => ({
    routes: route('/*', `require: dpop, dpop: { max_age: ${maxAge} }, weaker_than_defaults: [max_age]`),
    more: 'defaults: { dpop: { max_age: 30s, clock_tolerance: 0s } }\ndrain: { delay: 0s, grace: 1s }',
    now: () => clock.now,
  });
  const gateway = await startTestGateway(t, wishes('40s'));
  clock.now += 100; // Proofs dated before the process began are another matter.
  const token = await issue(gateway, TO_KEY);
  const used = await prove(gateway, token, 'GET', '/1');
  const unused = await prove(gateway, token, 'GET', '/1');
  assert.equal((await gateway.request('GET', '/1', { token, proof: used })).status, 200);
  await gateway.reload(wishes('10m'));
  clock.now += 35;
  assert.equal((await gateway.request('GET', '/1', { token, proof: used })).reason, 'proof_replayed');
  clock.now += 10;
  // Forgotten by now; the new policy alone would take both.
  assert.equal((await gateway.request('GET', '/1', { token, proof: used })).reason, 'proof_stale');
  assert.equal((await gateway.request('GET', '/1', { token, proof: unused })).reason, 'proof_stale');
  clock.now += 60;
  const later = await prove(gateway, token, 'GET', '/1');
  clock.now += 300;
  assert.equal((await gateway.request('GET', '/1', { token, proof: later })).status, 200);
  assert.equal((await gateway.request('GET', '/1', { token, proof: later })).reason, 'proof_replayed');
});

test('keys in a file that has changed count after the reload, and those that are gone no longer', async (t) => {
  const gateway = await startTestGateway(t, { routes: DPOP });
  const token = await issue(gateway, TO_KEY);
  assert.equal((await dpop(gateway, 'GET', '/1', { token })).status, 200);
  const next = await makeKey('ES256', 'k2');
  await gateway.reload({ routes: DPOP, files: { 'keys.json': JSON.stringify({ keys: [next.jwk] }) } });
  assert.equal((await dpop(gateway, 'GET', '/1', { token })).reason, 'token_key_unknown');
  const renewed = await makeToken(next, gateway.now(), { claims: TO_KEY });
  assert.equal((await dpop(gateway, 'GET', '/1', { token: renewed })).status, 200);
});

test('an issuer that is new has its keys before the first request is decided by the policy that names it', async (t) => {
  const gateway = await startTestGateway(t, { routes: DPOP });
  const partner = await makeKey('ES256', 'p1');
  await gateway.reload({
    routes: route('/*', 'require: dpop, issuers: [login, partner]'),
    issuers: `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: { jwks_file: keys.json } }
partner: { issuer: https://partner.example, audience: [${AUDIENCE}], keys: { jwks_file: partner.json } }`,
    files: { 'partner.json': JSON.stringify({ keys: [partner.jwk] }) },
  });
  const token = await makeToken(partner, gateway.now(), { claims: { ...TO_KEY, iss: 'https://partner.example' } });
  assert.equal((await dpop(gateway, 'GET', '/1', { token })).status, 200);
  await gateway.reload({ routes: DPOP });
  assert.equal((await dpop(gateway, 'GET', '/1', { token })).reason, 'token_issuer_unknown');
});

test('a reload that changes what an issuer is trusted for keeps its keys, although they cannot be had now', async (t) => {
  const issuer = await startUpstream(t);
  let status = 200;
  issuer.answer = (_request, response) => {
    response.writeHead(status).end(JSON.stringify({ keys: [ISSUER_KEY.jwk] }));
  };
  const issuers = (more: string) =>
    `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: { jwks_uri: "${issuer.origin}/jwks" }, ${more} }`;
  const gateway = await startTestGateway(t, { routes: DPOP, issuers: issuers('clock_tolerance: 15s') });
  const token = await issue(gateway, TO_KEY);
  status = 503;
  await gateway.reload({ routes: DPOP, issuers: issuers('clock_tolerance: 20s') });
  assert.equal((await dpop(gateway, 'GET', '/1', { token })).status, 200);
  assert.equal((await gateway.page('/readyz')).status, 200);
  await gateway.reload({ routes: DPOP, issuers: issuers('insecure_http: true') });
  assert.equal((await dpop(gateway, 'GET', '/1', { token })).reason, 'issuer_unavailable');
});

test('TLS material that cannot be used changes nothing at all', async (t) => {
  const gateway = await startTestGateway(t, { routes: OPEN });
  const adjust = (key: string) => (policy: typeof gateway.policy) => ({
    ...policy,
    listeners: policy.listeners.map((one) => ({
      ...one,
      tls: one.tls && { ...one.tls, certificates: one.tls.certificates.map((files) => ({ ...files, key })) },
    })),
  });
  await assert.rejects(
    gateway.reload({ routes: DPOP, adjust: adjust('no key') }),
    /listener "public": TLS with certificate/,
  );
  assert.equal((await gateway.request('GET', '/1')).status, 200);
});

test('a configuration that was refused is logged, counted and shown, and the policy before it goes on', async (t) => {
  const gateway = await startTestGateway(t, { routes: OPEN });
  gateway.running.refuse(['holdfast.yaml:7:3 routes[0].match: is required'], 'signal');
  const line = await gateway.logged({ msg: 'configuration refused: nothing was changed' });
  assert.deepEqual(line['problems'], ['holdfast.yaml:7:3 routes[0].match: is required']);
  assert.equal(await gateway.count('holdfast_reloads_total', { result: 'refused' }), 1);
  assert.equal(await gateway.count('holdfast_last_reload_successful'), 0);
  assert.equal((await gateway.page('/readyz')).status, 200);
  const page = await readPage(portOf(gateway.running.admin), '/status');
  assert.match(page.body, /routes\[0\]\.match: is required/);
  await gateway.reload({ routes: OPEN });
  assert.equal(await gateway.count('holdfast_last_reload_successful'), 1);
});

/** The gateway as a process of its own. */
async function serve(t: TestContext, routes: string) {
  const upstream = await startUpstream(t);
  const file = writePolicy(t, { routes }, upstream.origin);
  const command = new Command(t, ['serve', '--config', file]);
  const line = await command.logged('serving');
  await command.logged('keys loaded');
  const [listener] = line['listeners'] as string[];
  const ask = (path: string) => sendRequest(Number(/:(\d+)$/.exec(listener ?? '')?.[1]), 'GET', path);
  const change = (edit: (text: string) => string) => {
    writeFileSync(`${file}.new`, edit(readFileSync(file, 'utf8')));
    renameSync(`${file}.new`, file);
  };
  return { command, file, ask, change };
}

test('a file that changes is read again, one that is wrong is refused with its places, and SIGHUP does it too', async (t) => {
  const { command, file, ask, change } = await serve(t, OPEN);
  assert.equal((await ask('/1')).status, 200);

  change((text) => text.replace('path: /*', 'path: /moved/*'));
  const adopted = await command.logged('policy adopted');
  assert.deepEqual([adopted['cause'], adopted['changes']], ['files', ['route orders: match']]);
  assert.deepEqual([(await ask('/1')).reason, (await ask('/moved/1')).status], ['route_not_found', 200]);

  change((text) => text.replace('require: public', 'require: nothing'));
  const wrong = await command.logged('configuration refused: nothing was changed');
  assert.match(String(wrong['problems']), /holdfast\.yaml:\d+:\d+ routes\[0\]\.require: is "nothing", expected/);
  assert.equal((await ask('/moved/1')).status, 200);

  change((text) =>
    text.replace('require: nothing', 'require: public').replace(/^version: 1$/m, 'version: 1\nworkers: 3'),
  );
  const restart = await command.logged('configuration refused: nothing was changed', 2);
  assert.match(String(restart['problems']), /holdfast\.yaml:2:10 workers: needs a restart/);

  const [, taken = ''] = /:(\d+)$/.exec(String((await command.logged('serving'))['admin'])) ?? [];
  change((text) =>
    text
      .replace('\nworkers: 3', '')
      .replace('listeners:\n', `listeners:\n  - { name: late, bind: "127.0.0.1:${taken}", origins: [] }\n`),
  );
  const inUse = await command.logged('configuration refused: nothing was changed', 3);
  assert.deepEqual(inUse['problems'], [
    `${file}:3:25 listeners[0].bind: cannot be bound: the address is in use by another process; nothing was changed`,
  ]);
  change((text) => text.replace(/^ {2}- \{ name: late.*\n/m, '').replace('/moved/*', '/again/*'));
  await command.logged('policy adopted', 2);
  assert.equal((await ask('/again/1')).status, 200);
  command.signal('SIGHUP');
  assert.equal((await command.logged('policy adopted', 3))['cause'], 'signal');
  rmSync(file);
  command.signal('SIGHUP');
  assert.match(
    String((await command.logged('configuration refused: nothing was changed', 4))['problems']),
    /cannot be read/,
  );
  assert.equal((await ask('/again/1')).status, 200);
});
