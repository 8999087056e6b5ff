// `holdfast doctor` as a whole: origins, report, exit codes, time.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { examine } from '../../../src/cli/doctor/doctor.ts';
import type { DoctorFinding } from '../../../src/cli/doctor/finding.ts';
import { lookAtOrigins } from '../../../src/cli/doctor/origins.ts';
import { printFindings } from '../../../src/cli/doctor/report.ts';
import { run } from '../../../src/cli/run.ts';
import type { Listener } from '../../../src/policy/policy.ts';
import { doctorTerms, namesOf } from '../../support/doctor.ts';
import { startUpstream, writePolicy } from '../../support/gateway.ts';
import { KEY_A, serve, site } from '../../support/issuer-server.ts';
import { makeCertificate } from '../../support/pki.ts';
import { policyOf } from '../../support/policies.ts';
import { AUDIENCE } from '../../support/tokens.ts';

const DAY = 86_400;
const terms = doctorTerms();

async function listenerWith(names: readonly string[], days: number, over: Partial<Listener> = {}): Promise<Listener> {
  const [listener] = policyOf({
    listeners: '- { name: public, bind: "127.0.0.1:0", origins: ["http://localhost:8443"] }',
  }).listeners;
  assert.ok(listener);
  const { chain, key } = await makeCertificate({ names, notAfter: Date.now() / 1000 + days * DAY });
  const certificates = [{ cert: chain, key, certFile: 'tls.crt' }];
  return { ...listener, tls: { certificates, minVersion: 'TLSv1.2' }, ...over };
}

/** The lines on standard error are progress: they do not belong into the output of tests. */
async function command(t: TestContext, ...argv: string[]) {
  const progress: string[] = [];
  const write = t.mock.method(process.stderr, 'write', (text: string) => progress.push(text) > 0);
  const printed = await run(argv).finally(() => write.mock.restore());
  return { ...printed, progress: progress.join('') };
}

/** A configuration whose issuer says this of itself. */
async function configured(t: TestContext, said = ''): Promise<string> {
  const issuer = await serve(t);
  const { origin } = issuer;
  issuer.answer = site({
    '/.well-known/oauth-authorization-server': { issuer: `${origin}${said}`, jwks_uri: `${origin}/jwks` },
    '/jwks': { keys: [KEY_A] },
  });
  const upstream = await startUpstream(t);
  return writePolicy(
    t,
    {
      origins: ['https://localhost'],
      files: await localhostCertificate(),
      issuers: `login: { issuer: "${origin}", audience: [${AUDIENCE}] }`,
    },
    upstream.origin,
  );
}

async function localhostCertificate(): Promise<Record<string, string>> {
  const { chain, key } = await makeCertificate({ names: ['localhost'], notAfter: Date.now() / 1000 + 90 * DAY });
  return { 'tls.crt': chain, 'tls.key': key };
}

describe('origins', () => {
  test('one that a certificate covers and that has an address is in order', async () => {
    const findings = await lookAtOrigins(await listenerWith(['localhost'], 90), terms);
    assert.deepEqual(
      findings.map(({ check, verdict }) => `${check}: ${verdict}`),
      ['certificate end: ok', 'certificate: ok', 'name: ok'],
    );
  });
  test('one that no certificate covers is a fault that says which names are covered', async () => {
    const [, finding] = await lookAtOrigins(await listenerWith(['api.example.com', '*.example.org'], 90), terms);
    assert.equal(finding?.verdict, 'fault');
    assert.equal(finding?.found, 'the certificates name api.example.com, *.example.org');
    assert.equal(finding?.expected, 'a certificate for localhost');
  });
  test('behind a trusted peer, whose certificate clients may meet, it is a warning', async () => {
    const trustedPeers = [{ cidr: '10.0.0.0/8', certificateSan: undefined }];
    const [, finding] = await lookAtOrigins(await listenerWith(['a.example'], 90, { trustedPeers }), terms);
    assert.equal(finding?.verdict, 'warning');
  });
  test('a host that DNS does not know is a warning: clients may know it elsewhere', async (t) => {
    const names = await namesOf(t, {});
    const origin = { scheme: 'https', authority: 'api.example.com', pathPrefix: '', wildcard: false } as const;
    const listener = await listenerWith(['api.example.com'], 90, { origins: [origin] });
    const findings = await lookAtOrigins(listener, doctorTerms({ names }));
    assert.deepEqual(
      findings.map(({ verdict }) => verdict),
      ['ok', 'ok', 'warning'],
    );
  });
  test('the end of a certificate is a warning three weeks before, and a fault afterwards', async () => {
    for (const [days, verdict] of [
      [22, 'ok'],
      [20, 'warning'],
      [-0.01, 'fault'],
    ] as const) {
      assert.equal((await lookAtOrigins(await listenerWith(['localhost'], days), terms))[0]?.verdict, verdict);
    }
  });
});

