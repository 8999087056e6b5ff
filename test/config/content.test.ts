// Contents in the place of names of files: read as such, and shown nowhere.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { check } from '../../src/cli/check.ts';
import { contentOf, fillContents, hideContents, isContent } from '../../src/config/content.ts';
import { compilePolicy } from '../../src/config/compile/compile.ts';
import { effectiveConfig } from '../../src/config/report/effective.ts';
import { describePolicy } from '../../src/config/report/describe.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { readPolicyFile } from '../../src/config/read/read.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';
import { makeKey } from '../support/tokens.ts';

const CA = await makeCa();
const SERVER = await makeCertificate({ names: ['api.example.com'], ca: CA });
const KEYS = JSON.stringify({ keys: [(await makeKey('ES256', 'k1')).jwk] });
/** In the middle of the key: no text that is shown may have any of it. */
const SECRET = SERVER.key.split('\n')[1] ?? '';
const NONCE = 'n0nce-secret-of-more-than-thirty-two-bytes';

const configuration = (over: Record<string, unknown> = {}) => ({
  version: 1,
  listeners: [
    {
      name: 'public',
      bind: '127.0.0.1:0',
      origins: ['https://api.example.com'],
      tls: { certificates: [{ cert: SERVER.chain, key_file: SERVER.key }] },
      client_certificate: { request: 'optional', ca_file: CA.cert },
    },
  ],
  issuers: {
    login: {
      issuer: 'https://login.example.com',
      audience: ['a'],
      keys: { jwks_file: `data:application/json,${encodeURIComponent(KEYS)}` },
    },
  },
  nonce: { secret_files: [`data:;base64,${Buffer.from(NONCE).toString('base64')}`] },
  upstreams: { orders: { targets: ['https://orders.internal'], tls: { ca_file: CA.cert } } },
  routes: [{ name: 'orders', match: { path: '/*' }, upstream: 'orders' }],
  ...over,
});

function write(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'holdfast.yaml');
  writeFileSync(file, text);
  return file;
}

function assertHidden(text: string): void {
  for (const secret of [SECRET, SECRET.slice(0, 12), NONCE, Buffer.from(NONCE).toString('base64'), 'PRIVATE KEY']) {
    assert.ok(!text.includes(secret), `${secret.slice(0, 12)} is shown in ${text.slice(0, 2000)}`);
  }
}

const asYaml = (pem: string, indent: number) => pem.trimEnd().replaceAll(/^/gm, ' '.repeat(indent));
const YAML = `
version: 1
listeners:
  - name: public
    bind: "127.0.0.1:0"
    origins: [https://api.example.com]
    tls:
      certificates:
        - cert: |
${asYaml(SERVER.chain, 12)}
          key_file: |
${asYaml(SERVER.key, 12)}
defaults: { require: public }
upstreams: { orders: { targets: ["http://127.0.0.1:9000"] } }
routes: [{ name: orders, match: { path: /* }, upstream: orders }]
`;

test('PEM and data URLs are what the keys mean, in YAML and in JSON', (t) => {
  for (const text of [YAML, JSON.stringify(configuration()), JSON.stringify(configuration(), undefined, 2)]) {
    const read = readPolicyFile(write(t, text), { env: {} });
    assert.ok(!('problems' in read), 'problems' in read ? read.problems.map(formatProblem).join('\n') : '');
    const compiled = compilePolicy(read, Date.now() / 1000);
    assert.ok('policy' in compiled, JSON.stringify(compiled));
    const [listener] = compiled.policy.listeners;
    const [certificate] = listener?.tls?.certificates ?? [];
    assert.equal(certificate?.key.trim(), SERVER.key.trim());
    assert.equal(certificate?.certFile, 'inline:listeners.0.tls.certificates.0.cert');
    assertHidden(effectiveConfig(read));
    assertHidden(JSON.stringify(describePolicy(compiled.policy)));
    if (text === YAML) continue;
    assert.deepEqual(compiled.policy.nonce.secrets.map(String), [NONCE]);
    const [login] = compiled.policy.issuers;
    assert.ok(login?.keys.from === 'jwks_file' && String(login.keys.content) === KEYS);
  }
});

