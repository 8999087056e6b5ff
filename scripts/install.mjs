// The setup before any npm script: locked dependencies, and the right Node.
//
// Plain JavaScript without dependencies, for it runs under whatever Node the machine has. After it, `node` in an npm
// script is node_modules/.bin/node, which npm puts first on the PATH. Everything it says goes to standard error.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** To install with, and to run Holdfast with (`engines` of package.json): major, minor. */
const INSTALLS = [20, 19];
const RUNS = readEngine();
const LOCAL_NODE = join(ROOT, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');

/** Milliseconds: npm can wait for ever for an answer that was lost on its way. */
const PATIENCE = 10 * 60_000;

const say = (text) => process.stderr.write(`${text}\n`);

function stop(text) {
  say(`holdfast: ${text}`);
  process.exit(1);
}

/** `>=26.0.0` → [26, 0]. */
function readEngine() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return engines.node.replace('>=', '').split('.').slice(0, 2).map(Number);
}

/** `version` is like `v20.20.2`; anything else is too old. */
function isAtLeast(version, [major, minor]) {
  const [, m = '0', n = '0'] = /^v(\d+)\.(\d+)\./.exec(version) ?? [];
  return Number(m) > major || (Number(m) === major && Number(n) >= minor);
}

function readPackages(...path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, ...path), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    // Half written by an npm that was stopped: as good as absent.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Is what npm says it installed what the lock file demands? Told by content, because a checkout changes times.
 * Optional packages may be absent (they are for other platforms), but not of another version.
 */
function isInstalled() {
  const locked = readPackages('package-lock.json') ?? stop('package-lock.json is missing or broken: restore it');
  const installed = readPackages('node_modules', '.package-lock.json');
  if (installed === undefined) return false;
  return Object.entries(locked).every(([path, { optional, version, integrity }]) => {
    if (path === '') return true;
    const there = installed[path];
    return there === undefined ? optional === true : there.version === version && there.integrity === integrity;
  });
}

/** npm as this very script was called by it, under the machine's own Node: the local one is about to be replaced. */
function npm(...args) {
  const { npm_execpath: script, npm_node_execpath: node = process.execPath } = process.env;
  const [command, first] = script?.endsWith('.js') ? [node, [script]] : ['npm', []];
  const shell = process.platform === 'win32' && command === 'npm';
  return spawnSync(command, [...first, ...args], { cwd: ROOT, stdio: ['ignore', 2, 2], shell, timeout: PATIENCE });
}

function install() {
  if (!isAtLeast(process.version, INSTALLS)) {
    stop(`this is Node ${process.version}; Node ${INSTALLS.join('.')} or later is needed to set the project up`);
  }
  say('holdfast: installing the locked dependencies and Node (npm install, once, up to a minute or two) …');
  const began = Date.now();
  // Not `npm ci`: it wants the packages for every other platform in the lock file as well, and a registry mirror that
  // lacks one of them cannot put it there. --no-save leaves package-lock.json as it is.
  const installs = () => npm('install', '--no-save', '--include=dev', '--include=optional', '--loglevel=error');
  let { status, error } = installs();
  if (error?.code === 'ETIMEDOUT') {
    say(`holdfast: npm install did not end in ${PATIENCE / 60_000} minutes; once more …`);
    ({ status, error } = installs());
  }
  if (error?.code === 'ETIMEDOUT') stop('npm install does not end: is the package registry reached?');
  if (error) stop(`npm could not be started (${error.code}): install npm beside Node, then run this command again`);
  if (status !== 0) stop('npm install failed, see above; correct that and run this command again');
  checkLocalNode();
  say(`holdfast: installed in ${Math.round((Date.now() - began) / 1000)} s`);
}

/** A Node that was installed but cannot run here (another C library) would hide the machine's own. */
function checkLocalNode() {
  if (!existsSync(LOCAL_NODE)) return;
  const { status } = spawnSync(LOCAL_NODE, ['--version'], { stdio: 'ignore', shell: process.platform === 'win32' });
  if (status !== 0) rmSync(LOCAL_NODE);
}

if (!isInstalled()) install();
if (!existsSync(LOCAL_NODE) && !isAtLeast(process.version, RUNS)) {
  stop(
    `npm has no Node that runs here (${process.platform} ${process.arch}), and this one is ${process.version}: ` +
      `install Node ${RUNS.join('.')} or later and run this command again`,
  );
}
