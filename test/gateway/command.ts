// The command `holdfast` as a child process, and what it prints.

import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LogLine } from '../support/log-lines.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NODE = [process.execPath, `${ROOT}src/main.ts`] as const;
/** As README has it. */
export const NPM = ['npm', 'run', '--silent', 'holdfast', '--'] as const;

export interface Ended {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command at work; killed at the end of the test if it still is. */
export class Command {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';
  #look = () => {};

  /** @param by the program that runs it, with what stands before the arguments */
  constructor(t: TestContext, args: readonly string[], stdin = '', by: readonly [string, ...string[]] = NODE) {
    const [program, ...before] = by;
    const { PATH, HOME } = process.env;
    const child = spawn(program, [...before, ...args], { stdio: 'pipe', cwd: ROOT, env: { PATH, HOME } });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      this.#look();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    child.stdin.on('error', () => 'it has ended without reading').end(stdin);
    this.ended = new Promise((resolve) => {
      child.once('exit', () => child.stdout.resume());
      child.once('close', (exit) => {
        resolve({ exit, stdout: this.#stdout, stderr: this.#stderr });
        this.#look();
      });
    });
    t.after(async () => {
      child.kill('SIGKILL');
      await this.ended;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** From now on what it prints is not read. */
  stopReading(): void {
    this.#child.stdout?.pause();
  }

  /** The log line with this message, or the `nth` of them; rejects where the command ends before. */
  logged(msg: string, nth = 1): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const lines = this.#stdout.split('\n').slice(0, -1);
        const line = lines.map((text) => JSON.parse(text) as LogLine).filter((one) => one['msg'] === msg)[nth - 1];
        if (line !== undefined) resolve(line);
        else if (this.#child.exitCode !== null) reject(new Error(`ended without "${msg}": ${this.#stderr}`));
      };
      this.#look();
    });
  }
}

export function run(t: TestContext, args: readonly string[], stdin?: string): Promise<Ended> {
  return new Command(t, args, stdin).ended;
}