test('nothing that is printed about a wrong configuration shows content, wherever it stands', (t) => {
  const [, ...others] = SERVER.key.split('\n');
  const wrong = [
    // Of another certificate, cut short, at a key that takes none, at one that there is not, in a list, and as a name.
    JSON.stringify(configuration()).replace(JSON.stringify(SERVER.chain), JSON.stringify(CA.cert)),
    JSON.stringify(configuration()).replace(others.at(-2) ?? '', ''),
    JSON.stringify(configuration()).replaceAll('\\n-----END', '\\nEND'),
    JSON.stringify(configuration({ problem_base: SERVER.key })),
    JSON.stringify(configuration({ keyfile: SERVER.key, workers: SERVER.key })),
    JSON.stringify(configuration({ include: [SERVER.key] })),
    JSON.stringify(configuration({ nonce: { secret_files: [`data:;base64,${SECRET}!`] } })),
    JSON.stringify(configuration({ nonce: { secret_files: [`data:,%zz${NONCE}`] } })),
    `${JSON.stringify(configuration())}}`,
    YAML.replace('cert: |', 'certt: |'),
    YAML.replace('key_file: |', 'key_file: >\n'),
    YAML.replace(/^( +)(-----END .*KEY-----)$/m, '\t$2'),
    YAML.replace('-----BEGIN PRIVATE KEY-----', '-----BEGIN PRIVATE KEY-----\n: [ {'),
    YAML.replace('routes: [', 'routes: ]'),
    YAML.replace('          key_file: |', '          key_file: |\n          key_file: |'),
  ];
  for (const [index, text] of wrong.entries()) {
    const file = write(t, text);
    for (const json of [true, false]) {
      const printed = check(file, undefined, { json });
      assert.notEqual(printed.exit, 0, `${index}: ${printed.stdout}`);
      assertHidden(printed.stdout + printed.stderr);
    }
  }
});

test('content is told from names, and data URLs are read strictly', () => {
  for (const value of [
    '-----BEGIN CERTIFICATE-----\nMII',
    '\n  -----BEGIN X509 CRL-----',
    'data:,',
    'data:text/plain;base64,AA==',
  ]) {
    assert.ok(isContent(value), value);
  }
  for (const value of ['tls.crt', './data:x', '/run/-----BEGIN ', 'metadata:x', ''])
    assert.ok(!isContent(value), value);
  assert.equal(String(contentOf('data:,a%20b')), 'a b');
  assert.equal(String(contentOf('data:text/plain;charset=utf-8;base64,YWI=')), 'ab');
  assert.equal(String(contentOf('data:;base64,YWI')), 'ab');
  assert.equal(String(contentOf('data:,')), '');
  for (const value of ['data:', 'data:x', 'data:,%', 'data:;base64,a-_b', 'data:;base64,Y', 'data:;base64,YWI=YWI=']) {
    assert.equal(contentOf(value), undefined, value);
  }
});

test('what is hidden keeps offsets and lines, however long and unfinished it is', () => {
  const text = `a: 1\nk: "${SERVER.key.replaceAll('\n', '\\n')}"\nb: [data:;base64,${SECRET}]\nc: |\n${asYaml(SERVER.key, 2)}\nd: -----BEGIN X-----\nrest`;
  const filled = fillContents(text);
  assert.equal(filled.length, text.length);
  assert.equal(filled.split('\n').length, text.split('\n').length);
  assertHidden(filled);
  assert.equal(hideContents('before -----BEGIN X-----\nabc\n-----END X----- after'), 'before … after');
  const long = '-----BEGIN '.repeat(20_000);
  const before = performance.now();
  fillContents(long);
  assert.ok(performance.now() - before < 5000);
});
