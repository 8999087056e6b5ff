// The unit of deploy/systemd at work under a real systemd, by the steps of the page.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { buildInto } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/generate.ts';
import { whyNoNetwork } from '../cluster/network.ts';
import { ISSUER_KEY, SERVER } from '../support/gateway.ts';
import { canInstall, findProgram, INSTALLING } from '../support/programs.ts';
import { makeFolder } from './stack.ts';

const CGROUPS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));
const skip =
  (await whyNoNetwork()) ??
  (CGROUPS === undefined ? 'there is no cgroup2 here' : canInstall ? false : 'systemd is installed as root on Debian');

/** What the machine in there has told. */
interface Told {
  readonly ready: number;
  readonly still: number;
  readonly running: string;
  readonly stopped: string;
  readonly log: string;
}

/** The files of the steps, but for names of hosts: keys of the issuer come from a file. */
async function install(t: TestContext, node: string): Promise<string> {
  const folder = makeFolder(t);
  const [program, etc] = [join(folder, 'opt/holdfast'), join(folder, 'etc/holdfast')];
  mkdirSync(join(etc, 'tls'), { recursive: true });
  mkdirSync(program, { recursive: true });
  await buildInto(join(program, 'dist'));
  cpSync(join(ROOT, 'bin'), join(program, 'bin'), { recursive: true });
  for (const name of ['package.json', 'README.md']) copyFileSync(join(ROOT, name), join(program, name));
  const text = readFileSync(join(ROOT, 'deploy/systemd/holdfast.yaml'), 'utf8');
  const keys = 'audience: [https://api.example.com], keys: { jwks_file: keys.json } }';
  writeFileSync(join(etc, 'holdfast.yaml'), text.replace('audience: [https://api.example.com] }', keys));
  writeFileSync(join(etc, 'keys.json'), JSON.stringify({ keys: [ISSUER_KEY.jwk] }));
  writeFileSync(join(etc, 'tls/tls.crt'), SERVER.chain);
  writeFileSync(join(etc, 'tls/tls.key'), SERVER.key, { mode: 0o600 });
  copyFileSync(join(ROOT, 'deploy/systemd/holdfast.service'), join(folder, 'holdfast.service'));
  copyFileSync(node, join(folder, 'node'));
  chmodSync(join(folder, 'node'), 0o755);
  return folder;
}

/** Starts systemd over what was installed, and waits for what it tells. */
async function boot(t: TestContext, installed: string): Promise<Told> {
  const results = makeFolder(t);
  const root = makeFolder(t);
  copyFileSync(join(import.meta.dirname, 'unit-asking.mjs'), join(results, 'asking.mjs'));
  const group = join(CGROUPS ?? '', `holdfast-${process.pid}-${Date.now()}`);
  mkdirSync(group);
  const spaces = ['--cgroup', '--mount', '--uts', '--ipc', '--pid', '--net', '--fork', '--kill-child=KILL'];
  const script = [join(import.meta.dirname, 'unit.sh'), root, installed, results];
  // Into its group first: systemd takes the group that it is in for the whole machine's.
  const words = `echo $$ > ${group}/cgroup.procs && exec "$@"`;
  const child = spawn('sh', ['-c', words, 'sh', 'unshare', ...spaces, '--propagation', 'private', 'sh', ...script], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    await removeGroup(group);
  });
  const file = join(results, 'told.json');
  for (const until = Date.now() + 90_000; !existsSync(file); await pause(100)) {
    assert.ok(Date.now() < until && child.exitCode === null, 'systemd told nothing');
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Told;
}

/** What was in it ends in its own time. */
async function removeGroup(group: string): Promise<void> {
  const all = () => globSync(`${group}/**/`).toSorted().toReversed();
  for (const until = Date.now() + 10_000; ; await pause(100)) {
    try {
      for (const one of all()) rmdirSync(one);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || Date.now() > until) throw error;
    }
  }
}

/** The oldest Node that `npm start` takes, which the unit does not. */
const OLD = '20.19.0';

/** Path of the program, from the registry: a machine need not have one. */
async function fetchOldNode(t: TestContext): Promise<string> {
  const folder = makeFolder(t);
  const name = `node-linux-${process.arch}`;
  await promisify(execFile)('npm', ['install', '--prefix', folder, '--no-save', '--ignore-scripts', `${name}@${OLD}`]);
  return join(folder, 'node_modules', name, 'bin/node');
}

describe('the unit of deploy/systemd', { skip }, () => {
  before(async () => await findProgram('systemd-analyze'), INSTALLING);

  test('serves after the steps of docs/deploying.md, takes a reload, and stops in peace', async (t) => {
    const told = await boot(t, await install(t, process.execPath));
    assert.equal(told.ready, 200, JSON.stringify(told));
    assert.match(told.running, /^ActiveState=active$/m);
    assert.match(told.running, /^NRestarts=0$/m);
    assert.equal(told.still, 200, 'after a reload');
    assert.match(told.stopped, /^ActiveState=inactive$/m);
    assert.match(told.stopped, /^Result=success$/m);
  });

  test('says which Node it needs where there is an older one', async (t) => {
    const told = await boot(t, await install(t, await fetchOldNode(t)));
    assert.match(told.running, /^ActiveState=(?:failed|activating)$/m);
    assert.match(told.log, /holdfast: needs Node 26\.0\.0 or later, and this is Node 20\.19\.0/);
    assert.doesNotMatch(told.log, /SyntaxError|bad option/);
  });

  test('with a configuration that has a problem is not tried again, and its log says where the problem is', async (t) => {
    const installed = await install(t, process.execPath);
    const file = join(installed, 'etc/holdfast/holdfast.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('upstream: orders', 'upstream: oders'));
    const told = await boot(t, installed);
    assert.match(told.running, /^ActiveState=failed$/m);
    assert.match(told.running, /^NRestarts=0$/m);
    assert.match(told.log, /holdfast\.yaml:\d+:\d+ routes\[0\]\.upstream/);
  });
});
