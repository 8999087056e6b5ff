// `holdfast probe` against Holdfast, and against an nginx that checks nothing.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CATALOGUE } from '../../../src/cli/probe/catalogue.ts';
import { ORIGIN, portOf, SERVER, startTestGateway } from '../../support/gateway.ts';
import { startNginx } from '../../support/balancers.ts';
import { findProgram, freePort, INSTALLING } from '../../support/programs.ts';
import { type Ran, runProbe } from './probing.ts';
import { type ProbeRig, startRig } from './rig.ts';

const URL_OF_ORDER = `${ORIGIN}/orders/1`;
/** Only echoes of the protected path have it. */
const MARKER = '"path": "/orders/1';

const ROUTES = (upstream: number) => `
- { name: orders, match: { path: /orders/* }, upstream: echo, require: sender-constrained, dpop: { nonce: on-skew } }
- { name: nonce, match: { path: /nonce/* }, upstream: echo, require: dpop, dpop: { nonce: required } }
- { name: legacy, match: { path: /legacy/* }, upstream: echo, require: token, weaker_than_defaults: [require] }
- { name: open, match: { path: /healthz }, upstream: echo, require: public, weaker_than_defaults: [require] }
# to 127.0.0.1:${upstream}
`;

async function startHoldfast(t: Parameters<typeof startRig>[0], rig: ProbeRig): Promise<number> {
  const gateway = await startTestGateway(t, {
    routes: ROUTES(rig.upstream),
    listener: 'client_certificate: { request: optional, verify: chain, ca_file: issuer-ca.pem }',
    issuers: `login: { issuer: "${rig.issuer}", audience: ["${ORIGIN}"], keys: discovery, ca_file: issuer-ca.pem, require_typ: true }`,
    upstreams: `echo: { targets: ["http://127.0.0.1:${rig.upstream}"] }`,
    files: { 'issuer-ca.pem': rig.ca },
  });
  // A proof that is dated before the replay store began is answered with a nonce, and proofs are dated in whole seconds.
  await pause(1000 - (Date.now() % 1000));
  return portOf(gateway.running.listeners[0]?.bind);
}

/** Nothing got in, and every answer was the expected one. */
function assertHeld({ exit, report, ids }: Ran): void {
  const others = report.attacks.filter(({ verdict }) => verdict !== 'held' && verdict !== 'not_tried');
  assert.deepEqual([others, ids('held').length > 20, report.stopped, exit], [[], true, null, 0]);
}

const idsOf = (group: string) => CATALOGUE.filter((attack) => attack.group === group).map(({ id }) => id);

const NO_CERTIFICATE = [
  'no-certificate',
  'other-certificate',
  'certificate-field',
  'certificate-xfcc',
  'certificate-pem',
  'certificate-base64',
];
const NO_NONCE = ['no-nonce', 'nonce-made-up', 'nonce-changed'];

describe('Holdfast holds the whole catalogue', () => {
  test('with a DPoP-bound token; only what needs other credentials is left out', async (t) => {
    const rig = await startRig(t);
    const port = await startHoldfast(t, rig);
    const ran = await runProbe(URL_OF_ORDER, { ...rig.options('dpop', port), marker: MARKER });
    assertHeld(ran);
    assert.deepEqual(ran.report.bindings, ['dpop']);
    assert.deepEqual(ran.ids('not_tried'), ['foreign-token', ...NO_NONCE, ...NO_CERTIFICATE]);
  });

  test('with a nonce in every proof', async (t) => {
    const rig = await startRig(t);
    const port = await startHoldfast(t, rig);
    const only = 'token,proof,replay,nonce';
    const ran = await runProbe(`${ORIGIN}/nonce/1`, { ...rig.options('dpop', port), only });
    assertHeld(ran);
    assert.deepEqual(ran.ids('not_tried'), ['foreign-token']);
    assert.deepEqual(
      NO_NONCE.filter((id) => !ran.ids('held').includes(id)),
      [],
    );
  });

  test('with a certificate-bound token', async (t) => {
    const rig = await startRig(t);
    const port = await startHoldfast(t, rig);
    const ran = await runProbe(URL_OF_ORDER, { ...rig.options('mtls', port), marker: MARKER });
    assertHeld(ran);
    assert.deepEqual(ran.report.bindings, ['certificate']);
    assert.deepEqual(
      NO_CERTIFICATE.filter((id) => !ran.ids('held').includes(id)),
      [],
    );
  });

  test('with an unbound token, where that is allowed, and says what that is worth', async (t) => {
    const rig = await startRig(t);
    const port = await startHoldfast(t, rig);
    const more = { only: 'token,fields,paths,lines', marker: '"path": "/legacy/1' };
    const ran = await runProbe(`${ORIGIN}/legacy/1`, { ...rig.options('bearer', port), ...more });
    assert.match(ran.report.notes.join(' '), /The token is bound to nothing/);
    assert.deepEqual([ran.exit, ran.report.summary['not_held']], [0, 0]);
  });
});

describe('nginx in front of the same API, without any check', () => {
  before(() => findProgram('nginx'), INSTALLING);

  test('holds nothing of token and proof, and what it holds is its reading of requests', async (t) => {
    const [rig, port] = [await startRig(t), await freePort()];
    const configuration = `
http {
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate tls.crt; ssl_certificate_key tls.key;
    location / { proxy_pass http://127.0.0.1:${rig.upstream}; }
  }
}`;
    await startNginx(t, configuration, { 'tls.crt': SERVER.chain, 'tls.key': SERVER.key });
    const { exit, report, ids } = await runProbe(URL_OF_ORDER, { ...rig.options('dpop', port), marker: MARKER });
    assert.equal(exit, 1);
    assert.equal(report.without, '200');
    const checks = ['token', 'proof', 'replay'].flatMap((group) => idsOf(group));
    const held = ['two-authorizations', 'two-authorizations-other'];
    assert.deepEqual(
      checks.filter((id) => !ids('not_held').includes(id)),
      [...held, 'foreign-token'],
    );
    const lines = 'two-hosts no-host bad-host space-before-colon folded-line bare-cr nul target-space'.split(' ');
    assert.deepEqual(
      ids('held').filter((id) => !/^(?:framing|tls|cors)-/.test(id)),
      [...held, 'method-override', ...lines, 'plain-http'],
    );
    assert.deepEqual(ids('different'), ['other-host', 'bare-lf']);
    assert.deepEqual(Object.keys(report.next), ['token', 'proof', 'replay']);
  });
});
