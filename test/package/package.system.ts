// The package: its content and its command, also as npm runs it in a checkout.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { writePolicy } from '../support/gateway.ts';
import { Command } from '../gateway/command.ts';
import { INSTALLING } from '../support/programs.ts';
import { env, pack, type Packed } from './packing.ts';

const { engines, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

describe('npm pack', () => {
  let packed: Packed & { folder: string; remove: () => void };
  /** Unpacked, without any dependency beside it. */
  let installed: string;
  before(() => {
    packed = pack();
    installed = join(packed.folder, 'unpacked', 'package');
    mkdirSync(join(packed.folder, 'unpacked'));
    execFileSync('tar', ['-xzf', packed.file, '-C', join(packed.folder, 'unpacked')]);
  }, INSTALLING);
  after(() => packed.remove());

  const command = (): [string, string] => [process.execPath, join(installed, 'bin/holdfast.cjs')];
  const run = (...args: string[]) => {
    const [program, file] = command();
    return spawnSync(program, [file, ...args], { encoding: 'utf8', cwd: packed.folder });
  };

  test('packs the program, the schema and the configurations, and nothing that only a checkout needs', () => {
    const wanted = [
      'bin/holdfast.cjs',
      'dist/main.js',
      'dist/worker/thread.js',
      'dist/licenses.txt',
      'schema/holdfast.schema.json',
    ];
    for (const path of [...wanted, 'config/quickstart.yaml', 'docs/holdfast.1', 'LICENSE', 'README.md']) {
      assert.ok(packed.paths.includes(path), path);
    }
    const foreign = packed.paths.filter((path) =>
      /^(?:src|test|bench|quickstart|scripts|helm|deploy|node_modules)\/|\.ts$/.test(path),
    );
    assert.deepEqual(foreign, []);
  });

  test('leaves out what would bring a second Node to every machine, and the checkout as it was', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    for (const key of ['dependencies', 'optionalDependencies', 'devDependencies', 'scripts'])
      assert.equal(manifest[key], undefined);
    assert.deepEqual(manifest.bin, { holdfast: 'bin/holdfast.cjs' });
    assert.equal(manifest.man, 'docs/holdfast.1');
    assert.equal(manifest.engines.node, engines.node);
    assert.equal(packed.manifests[1], packed.manifests[0]);
  });

  test('gives a command that says its version, prints the schema, and checks the configurations that come with it', () => {
    assert.equal(run('version').stdout, `holdfast ${version}\n`);
    assert.equal(run('schema').stdout, readFileSync(join(ROOT, 'schema/holdfast.schema.json'), 'utf8'));
    const { status, stdout } = run('check', '--without-files', join(installed, 'config/quickstart.yaml'));
    assert.equal(status, 0);
    assert.match(stdout, /The configuration is good: \d+ routes\.\n$/);
    assert.equal(run('validate').status, 64);
  });

  test('loads keys from an issuer, and forwards to an upstream', async (t) => {
    const keys = readFileSync(join(dirname(writePolicy(t, {})), 'keys.json'));
    const server = createServer((_, answer) => answer.end(keys)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const listeners = '[{ name: a, bind: "127.0.0.1:0", origins: ["http://localhost"] }]';
    const config = `{ version: 1, listeners: ${listeners}, admin: { bind: "127.0.0.1:0" }, telemetry: { bind: "127.0.0.1:0" },
      issuers: { login: { issuer: "https://login.example.com", audience: [api], keys: { jwks_uri: "${url}/keys" } } }, upstreams: { up: { targets: ["${url}"] } },
      routes: [{ name: open, match: { path: /* }, upstream: up, require: public, weaker_than_defaults: [require] }] }`;
    const gateway = new Command(
      t,
      ['serve', '--config', writePolicy(t, { files: { 'holdfast.yaml': config } })],
      '',
      command(),
    );
    const { listeners: bound } = await gateway.logged('serving');
    await gateway.logged('keys loaded');
    const [, port] = /:(\d+)$/.exec(String((bound as string[])[0])) ?? [];
    const asked = get({ host: '127.0.0.1', port, path: '/x', headers: { host: 'localhost' } });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(JSON.parse(await text(answer)), JSON.parse(keys.toString()));
  });

  test('serves with worker threads, and ends with 0 on SIGTERM', async (t) => {
    const routes =
      '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
    const file = writePolicy(t, { routes, more: 'workers: 2\ndrain: { delay: 0s, grace: 5s }' });
    const gateway = new Command(t, ['serve', '--config', file], '', command());
    const { listeners } = await gateway.logged('serving');
    assert.ok(Array.isArray(listeners) && listeners.length === 1);
    gateway.signal('SIGTERM');
    assert.equal((await gateway.ended).exit, 0);
  });
});

describe('npm run holdfast', () => {
  const holdfast = (cwd: string, ...args: string[]) =>
    spawnSync('npm', ['run', '--silent', '--prefix', ROOT, 'holdfast', '--', ...args], { cwd, env, encoding: 'utf8' });

  test('reads a configuration in the folder of who called it', (t) => {
    const { status, stdout, stderr } = holdfast(dirname(writePolicy(t, {})), 'check', '-c', 'holdfast.yaml');
    assert.equal(status, 0, stderr);
    assert.match(stdout, /The configuration is good/);
  });

  test('says at which path it looked for a configuration that is not there', (t) => {
    const folder = realpathSync(dirname(writePolicy(t, {})));
    const { status, stderr } = holdfast(folder, 'check', '-c', './conf/holdfast.yaml');
    assert.equal(status, 78);
    const tried = `./conf/holdfast.yaml:1:1 cannot be read (ENOENT: no such file or directory), expected a readable file; looked for it at ${folder}/conf/holdfast.yaml\n`;
    assert.ok(stderr.startsWith(tried), stderr);
  });
});
