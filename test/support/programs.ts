// Programs of the system for tests: found or installed, started, ended.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

/** Debian packages of each program, and a file that must be there beside it. */
const PROGRAMS = {
  haproxy: { packages: ['haproxy'], beside: undefined },
  nginx: { packages: ['nginx-light', 'libnginx-mod-stream'], beside: '/usr/lib/nginx/modules/ngx_stream_module.so' },
  openssl: { packages: ['openssl'], beside: undefined },
  caddy: { packages: ['caddy'], beside: undefined },
  apache2: { packages: ['apache2-bin'], beside: '/usr/lib/apache2/modules/mod_ssl.so' },
  'redis-server': { packages: ['redis-server', 'redis-tools'], beside: undefined },
  buildah: { packages: ['buildah'], beside: undefined },
  podman: { packages: ['podman', 'runc'], beside: '/usr/sbin/runc' },
  'docker-compose': { packages: ['docker-compose'], beside: undefined },
  'systemd-analyze': { packages: ['systemd'], beside: undefined },
  ip: { packages: ['iproute2'], beside: undefined },
  unshare: { packages: ['util-linux'], beside: undefined },
  'chromium-headless-shell': { packages: ['chromium-headless-shell'], beside: undefined },
  bash: { packages: ['bash'], beside: undefined },
  zsh: { packages: ['zsh'], beside: undefined },
  fish: { packages: ['fish'], beside: undefined },
  promtool: { packages: ['prometheus'], beside: undefined },
  etcd: { packages: ['etcd-server'], beside: undefined },
  nft: { packages: ['nftables'], beside: undefined },
} as const;

export type ProgramName = keyof typeof PROGRAMS;

/** For the `before` of tests that need a program: its installation may take minutes. */
export const INSTALLING = { timeout: 300_000 };

/** Is this root on Debian? */
export const canInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

const found = new Map<ProgramName, Promise<string>>();

/**
 * Path of a program. Where it is missing and this is root on Debian, it is installed, once, even if several processes want it.
 * Rejects where that cannot be, and says what to install.
 */
export function findProgram(name: ProgramName): Promise<string> {
  const before = found.get(name);
  if (before !== undefined) return before;
  const finding = find(name);
  found.set(name, finding);
  return finding;
}

async function find(name: ProgramName): Promise<string> {
  const here = lookFor(name);
  if (here !== undefined) return here;
  const { packages } = PROGRAMS[name];
  const wanted = `the tests need ${name} (Debian: apt-get install ${packages.join(' ')})`;
  if (!canInstall) throw new Error(wanted);
  process.stderr.write(`holdfast: ${wanted}; installing …\n`);
  const said = await install(packages);
  const installed = lookFor(name);
  if (installed === undefined) throw new Error(`${wanted}, and that failed:\n${said}`);
  return installed;
}

function lookFor(name: ProgramName): string | undefined {
  const { beside } = PROGRAMS[name];
  if (beside !== undefined && !existsSync(beside)) return undefined;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** flock, because apt-get does not wait for another one that updates; RUNLEVEL, because nobody wants the service started. */
async function install(packages: readonly string[]): Promise<string> {
  // dpkg knows packages that are not installed, too.
  const states = `dpkg-query -W -f='\${db:Status-Status} ' ${packages.join(' ')} 2>/dev/null`;
  const there = `[ "$(${states})" = '${'installed '.repeat(packages.length)}' ]`;
  const get = 'apt-get -q -y -o DPkg::Lock::Timeout=120';
  const script = `${there} || { ${get} update && ${get} install --no-install-recommends ${packages.join(' ')}; }`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const lock = join(tmpdir(), 'holdfast-programs.lock');
  const child = spawn('flock', [lock, 'sh', '-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  return await outputOf(child);
}

async function outputOf(child: ChildProcess): Promise<string> {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  }
  child.on('error', (error) => (text += String(error)));
  await new Promise((resolve) => child.once('close', resolve).once('error', resolve));
  return text;
}

/** A program at work. */
export interface Running {
  /** Everything that it wrote to standard output and standard error. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
}

export interface Start {
  readonly file: string;
  readonly args: readonly string[];
  /** Where it runs; removed when it has ended. */
  readonly folder: string;
  /** Variables of its environment beside those that are there. */
  readonly env?: Readonly<Record<string, string>>;
  /** It is a script that starts others: signals go to all of them. */
  readonly script?: boolean;
  /** Ports of loopback at which it must accept connections before it counts as started. */
  readonly ports: readonly number[];
}

/** Starts a program in the foreground, and waits for its ports. It is ended with the test. Rejects with its output if it ends before. */
export async function startProgram(
  t: Pick<TestContext, 'after'>,
  { file, args, folder, env, script = false, ports }: Start,
): Promise<Running> {
  const child = spawn(file, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: script,
  });
  const send = (name: NodeJS.Signals) => {
    if (script && child.pid !== undefined && state.alive) process.kill(-child.pid, name);
    else child.kill(name);
  };
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  }
  const state = { alive: true };
  const ended = new Promise<void>((resolve) => {
    const end = (why: unknown) => {
      if (why instanceof Error) text += String(why);
      state.alive = false;
      resolve();
    };
    child.once('close', end).once('error', end);
  });
  t.after(async () => {
    send('SIGTERM');
    const late = setTimeout(() => send('SIGKILL'), 5000);
    await ended;
    clearTimeout(late);
    rmSync(folder, { recursive: true, force: true });
  });
  for (const port of ports) {
    while (state.alive && !(await accepts(port))) await pause(10);
  }
  if (!state.alive) throw new Error(`${file} ended at once:\n${text}`);
  return { output: () => text, signal: send, ended };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return connected;
}

/** Ports below those that systems give to who asks for any (Linux from 32768 on, others from 49152): no other process takes one of these. */
const [LOWEST_PORT, HIGHEST_PORT] = [12_000, 32_000];
const given = new Set<number>();

/** A port of loopback at which nobody listens now, and that is given once: it is there for who starts or starts again a little later. */
export async function freePort(below = HIGHEST_PORT): Promise<number> {
  const port = randomInt(LOWEST_PORT, below);
  if (given.has(port)) return await freePort(below);
  given.add(port);
  const server = createServer().listen(port, '127.0.0.1');
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  if (!free) return await freePort(below);
  server.close();
  await once(server, 'close');
  return port;
}