describe('the command', () => {
  test('without a fault it ends with 0, says what it looked at, and reports progress apart', async (t) => {
    const { exit, stdout, progress } = await command(t, 'doctor', '-c', await configured(t));
    assert.equal(exit, 0, stdout);
    assert.match(stdout, /^verdict +subject +check +found\n/);
    assert.match(stdout, /^ok +issuer login +usable keys +1 for /m);
    assert.match(progress, /^issuer login: looked at, /m);
  });
  test('a fault ends it with 1, and is told in full with what to do', async (t) => {
    const { exit, stdout } = await command(t, 'doctor', await configured(t, '/'));
    assert.equal(exit, 1);
    assert.match(
      stdout,
      /^fault: issuer login, issuer\n {2}found {5}\S+\/ \(differs: trailing slash\)\n {2}expected {2}\S+\n {2}next /m,
    );
    assert.match(stdout, /^1 fault, 1 unknown, \d+ in order\.$/m);
  });
  test('--json has the same on standard output alone', async (t) => {
    const { exit, stdout } = await command(t, 'doctor', await configured(t, '/'), '--json');
    const told = JSON.parse(stdout) as { faults: number; findings: DoctorFinding[] };
    assert.deepEqual([exit, told.faults], [1, 1]);
    assert.ok(told.findings.every(({ subject, check, found }) => [subject, check, found].every((text) => text !== '')));
    assert.ok(told.findings.every(({ verdict, next }) => (verdict === 'ok') === (next === '')));
  });
  test('a configuration with problems ends it with 78 before anything is called', async (t) => {
    const file = writePolicy(t, { more: 'nonsense: 1' });
    assert.equal((await command(t, 'doctor', file)).exit, 78);
    assert.equal((await command(t, 'check', file, '--online')).exit, 78);
  });
  test('check --online says both, and takes no standard input', async (t) => {
    const file = await configured(t, '/');
    const { exit, stdout } = await command(t, 'check', file, '--online');
    assert.equal(exit, 1);
    assert.match(stdout, /^The configuration is good: 1 route\.\n\nverdict /m);
    const { stdout: text } = await command(t, 'check', file, '--online', '--json');
    const told = JSON.parse(text) as { valid: boolean; online: { faults: number } };
    assert.deepEqual([told.valid, told.online.faults], [true, 1]);
    assert.equal((await command(t, 'check', '-', '--online')).exit, 64);
    assert.equal((await command(t, 'check', file, '--online', '--without-files')).exit, 64);
  });
  test('what takes too long is cut off as a whole, and everything else is told', async (t) => {
    const silent = await serve(t);
    silent.answer = () => {};
    const policy = policyOf({
      issuers: `login: { issuer: "${silent.origin}", audience: [${AUDIENCE}] }`,
      upstreams: `orders: { targets: ["${silent.origin}"] }`,
    });
    const findings = await examine(policy, { limits: { each: 600, all: 0.5 } });
    // What was asked of it ended with the time for everything.
    assert.ok(findings.some(({ subject, verdict }) => subject === 'issuer login' && verdict === 'fault'));
    assert.ok(findings.some(({ subject }) => subject.startsWith('upstream orders')));
  });
});

test('what a server wrote does not steer the terminal', () => {
  const finding: DoctorFinding = { subject: 'a', check: 'b', verdict: 'fault', found: 'c\u001b[2J\nd', next: 'e' };
  assert.doesNotMatch(printFindings([finding]), /\u001b/);
});
