// The watcher on real files: editors, Kubernetes, links, systems without events.

import assert from 'node:assert/strict';
import fs, {
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mock, test, type TestContext } from 'node:test';
import { readPolicyFile } from '../../src/config/read/read.ts';
import { digestSources, SourcesWatch, type WatchTimes } from '../../src/cli/watch.ts';

const MINIMAL = `version: 1
listeners: [{ name: public, bind: "127.0.0.1:8443" }]
issuers:
  login: { issuer: "https://login.example.com", audience: [https://api.example.com], keys: { jwks_file: keys/jwks.json } }
upstreams:
  orders: { targets: ["http://127.0.0.1:9000"] }
routes:
  - { name: orders, match: { path: /orders/* }, upstream: orders }
`;
/** Looks that need no event come too late for any test. */
const EVENTS: WatchTimes = { quiet: 20, atMost: 1000, poll: 3_600_000 };
/** Long enough for a change to be told if it were one. */
const QUIET = 200;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-watch-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function write(at: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(at, name)), { recursive: true });
    writeFileSync(join(at, name), content);
  }
}

/** A configuration that is read anew whenever it is told to have changed. */
class Watched {
  readonly #file: string;
  readonly #watch: SourcesWatch;
  told = 0;
  #waiting = () => {};

  constructor(t: TestContext, file: string, times: WatchTimes = EVENTS) {
    this.#file = file;
    this.#watch = new SourcesWatch(this.#read(), () => this.#hear(), times);
    t.after(() => this.#watch.close());
  }

  #read() {
    return readPolicyFile(this.#file, { env: {} }).sources;
  }

  #hear(): void {
    this.told += 1;
    this.#waiting();
  }

  /** Makes a change, waits until it is told, and reads the configuration. */
  async sees(change: () => void): Promise<void> {
    await this.hears(change);
    this.#watch.follow(this.#read());
  }

