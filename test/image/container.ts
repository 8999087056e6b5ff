// The image built by buildah, and its containers run by podman.

import { hash } from 'node:crypto';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { makeBaseImage } from './base.ts';

/** Images of ours alone, kept: layers that did not change are not built again. podman mounts it, so it is in no checkout. */
const STORE = join(tmpdir(), 'holdfast-containers');
const IMAGE = 'localhost/holdfast:test';
const PLACES = ['--root', join(STORE, 'root'), '--runroot', join(STORE, 'run')];
// podman raises limits of containers to values that need more than root has in some sandboxes.
const SETTINGS = join(STORE, 'containers.conf');
const env = { ...process.env, CONTAINERS_CONF: SETTINGS };

const call = (program: string, args: readonly string[]) =>
  execFileSync(program, [...PLACES, ...args], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

/** The output of a command of podman. @throws Error with its exit code */
export const podman = (...args: string[]): string => call('podman', args);

/** Builds the image as the Dockerfile says, but on a base of this machine's files. Rejects with the end of what buildah wrote. */
export function buildImage(version: string): string {
  mkdirSync(STORE, { recursive: true });
  writeFileSync(SETTINGS, '[containers]\ndefault_ulimits = []\n');
  const recipe = hash('sha256', readFileSync(join(import.meta.dirname, 'base.ts')), 'hex').slice(0, 12);
  const base = `localhost/node:${process.versions.node}-${recipe}`;
  const isThere = spawnSync('podman', [...PLACES, 'image', 'exists', base], { env }).status === 0;
  if (!isThere) makeBaseImage(base, (...args) => call('buildah', args));
  const given = [`NODE_IMAGE=${base}`, `VERSION=${version}`, 'REVISION=0123abc'].flatMap((arg) => ['--build-arg', arg]);
  const how = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--layers'];
  const args = [...PLACES, 'build', ...how, ...given, '--tag', IMAGE, ROOT];
  const { status, stdout, stderr } = spawnSync('buildah', args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`buildah could not build the image:\n${(stdout + stderr).slice(-4000)}`);
  return IMAGE;
}

/** As the restricted Pod Security Standard demands it, and with a root that cannot be written. */
const HARDENED = ['--read-only', '--cap-drop', 'all', '--security-opt', 'no-new-privileges', '--network', 'host'];
const RUN = ['--runtime', 'runc', 'run', '--rm', ...HARDENED];

/** Runs a command of the image to its end. */
export function runOnce(args: readonly string[], options: readonly string[] = []) {
  return spawnSync('podman', [...PLACES, ...RUN, ...options, IMAGE, ...args], { env, encoding: 'utf8' });
}

export interface Container {
  readonly output: () => string;
  /** Resolves when the output has this text. Rejects with all of it if the container ends before. */
  readonly says: (text: string, times?: number) => Promise<void>;
  /** To process 1. */
  readonly signal: (name: 'TERM' | 'HUP') => void;
  /** Of process 1, outside of the container. */
  readonly pid: () => number;
  /** The exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts a container in the foreground; it goes with the test. */
export function startContainer(
  t: Pick<TestContext, 'after'>,
  name: string,
  options: readonly string[],
  args: readonly string[],
): Container {
  const child = spawn('podman', [...PLACES, ...RUN, '--name', name, ...options, IMAGE, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (const look of waiting) look();
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  t.after(async () => {
    spawnSync('podman', [...PLACES, 'rm', '--force', '--time', '0', name], { env });
    await ended;
  });
  const says = (wanted: string, times = 1) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (text.split(wanted).length <= times) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      void ended.then(() => reject(new Error(`ended without saying ${wanted}:\n${text}`)));
    });
  return {
    output: () => text,
    says,
    signal: (signal) => void podman('kill', '--signal', signal, name),
    pid: () => Number(podman('inspect', '--format', '{{.State.Pid}}', name)),
    ended,
  };
}
