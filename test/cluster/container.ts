// One container: a process in namespaces like those of a container runtime.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fchownSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Everything that is settled before a container starts. */
export interface Settled {
  readonly name: string;
  /** For its root and its list of mounts. */
  readonly folder: string;
  readonly log: string;
  /** The pod's network namespace. */
  readonly network: string;
  readonly hostname: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingFolder: string;
  readonly readOnly: boolean;
  readonly user: number;
  readonly group: number;
  readonly groups: readonly number[];
  readonly mounts: readonly Mount[];
}

export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

export interface Ended {
  readonly code: number;
  readonly signal: NodeJS.Signals | undefined;
}

const SCRIPT = join(import.meta.dirname, 'container.sh');
const CODES: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGKILL: 137, SIGTERM: 143, SIGSEGV: 139 };

export class ContainerProcess {
  readonly settled: Settled;
  readonly startedAt = new Date();
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;

  constructor(settled: Settled) {
    this.settled = settled;
    const root = join(settled.folder, 'root');
    const mounts = join(settled.folder, 'mounts');
    mkdirSync(root, { recursive: true });
    const lines = settled.mounts.map((one) => `${one.writable ? 'rw' : 'ro'}\t${one.source}\t${one.target}\n`);
    writeFileSync(mounts, lines.join(''));
    const out = openSync(settled.log, 'a');
    // Programs open /dev/stdout once more, as themselves.
    fchownSync(out, settled.user, settled.group);
    // Whatever ends this process ends unshare, and that the container.
    const namespaces = ['--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
    const access = settled.readOnly ? 'ro' : 'rw';
    const { hostname, workingFolder, user, group } = settled;
    const groups = settled.groups.length === 0 ? String(group) : settled.groups.join(',');
    const inside = [root, mounts, access, hostname, workingFolder, String(user), String(group), groups];
    const outside = ['--pdeathsig', 'KILL', '--', 'nsenter', `--net=${settled.network}`, '--', 'unshare'];
    this.#child = spawn('setpriv', [...outside, ...namespaces, 'sh', SCRIPT, ...inside, ...settled.words], {
      env: settled.environment,
      stdio: ['ignore', out, out],
      detached: true,
    });
    closeSync(out);
    this.ended = new Promise((resolve) => {
      this.#child.once('error', () => resolve({ code: 128, signal: undefined }));
      this.#child.once('exit', (code, signal) => {
        resolve({ code: code ?? CODES[signal ?? 'SIGTERM'] ?? 1, signal: signal ?? undefined });
      });
    });
  }

  /** Process 1 of the container, as this machine counts it. */
  get pid(): number | undefined {
    const { pid } = this.#child;
    if (pid === undefined) return undefined;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
      return children[0] === '' ? undefined : Number(children[0]);
    } catch {
      return undefined;
    }
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    const { pid } = this;
    if (pid === undefined) this.#child.kill(name);
    else sendTo(pid, name);
  }

  /** Runs a command in the container. @returns its exit code; undefined: it was not done in time, or the container had ended */
  async execute(words: readonly string[], milliseconds: number): Promise<number | undefined> {
    const { pid } = this;
    if (pid === undefined) return undefined;
    const { user, group, workingFolder, environment, log } = this.settled;
    const into = ['--target', String(pid), '--mount', '--uts', '--ipc', '--pid', '--net', '--root', '--'];
    const as = ['--reuid', String(user), '--regid', String(group), '--clear-groups', '--no-new-privs'];
    const out = openSync(`${log}.exec`, 'a');
    const program = ['env', `--chdir=${workingFolder}`, 'setpriv', ...as, '--', ...words];
    const child = spawn('nsenter', [...into, ...program], { env: environment, stdio: ['ignore', out, out] });
    closeSync(out);
    const late = setTimeout(() => child.kill('SIGKILL'), milliseconds);
    const code = await new Promise<number | null>((resolve) => {
      child.once('exit', resolve).once('error', () => resolve(null));
    });
    clearTimeout(late);
    return code ?? undefined;
  }
}

function sendTo(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
