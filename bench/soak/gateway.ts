// The gateway of a soak run, and the errors among its output.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, writeFileSync, type WriteStream } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { AUDIENCE, type Credentials, ISSUER } from '../credentials.ts';

/** Ports on 127.0.0.1. */
export interface Ports {
  readonly gateway: number;
  readonly telemetry: number;
  readonly upstream: number;
  /** An upstream that gives invalid answers, and one that is not there. */
  readonly invalid: number;
  /** An upstream that speaks HTTP/2. */
  readonly modern: number;
  readonly closed: number;
}

/** Several times what is live at this load, so that slots of the table are taken, freed and taken again. */
const REPLAY_CAPACITY = 65_536;

function configuration(ports: Ports, folder: string, { server, client }: Credentials, reloads: number): string {
  const target = (port: number) => ({ targets: [`http://127.0.0.1:${port}`] });
  const open = { require: 'public', weaker_than_defaults: ['require'] };
  const token = { require: 'token', weaker_than_defaults: ['require'] };
  const signed = { issuers: ['login'] };
  const keys = { jwks_file: join(folder, 'keys.json') };
  const route = (name: string, upstream: string, more: object) => ({
    name,
    match: { path: `/${name}/*` },
    upstream,
    ...more,
  });
  const policy = {
    version: 1,
    workers: 2,
    listeners: [
      {
        name: 'soak',
        bind: `127.0.0.1:${ports.gateway}`,
        origins: [`https://localhost:${ports.gateway}`],
        tls: { certificates: [{ cert: server.cert, key_file: server.key }] },
        client_certificate: { request: 'optional', verify: 'chain', ca_file: client.ca },
        limits: { header_size: '16KiB', request_body: '64MiB' },
      },
    ],
    telemetry: { bind: `127.0.0.1:${ports.telemetry}` },
    admin: { bind: '127.0.0.1:0' },
    log: { level: 'info' },
    drain: { delay: '0s', grace: '10s' },
    replay: { capacity: REPLAY_CAPACITY },
    nonce: { lifetime: '30s' },
    issuers: {
      login: { issuer: ISSUER, audience: [AUDIENCE], keys },
      opaque: {
        issuer: 'https://opaque.example.com',
        audience: [AUDIENCE],
        keys,
        introspection: {
          endpoint: `http://127.0.0.1:${ports.upstream}/issuer/introspect`,
          client_id: 'gateway',
          client_secret_file: join(folder, 'introspection.secret'),
          cache: '1s',
        },
      },
    },
    upstreams: {
      api: target(ports.upstream),
      closed: target(ports.closed),
      invalid: target(ports.invalid),
      modern: { ...target(ports.modern), http2: true },
    },
    routes: [
      route('public', 'api', open),
      route('token', 'api', { ...token, ...signed }),
      route('opaque', 'api', { ...token, issuers: ['opaque'] }),
      route('dpop', 'api', { require: 'dpop', ...signed }),
      route('nonce', 'api', { require: 'dpop', dpop: { nonce: 'required' }, ...signed }),
      route('mtls', 'api', { require: 'mtls', ...signed }),
      route('hanging', 'api', { ...open, timeouts: { response_header: '1s' } }),
      route('closed', 'closed', open),
      route('invalid', 'invalid', open),
      route('modern', 'modern', open),
      // Each reload brings another policy.
      route(`reload-${reloads}`, 'api', open),
    ],
  };
  return stringify(policy, { aliasDuplicateObjects: false });
}

/** How it ended, after everything was asked of it. */
export interface Ending {
  readonly exit: number | null;
  readonly stderr: string;
}

export class SoakedGateway {
  readonly pid: number;
  readonly ports: Ports;
  /** Log lines of level `error`, and lines that are no log lines. */
  readonly errors: string[] = [];
  /** Log lines by level. */
  readonly lines: Record<string, number> = {};
  readonly #child: ChildProcess;
  readonly #rewrite: (reloads: number) => void;
  #stderr = '';
  readonly #copy: WriteStream | undefined;
  #messages = new Map<string, () => void>();
  #reloads = 0;

  private constructor(child: ChildProcess, ports: Ports, rewrite: (reloads: number) => void, log?: string) {
    this.#copy = log === undefined ? undefined : createWriteStream(log);
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.ports = ports;
    this.#rewrite = rewrite;
    createInterface({ input: child.stdout! }).on('line', (line) => this.#read(line));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
  }

  /** Resolves when it is ready. @param log a file that gets a copy of its log @throws Error with what it wrote, where it ends instead */
  static async start(folder: string, ports: Ports, made: Credentials, log?: string): Promise<SoakedGateway> {
    const config = join(folder, 'holdfast.yaml');
    const rewrite = (reloads: number) => writeFileSync(config, configuration(ports, folder, made, reloads));
    writeFileSync(join(folder, 'keys.json'), made.keySet);
    writeFileSync(join(folder, 'introspection.secret'), 'a secret\n');
    rewrite(0);
    const main = join(import.meta.dirname, '../../src/main.ts');
    // A group of its own: Ctrl-C is for the run, which stops the gateway in order.
    const options = { stdio: ['ignore', 'pipe', 'pipe'] as const, detached: true };
    const child = spawn(process.execPath, [main, 'serve', '--config', config], {
      ...options,
      stdio: [...options.stdio],
    });
    const gateway = new SoakedGateway(child, ports, rewrite, log);
    while ((await gateway.page('/readyz').catch(() => undefined))?.status !== 200) {
      if (child.exitCode !== null) throw new Error(`the gateway ended:\n${gateway.#stderr}`);
      await pause(20);
    }
    // A proof dated, in whole seconds, before the replay store began is answered with a nonce challenge (decision 7).
    await pause(1000);
    return gateway;
  }

  #read(line: string): void {
    this.#copy?.write(`${line}\n`);
    try {
      const { level, msg }: { level: string; msg: string } = JSON.parse(line);
      this.lines[level] = (this.lines[level] ?? 0) + 1;
      if (level === 'error') this.errors.push(line);
      this.#messages.get(msg)?.();
    } catch {
      this.errors.push(line);
    }
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get reloads(): number {
    return this.#reloads;
  }

  /** Another policy by SIGHUP. @throws Error where it is not adopted in ten seconds */
  async reload(): Promise<void> {
    this.#rewrite(this.#reloads + 1);
    const adopted = new Promise<boolean>((resolve) => {
      this.#messages.set('policy adopted', () => resolve(true));
      setTimeout(resolve, 10_000, false).unref();
    });
    this.#child.kill('SIGHUP');
    if (!(await adopted)) throw new Error('a reload was not adopted in ten seconds');
    this.#reloads += 1;
  }

  page(path: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port: this.ports.telemetry, path, agent: false, timeout: 5000 }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      }).once('error', reject);
    });
  }

  /** SIGTERM; SIGKILL where that does not end it in 30 s. */
  async stop(): Promise<Ending> {
    if (this.alive) {
      const ended = once(this.#child, 'close');
      this.#child.kill('SIGTERM');
      const late = setTimeout(() => this.#child.kill('SIGKILL'), 30_000);
      await ended;
      clearTimeout(late);
    }
    return { exit: this.#child.exitCode, stderr: this.#stderr };
  }
}
