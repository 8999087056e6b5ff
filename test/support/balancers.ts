// Real balancers for tests: HAProxy, nginx and Apache httpd on loopback.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { findProgram, type Running, startProgram } from './programs.ts';

type Closing = Pick<TestContext, 'after'>;
type Files = Readonly<Record<string, string>>;

/** What HAProxy says of one server of a backend: `show stat`. */
export interface ServerState {
  /** `UP`, `DOWN`, `DRAIN`, `MAINT`, `no check`, and the like. */
  readonly status: string;
  /** `INI` before the first check, then `L4OK`, `L7STS` and the like. */
  readonly check: string;
  readonly sessions: number;
}

export interface Haproxy extends Running {
  /** One command of the management socket (`disable server holdfast/one`) → what HAProxy answers. */
  command(line: string): Promise<string>;
  /** @param server `backend/name` */
  stateOf(server: string): Promise<ServerState>;
  /** Resolves when the state is one that is looked for; the test's own timeout ends the wait. */
  until(server: string, found: (state: ServerState) => boolean): Promise<ServerState>;
}

/**
 * Starts HAProxy and waits until every `bind` with a port accepts. A section `global` and a management socket are added.
 * @param files by name, beside the configuration, which names them without a folder
 */
export async function startHaproxy(t: Closing, configuration: string, files: Files = {}): Promise<Haproxy> {
  const file = await findProgram('haproxy');
  const folder = makeFolder();
  const socket = join(folder, 'haproxy.sock');
  const own = `global\n  maxconn 200\n  stats socket ${socket} mode 600 level admin\n`;
  writeFiles(folder, { ...files, 'haproxy.cfg': `${own}${configuration}\n` });
  const ports = [...configuration.matchAll(/^\s*bind\s+\S*:(\d+)/gm)].map(([, port]) => Number(port));
  const running = await startProgram(t, { file, args: ['-db', '-f', 'haproxy.cfg'], folder, ports });
  const command = (line: string) => ask(socket, line);
  const stateOf = async (server: string) => readState(await command('show stat'), server);
  return {
    ...running,
    command,
    stateOf,
    async until(server, found) {
      for (;;) {
        const state = await stateOf(server);
        if (found(state)) return state;
        await pause(20);
      }
    },
  };
}

function ask(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path, () => socket.write(`${line}\n`));
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.once('error', reject).once('end', () => resolve(text));
  });
}

/** CSV whose first line names the columns. */
function readState(csv: string, server: string): ServerState {
  const [names = [], ...rows] = csv
    .replace(/^# /, '')
    .trim()
    .split('\n')
    .map((row) => row.split(','));
  const row = rows.find(([proxy, name]) => `${proxy}/${name}` === server);
  if (row === undefined) throw new Error(`HAProxy has no server ${server}`);
  const column = (name: string) => row[names.indexOf(name)] ?? '';
  // A star says that a check is under way.
  return {
    status: column('status'),
    check: column('check_status').replace(/^\* /, ''),
    sessions: Number(column('scur')),
  };
}

/**
 * Starts nginx and waits until every `listen` with a port accepts. Everything outside `http {}` and `stream {}` is added.
 * @param files by name, beside the configuration, which names them without a folder
 */
export async function startNginx(t: Closing, configuration: string, files: Files = {}): Promise<Running> {
  const file = await findProgram('nginx');
  const folder = makeFolder();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind};`);
  const head = [
    'load_module /usr/lib/nginx/modules/ngx_stream_module.so;',
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;',
    'events { worker_connections 200; }',
  ];
  const body = configuration.replace(/^http \{/m, `http {\naccess_log off; ${temporary.join(' ')}`);
  writeFiles(folder, { ...files, 'nginx.conf': `${head.join('\n')}\n${body}\n` });
  const ports = [...configuration.matchAll(/\blisten\s+(?:\S*:)?(\d+)/g)].map(([, port]) => Number(port));
  return await startProgram(t, { file, args: ['-p', folder, '-e', 'stderr', '-c', 'nginx.conf'], folder, ports });
}

const APACHE_MODULES = 'mpm_event authz_core headers proxy proxy_http socache_shmcb ssl'.split(' ');

/**
 * Starts Apache httpd and waits until every `<VirtualHost>` with a port accepts. Everything outside virtual hosts is added.
 * @param files by name, beside the configuration, which names them without a folder
 */
export async function startApache(t: Closing, configuration: string, files: Files = {}): Promise<Running> {
  const file = await findProgram('apache2');
  const folder = makeFolder();
  const ports = [...configuration.matchAll(/<VirtualHost \S+:(\d+)>/g)].map(([, port]) => Number(port));
  const head = [
    `ServerRoot ${folder}`,
    'ServerName localhost',
    'PidFile httpd.pid',
    `DefaultRuntimeDir ${folder}`,
    'ErrorLog "|/bin/cat"', // standard error is a socket here, which it cannot open
    'LogLevel warn',
    'Mutex pthread',
    ...(process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : []),
    ...APACHE_MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`),
    ...ports.map((port) => `Listen 127.0.0.1:${port}`),
  ];
  writeFiles(folder, { ...files, 'httpd.conf': `${head.join('\n')}\n${configuration}\n` });
  return await startProgram(t, { file, args: ['-DFOREGROUND', '-d', folder, '-f', 'httpd.conf'], folder, ports });
}

const makeFolder = () => mkdtempSync(join(tmpdir(), 'holdfast-balancer-'));

function writeFiles(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
}
