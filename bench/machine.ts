// The machine: its description, its programs, and CPU time and memory of a process tree.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';

/** The Debian package of each program or module that the benchmark needs. */
const PACKAGES: Readonly<Record<string, { readonly file: string; readonly optional?: true }>> = {
  wrk: { file: '/usr/bin/wrk' },
  nginx: { file: '/usr/sbin/nginx' },
  'libnginx-mod-stream': { file: '/usr/lib/nginx/modules/ngx_stream_module.so' },
  openssl: { file: '/usr/bin/openssl' },
  'nghttp2-client': { file: '/usr/bin/h2load', optional: true },
  apache2: { file: '/usr/sbin/apache2', optional: true },
  'libapache2-mod-oauth2': { file: '/usr/lib/apache2/modules/mod_oauth2.so', optional: true },
};

const absent = (): string[] => Object.keys(PACKAGES).filter((name) => !existsSync(PACKAGES[name]!.file));

/** Installs what is missing where that is possible (root on Debian); returns the packages still missing that are needed. */
export function installPrograms(): string[] {
  if (absent().length > 0 && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.error(`installing ${absent().join(' ')}`);
    spawnSync('apt-get', ['update', '-q'], { stdio: 'ignore' });
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['install', '-qy', '--no-install-recommends', ...absent()], { stdio: 'ignore', env });
  }
  return missingPrograms();
}

/** Packages that are needed and missing. */
export function missingPrograms(): string[] {
  return absent().filter((name) => PACKAGES[name]?.optional !== true);
}

/** Whether the optional peer Apache with mod_oauth2 is there. */
export function hasApache(): boolean {
  return !absent().some((name) => name.includes('apache2'));
}

/** Whether h2load, the load generator that speaks HTTP/2, is there. */
export function hasH2load(): boolean {
  return !absent().includes('nghttp2-client');
}

/** One line per fact that a reader needs to judge the figures. */
export function machineFacts(): string[] {
  const version = (program: string, ...args: string[]) => {
    const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    return `${stdout}${stderr}`.split('\n')[0]?.trim() ?? '';
  };
  return [
    `${cpus().length} cores, ${cpus()[0]?.model.trim()}, Linux ${release()}`,
    `Node ${process.version} with OpenSSL ${process.versions.openssl}`,
    version('nginx', '-v').replace('nginx version: ', ''),
    version('wrk', '-v').replace(/ Copyright.*/, ''),
    version('openssl', 'version'),
    ...(hasApache() ? [version('apache2', '-v').replace('Server version: ', '')] : []),
  ];
}

const TICK = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const PAGE = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));

/** What a thread has used so far: µs in user mode and in the kernel, and how often it gave the core up or lost it. */
export interface ThreadUsage {
  readonly name: string;
  readonly user: number;
  readonly system: number;
  readonly voluntary: number;
  readonly involuntary: number;
}

/** Of the living threads of a process, by their ids. */
export function threadUsage(pid: number): ReadonlyMap<number, ThreadUsage> {
  const threads = readdirSync(`/proc/${pid}/task`).flatMap((id): (readonly [number, ThreadUsage])[] => {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
      const status = readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8');
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      const [user, system] = fieldsOf(stat).slice(11, 13);
      const switches = (kind: string) =>
        Number(new RegExp(`^${kind}_ctxt_switches:\\s+(\\d+)$`, 'm').exec(status)?.[1]);
      const times = { user: user! * TICK, system: system! * TICK };
      return [
        [Number(id), { name, ...times, voluntary: switches('voluntary'), involuntary: switches('nonvoluntary') }],
      ];
    } catch {
      return []; // it ended while we looked
    }
  });
  return new Map(threads);
}

/** What the threads of a process used between two looks. */
export function usedBetween(
  before: ReadonlyMap<number, ThreadUsage>,
  after: ReadonlyMap<number, ThreadUsage>,
): readonly ThreadUsage[] {
  return [...after].map(([id, now]) => {
    const then = before.get(id) ?? { user: 0, system: 0, voluntary: 0, involuntary: 0 };
    return {
      name: now.name,
      user: now.user - then.user,
      system: now.system - then.system,
      voluntary: now.voluntary - then.voluntary,
      involuntary: now.involuntary - then.involuntary,
    };
  });
}

/** proc(5): after the command in parentheses come state, ppid (4th field), …, utime (14th), stime, …, rss (24th). */
const fieldsOf = (stat: string) =>
  stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);

/** CPU time (µs, user + system, all threads) and resident memory (bytes) of a process and its living descendants. */
export function treeUsage(root: number): { cpu: number; memory: number } {
  const processes = new Map(readProcesses().map((each) => [each.pid, each]));
  const inTree = (pid: number): boolean => pid === root || (pid > 1 && inTree(processes.get(pid)?.parent ?? 0));
  let cpu = 0;
  let memory = 0;
  for (const each of processes.values()) {
    if (!inTree(each.pid)) continue;
    cpu += each.ticks * TICK;
    memory += each.pages * PAGE;
  }
  return { cpu, memory };
}

function readProcesses(): { pid: number; parent: number; ticks: number; pages: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const fields = fieldsOf(readFileSync(`/proc/${name}/stat`, 'utf8'));
        return [{ pid: Number(name), parent: fields[1]!, ticks: fields[11]! + fields[12]!, pages: fields[21]! }];
      } catch {
        return []; // it ended while we looked
      }
    });
}
