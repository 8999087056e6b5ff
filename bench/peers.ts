// The programs around the gateway: the upstream, the peers, and the relay for certificates.

import { type ChildProcess, spawn } from 'node:child_process';
import type { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../test/support/programs.ts';
import { AUDIENCE, type Credentials, ISSUER } from './credentials.ts';
import { treeUsage } from './machine.ts';

/** A running program: the root of its process tree and the port it listens on. */
export interface Program {
  readonly pid: number;
  readonly port: number;
  /** Seconds from its start until it was ready. */
  readonly readyAfter: number;
  /** Milliseconds of processor time until then. */
  readonly cpuUntilReady: number;
  readonly stop: () => Promise<void>;
}

/** 99 bytes, like the answer of a small API. */
const ANSWER = JSON.stringify({ id: 4711, state: 'shipped', note: 'x'.repeat(99 - 39) });

/**
 * Starts a program that listens on `port` and resolves when it is `ready`.
 * Throws with the end of its output when it stops first or takes longer than a minute.
 */
export async function startProgram(
  command: string,
  args: readonly string[],
  port: number,
  ready: () => Promise<boolean> = () => acceptsSteadily(port),
): Promise<Program> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000);
    });
  }
  while (!(await ready())) {
    if (child.exitCode !== null || performance.now() > started + 60_000) {
      await end(child);
      throw new Error(`${command} ${args.join(' ')} is not ready on port ${port}:\n${output}`);
    }
    await pause(5);
  }
  const pid = child.pid ?? 0;
  const readyAfter = (performance.now() - started) / 1000;
  return { pid, port, readyAfter, cpuUntilReady: treeUsage(pid).cpu / 1000, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(late);
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return connected;
}

/** Twice, because Apache binds its port once to try it and once to keep it. */
async function acceptsSteadily(port: number): Promise<boolean> {
  if (!(await accepts(port))) return false;
  await pause(300);
  return accepts(port);
}

async function startNginx(folder: string, name: string, port: number, body: string): Promise<Program> {
  const file = join(folder, `${name}.conf`);
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  const text = body.replace('http {', `http { access_log off; keepalive_requests 1000000; ${temp.join(' ')}`);
  const head = [
    'load_module /usr/lib/nginx/modules/ngx_stream_module.so;',
    process.getuid?.() === 0 ? 'user root;' : '',
    `daemon off; worker_processes 1; pid ${folder}/${name}.pid; error_log stderr crit;`,
    'events { worker_connections 1024; }',
  ];
  writeFileSync(file, `${head.join('\n')}\n${text}\n`);
  return startProgram('/usr/sbin/nginx', ['-p', folder, '-c', file], port);
}

/** nginx that answers every request with 99 bytes of JSON over plain HTTP, and takes fields of any size that the gateway takes. */
export async function startUpstream(folder: string): Promise<Program> {
  const port = await freePort();
  const fields = 'large_client_header_buffers 4 64k;';
  const server = `listen 127.0.0.1:${port}; ${fields} default_type application/json; location / { return 200 '${ANSWER}'; }`;
  return startNginx(folder, 'upstream', port, `http { server { ${server} } }`);
}

/** nginx as TLS proxy with kept connections to the upstream, no checks. */
export async function startNginxProxy(folder: string, upstream: Program, { server }: Credentials): Promise<Program> {
  const port = await freePort();
  const proxy = `location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ''; }`;
  const tls = `listen 127.0.0.1:${port} ssl; ssl_certificate ${server.cert}; ssl_certificate_key ${server.key};`;
  const up = `upstream up { server 127.0.0.1:${upstream.port}; keepalive 64; keepalive_requests 1000000; }`;
  return startNginx(folder, 'proxy', port, `http { ${up} server { ${tls} ${proxy} } }`);
}

/** nginx that serves the files of `folder` under /public/ and passes uploads of any size on to `sink`. */
export async function startBulkUpstream(folder: string, sink: number): Promise<Program> {
  const port = await freePort();
  const stream = 'client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1;';
  const upload = `location = /public/upload { proxy_pass http://127.0.0.1:${sink}; ${stream} }`;
  const files = `location = /public/x { return 200; } location /public/ { alias ${folder}/; sendfile on; }`;
  return startNginx(folder, 'bulk', port, `http { server { listen 127.0.0.1:${port}; ${upload} ${files} } }`);
}

