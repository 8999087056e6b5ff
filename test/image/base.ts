// A base image without a registry, made of this machine's files.

import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** What the Dockerfile calls, and what these call (ldd is a script for bash). */
const PROGRAMS = 'sh bash cat chown cp cut dpkg-query env grep ldd mkdir rm sed sort uname xargs'.split(' ');
/** Names are looked up as in the image to be replaced; packages are known by dpkg; npm trusts the authorities of this machine. */
const FILES = [
  '/etc/nsswitch.conf',
  '/etc/os-release',
  '/etc/passwd',
  '/etc/ssl/certs/ca-certificates.crt',
  '/var/lib/dpkg',
];

const run = (file: string, args: readonly string[]) => execFileSync(file, args, { encoding: 'utf8' });

/**
 * Makes the image and gives it a name, with `buildah` as the caller runs it. The Node in it is the one that runs this.
 * @throws Error of the system where this is no Debian, or a file is missing
 */
export function makeBaseImage(name: string, buildah: (...args: string[]) => string): void {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-base-'));
  try {
    for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
      mkdirSync(join(root, 'usr', folder), { recursive: true });
      symlinkSync(`usr/${folder}`, join(root, folder));
    }
    const programs = PROGRAMS.map((program) => run('sh', ['-c', `command -v ${program}`]).trim());
    for (const file of [...programs, process.execPath]) copyLibraries(root, file);
    for (const file of [...programs, ...FILES]) copy(root, file);
    copy(root, process.execPath, '/usr/local/bin/node');
    copyNpm(root);
    mkdirSync(join(root, 'tmp'), { mode: 0o1777 });
    const container = buildah('from', 'scratch').trim();
    buildah('copy', '--quiet', container, root, '/');
    buildah('config', '--env', 'PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', container);
    buildah('commit', '--quiet', '--rm', container, name);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function copy(root: string, from: string, to = from): void {
  const target = join(root, to);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(from, target, { recursive: true, dereference: true });
}

function copyLibraries(root: string, program: string): void {
  if (readFileSync(program).subarray(0, 2).toString() === '#!') return;
  for (const [library] of run('ldd', [program]).matchAll(/\/\S+/g)) {
    if (!existsSync(join(root, library))) copy(root, library);
  }
}

function copyNpm(root: string): void {
  const folder = join(realpathSync(run('sh', ['-c', 'command -v npm']).trim()), '../..');
  copy(root, folder, '/usr/local/lib/node_modules/npm');
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  // As this machine's npm is set up: where packages come from is the machine's affair.
  const registry = run('npm', ['config', 'get', 'registry']).trim();
  const ca = '/etc/ssl/certs/ca-certificates.crt';
  mkdirSync(join(root, 'usr/local/etc'), { recursive: true });
  writeFileSync(join(root, 'usr/local/etc/npmrc'), `registry=${registry}\ncafile=${ca}\n`);
}
