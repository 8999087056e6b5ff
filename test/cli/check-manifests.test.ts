// `holdfast check` of Kubernetes objects: configurations found, and problems located.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { readCommandLine } from '../../src/cli/arguments.ts';
import { check } from '../../src/cli/check.ts';
import { configuration } from '../support/policies.ts';

const GOOD = configuration({});
const WITH_FILES = configuration({
  listeners: `- name: public
  bind: "0.0.0.0:8443"
  origins: [https://api.example.com]
  tls: { certificates: [{ cert: tls/tls.crt, key_file: tls/tls.key }] }
  client_certificate: { request: optional, ca_file: tls/clients.pem }`,
  issuers: 'login: { issuer: https://login.example.com, audience: [x], ca_file: a.pem, keys: { jwks_file: k.json } }',
  upstreams: 'orders: { targets: ["https://x"], tls: { ca_file: b.pem, cert: c.pem, key_file: c.key } }',
  more: 'nonce: { secret_files: [nonce/b, nonce/a] }\n',
});

const configMap = (name: string, data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
const stream = (...objects: object[]) => objects.map((one) => stringify(one)).join('---\n');
const checkStream = (text: string, json = false) => check('-', text, { json });

test('a configuration is still a configuration, and text that is neither is reported as one', () => {
  assert.match(checkStream(GOOD).stdout, /^route .*\norders .*\n\nlistener public/);
  assert.match(checkStream('version: 2').stderr, /^<stdin>:1:10 version/m);
  assert.equal(checkStream('a: [').exit, 78);
  assert.equal(checkStream('').exit, 78);
  assert.match(checkStream(`${GOOD}---\n${GOOD}`).stderr, /second document/);
});

test('every ConfigMap with a holdfast.yaml is checked, in lists as well, and the same configuration once', () => {
  const other = configuration({ listeners: '- { name: other, bind: "127.0.0.1:0", origins: ["http://localhost"] }' });
  const list = { apiVersion: 'v1', kind: 'List', items: [configMap('two', { 'holdfast.yaml': other })] };
  const text = stream(
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' } },
    configMap('one', { 'holdfast.yaml': GOOD }),
    configMap('one-check', { 'holdfast.yaml': GOOD }),
    list,
    configMap('other', { 'other.yaml': 'x' }),
  );
  const { exit, stdout } = checkStream(`---\n# Source: x\n${text}---\n`);
  assert.equal(exit, 0);
  assert.deepEqual(
    [...stdout.matchAll(/^ConfigMap (.*)$/gm)].map(([, name]) => name),
    ['one', 'two'],
  );
  const json = JSON.parse(checkStream(text, true).stdout);
  assert.deepEqual(
    [json.valid, json.configurations.map((one: { configMap: string }) => one.configMap)],
    [true, ['one', 'two']],
  );
});

test('objects without a configuration are a mistake, and said to be one', () => {
  const { exit, stderr } = checkStream(stream(configMap('x', { 'other.yaml': GOOD })));
  assert.deepEqual([exit, stderr], [78, 'holdfast: no ConfigMap here has a key holdfast.yaml\n']);
});

test('nothing at all is what a failed command before the pipe leaves, and that is said', () => {
  for (const text of ['', ' \n']) {
    const { exit, stderr } = checkStream(text);
    assert.equal(exit, 78);
    assert.match(stderr, /^holdfast: standard input is empty; expected .*\n.*set -o pipefail.*\n$/);
    assert.match(JSON.parse(checkStream(text, true).stdout).error, /standard input is empty/);
  }
});

test('one wrong configuration among good ones is a refusal, with its place in the ConfigMap', () => {
  const wrong = GOOD.replace('upstream: orders', 'upstream: oders');
  const text = stream(configMap('good', { 'holdfast.yaml': GOOD }), configMap('bad', { 'holdfast.yaml': wrong }));
  const { exit, stdout, stderr } = checkStream(text);
  assert.equal(exit, 78);
  assert.match(stdout, /^ConfigMap good\n/);
  assert.match(stderr, /^ConfigMap bad: holdfast\.yaml:\d+:\d+ routes\[0\]\.upstream: /m);
  const json = JSON.parse(checkStream(text, true).stdout);
  assert.deepEqual(
    [json.valid, json.configurations.map((one: { valid: boolean }) => one.valid)],
    [false, [true, false]],
  );
});

test('files beside the configuration are included, and no name leads out of its folder', () => {
  const route = '{ name: more, match: { host: localhost, path: /more }, upstream: orders, issuers: [login] }';
  const files = { 'routes-more.yaml': `routes: [${route}]\n`, '../outside.yaml': 'x', '..': 'x', 'sub/x': 'x' };
  const main = `include: [{ files: routes-*.yaml, routes: [localhost/more], upstreams: [orders] }]\n${GOOD}`;
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('holdfast-check-'));
  const { exit, stdout } = checkStream(stream(configMap('x', { 'holdfast.yaml': main, ...files })));
  assert.equal(exit, 0);
  assert.match(stdout, /^more +any +localhost\/more /m);
  assert.ok(!existsSync(join(tmpdir(), 'outside.yaml')));
  assert.deepEqual(
    readdirSync(tmpdir()).filter((name) => name.startsWith('holdfast-check-')),
    before,
  );
});

test('certificates, keys and secrets need not be there, which is said of each; everything else is checked', () => {
  const { exit, stdout } = checkStream(stream(configMap('x', { 'holdfast.yaml': WITH_FILES })));
  assert.equal(exit, 0);
  const absent = [...stdout.matchAll(/(\S+): is a file that is not here: its content was not checked/g)].map(
    ([, key]) => key,
  );
  assert.deepEqual(
    new Set(absent),
    new Set([
      'issuers.login.ca_file',
      'issuers.login.keys.jwks_file',
      'listeners[0].client_certificate.ca_file',
      'listeners[0].tls.certificates[0].cert',
      'listeners[0].tls.certificates[0].key_file',
      'nonce.secret_files[0]',
      'nonce.secret_files[1]',
      'upstreams.orders.tls.ca_file',
      'upstreams.orders.tls.cert',
      'upstreams.orders.tls.key_file',
    ]),
  );
});

test('--without-files allows the same of a file, and without it their absence is a problem', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'holdfast.yaml');
  writeFileSync(file, WITH_FILES);
  assert.equal(check(file, undefined, { withoutFiles: true }).exit, 0);
  assert.match(check(file, undefined).stderr, /10 problems; this configuration is not used/);
  writeFileSync(join(folder, 'a.pem'), 'no certificate');
  assert.match(
    check(file, undefined, { withoutFiles: true }).stderr,
    /issuers\.login\.ca_file: has no readable certificates/,
  );
  assert.equal(readCommandLine(['check', 'a.yaml', '--without-files']).options.config, 'a.yaml');
  assert.throws(() => readCommandLine(['serve', '-c', 'a.yaml', '--without-files']), /takes no --without-files/);
});

test('what cannot be looked into without its files is no further problem: secrets, keys to sign with, certificates', () => {
  const { exit, stdout, stderr } = check('config/examples/fapi.yaml', undefined, { withoutFiles: true, verbose: true });
  assert.deepEqual([exit, stderr], [0, '']);
  assert.match(stdout, /with private_key_jwt/);
  assert.match(stdout, /introspection\.private_key_file: is a file that is not here/);
});