/** nginx as TLS proxy for large bodies, over both versions of HTTP, that streams as the gateway does. */
export async function startBulkProxy(folder: string, upstream: Program, { server }: Credentials): Promise<Program> {
  const port = await freePort();
  const stream = 'proxy_request_buffering off; proxy_max_temp_file_size 0; client_max_body_size 0;';
  const proxy = `location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_http_version 1.1; ${stream} }`;
  const tls = `listen 127.0.0.1:${port} ssl http2; ssl_certificate ${server.cert}; ssl_certificate_key ${server.key};`;
  return startNginx(folder, 'bulk-proxy', port, `http { server { ${tls} ${proxy} } }`);
}

/** nginx that passes plain connections on as TLS connections with the client certificate, because wrk has none. */
export async function startRelay(
  folder: string,
  target: number,
  { client }: { readonly client: { readonly cert: string; readonly key: string } },
): Promise<Program> {
  const port = await freePort();
  const tls = [
    `proxy_ssl on; proxy_ssl_certificate ${client.cert}; proxy_ssl_certificate_key ${client.key};`,
    'proxy_ssl_server_name on; proxy_ssl_name localhost; proxy_ssl_session_reuse off;',
  ];
  const server = `listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${target}; ${tls.join(' ')}`;
  return startNginx(folder, `relay-${port}`, port, `stream { server { ${server} } }`);
}

/** http-proxy-3 in a Node process of its own. */
export async function startHttpProxy(upstream: Program, { server }: Credentials): Promise<Program> {
  const port = await freePort();
  const script = join(import.meta.dirname, 'http-proxy-3.ts');
  const target = `http://127.0.0.1:${upstream.port}`;
  return startProgram(process.execPath, [script, String(port), target, server.cert, server.key], port);
}

/** A peer of node-peers.ts in a Node process of its own. @param packages folder of packages that are no dependencies @param inspect port for an inspector */
export async function startNodePeer(
  kind: string,
  { folder, made, upstream }: { readonly folder: string; readonly made: Credentials; readonly upstream: Program },
  packages = '',
  inspect?: number,
): Promise<Program> {
  const port = await freePort();
  const keys = join(folder, 'peer-keys.json');
  writeFileSync(keys, made.keySet);
  const script = join(import.meta.dirname, 'node-peers.ts');
  const target = `http://127.0.0.1:${upstream.port}`;
  const { cert, key } = made.server;
  const flags = inspect === undefined ? [] : [`--inspect=127.0.0.1:${inspect}`];
  const args = [...flags, script, kind, String(port), target, cert, key, keys, packages];
  return startProgram(process.execPath, args, port);
}

/** Apache with mod_oauth2: DPoP with its own replay cache of 1,000 entries, kept connections to the upstream. */
export async function startApache(folder: string, upstream: Program, made: Credentials): Promise<Program> {
  const port = await freePort();
  const file = join(folder, 'apache.conf');
  const modules = 'mpm_event authn_core authz_core authz_user ssl socache_shmcb proxy proxy_http oauth2'.split(' ');
  const key: { keys: webcrypto.JsonWebKey[] } = JSON.parse(made.keySet);
  const lines = [
    ...modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`),
    ...(process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : []),
    `ServerRoot ${folder}`,
    'ServerName localhost',
    `Listen 127.0.0.1:${port}`,
    `PidFile ${folder}/apache.pid`,
    `DefaultRuntimeDir ${folder}`,
    `Mutex file:${folder} default`,
    `ErrorLog ${folder}/apache.log`,
    'LogLevel crit',
    'KeepAlive On',
    'MaxKeepAliveRequests 0',
    'StartServers 1',
    'ServerLimit 1',
    'ThreadsPerChild 64',
    'MaxRequestWorkers 64',
    'MinSpareThreads 1',
    'MaxSpareThreads 64',
    'SSLEngine on',
    `SSLCertificateFile ${made.server.cert}`,
    `SSLCertificateKeyFile ${made.server.key}`,
    '<Location />',
    '  AuthType oauth2',
    '  OAuth2AcceptTokenIn header name=Authorization&type=DPoP',
    `  OAuth2TokenVerify jwk '${JSON.stringify(key.keys[0])}' type=dpop`,
    '  <RequireAll>',
    `    Require oauth2_claim iss:${ISSUER}`,
    `    Require oauth2_claim aud:${AUDIENCE}`,
    '  </RequireAll>',
    `  ProxyPass http://127.0.0.1:${upstream.port}/ keepalive=On max=64`,
    '</Location>',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return startProgram('/usr/sbin/apache2', ['-DFOREGROUND', '-f', file], port);
}
