// The package: its content, its command, and what that says under a Node that is too old.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { ROOT } from '../../scripts/generate.ts';
import { writePolicy } from '../support/gateway.ts';
import { Command } from '../gateway/command.ts';
import { INSTALLING } from '../support/programs.ts';
import { env, pack, type Packed } from './packing.ts';

const LAUNCHER = readFileSync(join(ROOT, 'bin/holdfast.cjs'), 'utf8');
const { engines, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

describe('npm pack', () => {
  let packed: Packed & { folder: string; remove: () => void };
  /** Unpacked, with the dependencies of the checkout beside it. */
  let installed: string;
  before(() => {
    packed = pack();
    installed = join(packed.folder, 'unpacked', 'package');
    mkdirSync(join(packed.folder, 'unpacked'));
    execFileSync('tar', ['-xzf', packed.file, '-C', join(packed.folder, 'unpacked')]);
    symlinkSync(join(ROOT, 'node_modules'), join(packed.folder, 'unpacked', 'node_modules'));
  }, INSTALLING);
  after(() => packed.remove());

  const command = (): [string, string] => [process.execPath, join(installed, 'bin/holdfast.cjs')];
  const run = (...args: string[]) => {
    const [program, file] = command();
    return spawnSync(program, [file, ...args], { encoding: 'utf8', cwd: packed.folder });
  };

  test('packs the program, the schema and the configurations, and nothing that only a checkout needs', () => {
    const wanted = ['bin/holdfast.cjs', 'dist/main.js', 'dist/worker/thread.js', 'schema/holdfast.schema.json'];
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
    for (const key of ['optionalDependencies', 'devDependencies', 'scripts']) assert.equal(manifest[key], undefined);
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

describe('the command under another Node', () => {
  /** Runs the launcher as a Node of this version would. */
  function launch(node: string, built = true) {
    const said = { stderr: '', exit: undefined as number | undefined, required: '', heard: [] as string[] };
    const exit = (code: number) => {
      said.exit = code;
      throw new Error('ended');
    };
    const fs = { readFileSync, existsSync: () => built };
    const modules: Record<string, unknown> = { fs, path: { join } };
    const require = (name: string) => modules[name] ?? (said.required = name);
    const process = {
      versions: { node },
      execPath: '/usr/bin/node',
      stderr: { write: (text: string) => (said.stderr += text) },
      exit,
      on: (signal: string) => said.heard.push(signal),
    };
    try {
      runInNewContext(LAUNCHER.replace(/^#!.*/, ''), { require, process, __dirname: join(ROOT, 'bin') });
    } catch (error) {
      assert.equal((error as Error).message, 'ended');
    }
    return said;
  }
  const needed = String(engines.node).replace('>=', '');

  for (const node of ['8.17.0', '20.20.2', '25.99.99']) {
    test(`${node} is told which one is needed, and nothing is started`, () => {
      const { stderr, exit, required } = launch(node);
      assert.match(
        stderr,
        new RegExp(
          `^holdfast: needs Node ${needed} or later, and this is Node ${node} \\(/usr/bin/node\\): install .*\\n$`,
        ),
      );
      assert.deepEqual([exit, required], [1, '']);
    });
  }

  for (const node of [needed, '26.10.0', '100.0.0']) {
    test(`${node} starts the program`, () => {
      const { stderr, exit, required, heard } = launch(node);
      assert.deepEqual([stderr, exit, required], ['', undefined, join(ROOT, 'dist/main.js')]);
      assert.deepEqual(heard, ['SIGUSR1'], 'no moment in which it would open an inspector');
    });
  }

  test('a checkout that was not built says how to go on', () => {
    assert.match(launch(needed, false).stderr, /dist\/main\.js is not there: .*npm run build/);
  });

  test('is written in the syntax of Node that nobody uses any more, or it could not say so', () => {
    const code = LAUNCHER.replaceAll(/\/\*\*[^]*?\*\/|\/\/.*/g, '').replaceAll(/'[^'\n]*'/g, '0');
    assert.doesNotMatch(code, /=>|`|\?\.|\?\?|\b(?:const|let|class|async|await|import)\b|,\s*\)/);
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