  async hears(change: () => void): Promise<void> {
    const told = new Promise<void>((resolve) => (this.#waiting = resolve));
    change();
    await told;
  }

  follow(sources = this.#read()): void {
    this.#watch.follow(sources);
  }

  async ignores(change: () => void): Promise<void> {
    const before = this.told;
    change();
    await sleep(QUIET);
    assert.equal(this.told, before);
  }

  close(): void {
    this.#watch.close();
  }
}

/** A plain folder with a configuration in it. */
function plain(t: TestContext, more = '', times?: WatchTimes) {
  const at = folder(t);
  write(at, { 'holdfast.yaml': MINIMAL + more, 'keys/jwks.json': '{"keys":[]}' });
  return { at, main: join(at, 'holdfast.yaml'), watched: new Watched(t, join(at, 'holdfast.yaml'), times) };
}

test('an editor that writes in place, one that renames a new file over the old, and one that keeps a backup', async (t) => {
  const { at, main, watched } = plain(t);
  await watched.sees(() => writeFileSync(main, `${MINIMAL}# in place\n`));
  for (const times of [1, 2]) {
    await watched.sees(() => {
      writeFileSync(join(at, '.holdfast.yaml.swp'), `${MINIMAL}# renamed ${times}\n`);
      renameSync(join(at, '.holdfast.yaml.swp'), main);
    });
  }
  await watched.sees(() => {
    renameSync(main, `${main}~`);
    writeFileSync(main, `${MINIMAL}# with a backup\n`);
    unlinkSync(`${main}~`);
  });
  assert.equal(watched.told, 4);
});

test('a file that a key names, deleted and created again', async (t) => {
  const { at, watched } = plain(t);
  const keys = join(at, 'keys/jwks.json');
  await watched.sees(() => unlinkSync(keys));
  await watched.sees(() => writeFileSync(keys, '{"keys":[{}]}'));
  await watched.sees(() => writeFileSync(keys, '{"keys":[]}'));
});

test('a folder deleted and created again, another one moved into its place, and one that appears later', async (t) => {
  const { at, watched } = plain(t, 'nonce: { secret_files: [later/on/secret] }\n');
  await watched.sees(() => rmSync(join(at, 'keys'), { recursive: true }));
  await watched.sees(() => write(at, { 'keys/jwks.json': '{"keys":[]}' }));
  await watched.sees(() => write(at, { 'keys/jwks.json': '{"keys":[1]}' }));
  write(at, { 'new/jwks.json': '{"keys":[2]}' });
  await watched.sees(() => {
    renameSync(join(at, 'keys'), join(at, 'old'));
    renameSync(join(at, 'new'), join(at, 'keys'));
  });
  await watched.sees(() => write(at, { 'keys/jwks.json': '{"keys":[3]}' }));
  await watched.sees(() => write(at, { 'later/on/secret': 'x'.repeat(32) }));
  await watched.sees(() => write(at, { 'later/on/secret': 'y'.repeat(32) }));
});

test('a new file that matches a pattern of include, in a folder that is new, too', async (t) => {
  const { at, watched } = plain(t, 'include: [routes.d/*.yaml, "teams/*/routes.yaml"]\n');
  await watched.sees(() => write(at, { 'routes.d/a.yaml': 'routes: []\n' }));
  await watched.sees(() => write(at, { 'routes.d/b.yaml': 'routes: []\n' }));
  await watched.sees(() => write(at, { 'teams/one/routes.yaml': 'routes: []\n' }));
  await watched.sees(() => write(at, { 'teams/two/routes.yaml': 'routes: []\n' }));
  await watched.sees(() => rmSync(join(at, 'teams/one'), { recursive: true }));
  await watched.ignores(() => write(at, { 'routes.d/notes.txt': 'no route', 'teams/two/notes.yaml': '' }));
});

test('a link that is set to another file, one to another folder, and the file behind a link', async (t) => {
  const at = folder(t);
  write(at, {
    'v1/holdfast.yaml': MINIMAL,
    'v2/holdfast.yaml': `${MINIMAL}# 2\n`,
    'v1/keys/jwks.json': '1',
    'etc/x': '',
  });
  symlinkSync('../v1', join(at, 'etc/current'));
  symlinkSync('current/holdfast.yaml', join(at, 'etc/holdfast.yaml'));
  const watched = new Watched(t, join(at, 'etc/holdfast.yaml'));
  await watched.sees(() => writeFileSync(join(at, 'v1/holdfast.yaml'), `${MINIMAL}# 1\n`));
  await watched.sees(() => {
    symlinkSync('../v2', join(at, 'etc/next'));
    renameSync(join(at, 'etc/next'), join(at, 'etc/current'));
  });
  await watched.sees(() => writeFileSync(join(at, 'v2/holdfast.yaml'), `${MINIMAL}# 3\n`));
  await watched.sees(() => {
    unlinkSync(join(at, 'etc/holdfast.yaml'));
    symlinkSync('../v1/holdfast.yaml', join(at, 'etc/holdfast.yaml'));
  });
  await watched.ignores(() => writeFileSync(join(at, 'v2/holdfast.yaml'), 'of no interest any more'));
});

test('links that lead in a circle harm nobody', async (t) => {
  const at = folder(t);
  symlinkSync('b', join(at, 'a'));
  symlinkSync('a', join(at, 'b'));
  const watched = new Watched(t, join(at, 'a'));
  await watched.sees(() => {
    unlinkSync(join(at, 'a'));
    writeFileSync(join(at, 'a'), MINIMAL);
  });
});

/**
 * A volume as kubelet's AtomicWriter writes it: the payload in a folder of its own that `..data` leads to, files that lead through
 * `..data`, and a swap by renaming one link over the other; then what is new gets its link, what is gone loses it, and the old
 * payload is removed.
 */
class Volume {
  readonly at: string;
  #version = 0;

  constructor(at: string, payload: Readonly<Record<string, string>>) {
    this.at = at;
    mkdirSync(at, { recursive: true });
    this.write(payload);
  }

  write(payload: Readonly<Record<string, string>>): void {
    const data = join(this.at, '..data');
    const old = fs.existsSync(data) ? readlinkSync(data) : undefined;
    const next = `..2026_11_21_14_45_${String((this.#version += 1)).padStart(2, '0')}.123456789`;
    write(join(this.at, next), payload);
    symlinkSync(next, join(this.at, '..data_tmp'));
    renameSync(join(this.at, '..data_tmp'), data);
    const visible = readdirSync(this.at).filter((name) => !name.startsWith('..'));
    for (const name of Object.keys(payload)) {
      if (!visible.includes(name)) symlinkSync(join('..data', name), join(this.at, name));
    }
    for (const name of visible) if (!(name in payload)) unlinkSync(join(this.at, name));
    if (old !== undefined) rmSync(join(this.at, old), { recursive: true });
  }
}

test('Kubernetes: a ConfigMap and a Secret that are swapped, again and again, and get and lose files', async (t) => {
  const at = folder(t);
  const config = MINIMAL.replace('keys/jwks.json', '/SECRETS/jwks.json').replace('/SECRETS', join(at, 'secrets'));
  const more = `${config}include: ["team-*.yaml"]\n`;
  const secrets = new Volume(join(at, 'secrets'), { 'jwks.json': '{"keys":[]}' });
  const map = new Volume(join(at, 'config'), { 'holdfast.yaml': more });
  const watched = new Watched(t, join(map.at, 'holdfast.yaml'));
  for (const version of [1, 2, 3]) {
    await watched.sees(() => map.write({ 'holdfast.yaml': `${more}# ${version}\n` }));
    await watched.sees(() => secrets.write({ 'jwks.json': `{"keys":[${version}]}` }));
  }
  await watched.sees(() => map.write({ 'holdfast.yaml': more, 'team-a.yaml': 'routes: []\n' }));
  await watched.sees(() => map.write({ 'holdfast.yaml': more, 'team-a.yaml': 'routes: [] # 2\n' }));
  await watched.sees(() => map.write({ 'holdfast.yaml': more }));
  await watched.ignores(() => map.write({ 'holdfast.yaml': more }));
  await watched.ignores(() => secrets.write({ 'jwks.json': '{"keys":[3]}', 'of-others': 'x' }));
});

test('what is touched, or written anew with what was there, is no change', async (t) => {
  const { at, main, watched } = plain(t);
  await watched.ignores(() => utimesSync(main, new Date(), new Date()));
  await watched.ignores(() => writeFileSync(main, MINIMAL));
  await watched.ignores(() => {
    writeFileSync(join(at, 'copy'), MINIMAL);
    renameSync(join(at, 'copy'), main);
  });
  await watched.ignores(() => write(at, { 'beside.yaml': 'x' }));
  await watched.sees(() => writeFileSync(main, `${MINIMAL}\n`));
});

test('a burst is told when it is over, or when it has lasted long enough', async (t) => {
  const { main, watched } = plain(t, '', { quiet: 100, atMost: 400, poll: 3_600_000 });
  await watched.sees(() => {
    for (let count = 0; count < 50; count += 1) writeFileSync(main, `${MINIMAL}# ${count}\n`);
  });
  await sleep(QUIET);
  assert.equal(watched.told, 1);
  let count = 0;
  const began = performance.now();
  const writing = setInterval(() => writeFileSync(main, `${MINIMAL}# again ${(count += 1)}\n`), 20);
  await watched.hears(() => {}).finally(() => clearInterval(writing));
  assert.ok(count > 1 && performance.now() - began >= 350, 'it was still going on, and had gone on for a while');
});

test('a file that is being written is not told half', async (t) => {
  const { main, watched } = plain(t, '', { ...EVENTS, quiet: 800, atMost: 5000 });
  await watched.hears(() => {
    writeFileSync(main, MINIMAL.slice(0, 100));
    setTimeout(() => writeFileSync(main, `${MINIMAL}# whole\n`), 60);
  });
  assert.match(readFileSync(main, 'utf8'), /# whole/);
});

test('what changes while the configuration is being read is told after it', async (t) => {
  const { main, watched } = plain(t);
  await watched.hears(() => writeFileSync(main, `${MINIMAL}# 1\n`));
  const { sources } = readPolicyFile(main, { env: {} });
  await watched.ignores(() => writeFileSync(main, `${MINIMAL}# 2\n`));
  await watched.hears(() => watched.follow(sources));
  await watched.ignores(() => watched.follow());
});

test('a configuration that was bad, or not there at all, is watched until it is good', async (t) => {
  const at = folder(t);
  const main = join(at, 'not/there/yet/holdfast.yaml');
  const watched = new Watched(t, main);
  await watched.sees(() => write(dirname(main), { 'holdfast.yaml': 'routes: [' }));
  await watched.sees(() => writeFileSync(main, MINIMAL));
  await watched.sees(() => write(dirname(main), { 'keys/jwks.json': '{}' }));
  await watched.sees(() => writeFileSync(main, 'version: ['));
  await watched.sees(() => writeFileSync(main, MINIMAL));
  await watched.sees(() => write(dirname(main), { 'keys/jwks.json': '{ }' }));
});

test('without events of the file system, looking again finds what changed', async (t) => {
  mock.method(fs, 'watch', () => {
    throw Object.assign(new Error('System limit for number of file watchers reached'), { code: 'ENOSPC' });
  });
  syncBuiltinESMExports();
  t.after(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
  });
  const { at, main, watched } = plain(t, '', { ...EVENTS, poll: 30 });
  await watched.sees(() => writeFileSync(main, `${MINIMAL}# same length 1\n`));
  await watched.sees(() => {
    const { atime, mtime } = fs.statSync(main);
    writeFileSync(main, `${MINIMAL}# same length 2\n`);
    utimesSync(main, atime, mtime);
  });
  await watched.sees(() => write(at, { 'keys/jwks.json': '[]' }));
});

test('what is watched has the digest of what was read: every configuration of the tests, good or bad', async () => {
  const files = globSync(['../policies/**/*.yaml', '../../config/**/*.yaml'], { cwd: import.meta.dirname });
  assert.ok(files.length > 20);
  for (const file of files) {
    const { sources } = readPolicyFile(join(import.meta.dirname, file), { env: {} });
    assert.equal(await digestSources(sources), sources.digest, file);
  }
});

test('close leaves nothing open, and nothing is told after it', async (t) => {
  const open = new Set<fs.FSWatcher>();
  const original = fs.watch;
  mock.method(fs, 'watch', (...given: Parameters<typeof original>) => {
    const watcher = original(...given);
    open.add(watcher.once('close', () => open.delete(watcher)));
    return watcher;
  });
  syncBuiltinESMExports();
  t.after(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
  });
  const { main, watched } = plain(t);
  await watched.sees(() => writeFileSync(main, `${MINIMAL}# 1\n`));
  assert.ok(open.size >= 2);
  watched.close();
  await watched.ignores(() => writeFileSync(main, MINIMAL));
  assert.equal(open.size, 0);
});
