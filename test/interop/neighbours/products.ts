// The proxies, each started with its own files of deploy/.

import { chmodSync, cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CLIENT_CA, CLIENT_ROOT, SERVER, sendRequest } from '../../support/gateway.ts';
import { findProgram, freePort, type ProgramName, startProgram } from '../../support/programs.ts';
import { findEnvoy, findTraefik } from '../programs.ts';
import { type Behind, DEPLOY } from './rig.ts';

export interface Product {
  readonly title: string;
  /** Of deploy/: what Holdfast reads. undefined: it is the proxy itself. */
  readonly holdfast: string | undefined;
  /** Why it cannot be tested here; undefined: it can. */
  readonly skip: string | undefined;
  /** Installs it where that is possible. */
  readonly find: () => Promise<unknown>;
  /** Port at which clients reach it, with TLS. */
  readonly start: (t: TestContext, behind: Behind) => Promise<number>;
}

const CERTIFICATES = {
  'tls.crt': SERVER.chain,
  'tls.key': SERVER.key,
  'tls.pem': `${SERVER.chain}\n${SERVER.key}`,
  'clients.pem': `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}`,
};

/** A copy of a folder of deploy/ with certificates, and addresses of this test in the file that has them. */
function copyFolder(name: string, behind: Behind, port: number, files: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-neighbour-'));
  cpSync(join(DEPLOY, name), folder, { recursive: true });
  for (const [file, content] of Object.entries(CERTIFICATES)) writeFileSync(join(folder, file), content);
  for (const file of files) {
    const path = join(folder, file);
    writeFileSync(path, fit(readFileSync(path, 'utf8'), behind, port));
  }
  return folder;
}

const fit = (text: string, { holdfast, upstreamPort }: Behind, port: number) =>
  text
    .replaceAll('127.0.0.1:9000', `127.0.0.1:${holdfast}`)
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${upstreamPort}`)
    .replaceAll('address: 127.0.0.1, port_value: 9000', `address: 127.0.0.1, port_value: ${holdfast}`)
    .replaceAll('address: 127.0.0.1, port_value: 8080', `address: 127.0.0.1, port_value: ${upstreamPort}`)
    .replaceAll('address: 0.0.0.0, port_value: 8443', `address: 127.0.0.1, port_value: ${port}`)
    .replaceAll('listen 8443', `listen 127.0.0.1:${port}`)
    .replaceAll('bind :8443', `bind 127.0.0.1:${port}`)
    .replaceAll('":8443"', `"127.0.0.1:${port}"`)
    .replaceAll('https://api.example.com:8443', `https://:${port}`);

const NGINX_HEAD = [
  'daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;',
  'events { worker_connections 200; }',
  ...(process.getuid?.() === 0 ? ['user root;'] : []),
];

async function startNginx(t: TestContext, behind: Behind): Promise<number> {
  const [file, port] = [await findProgram('nginx'), await freePort()];
  const folder = copyFolder('nginx', behind, port, ['nginx.conf']);
  const path = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind};`);
  const text = readFileSync(path, 'utf8').replace(/^http \{/m, `http {\naccess_log off; ${temporary.join(' ')}`);
  writeFileSync(path, `${NGINX_HEAD.join('\n')}\n${text}`);
  await startProgram(t, { file, args: ['-p', folder, '-e', 'stderr', '-c', 'nginx.conf'], folder, ports: [port] });
  return port;
}

async function startHaproxy(t: TestContext, behind: Behind): Promise<number> {
  const [file, port] = [await findProgram('haproxy'), await freePort()];
  const folder = copyFolder('haproxy', behind, port, ['haproxy.cfg', 'holdfast.lua']);
  await startProgram(t, { file, args: ['-db', '-f', 'haproxy.cfg'], folder, ports: [port] });
  return port;
}

async function startCaddy(t: TestContext, behind: Behind): Promise<number> {
  const [file, port] = [await findProgram('caddy'), await freePort()];
  const folder = copyFolder('caddy', behind, port, ['Caddyfile']);
  const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const args = ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'];
  await startProgram(t, { file, args, folder, env, ports: [port] });
  return port;
}

const startEnvoy = (configuration: string) => async (t: TestContext, behind: Behind) => {
  const [found, port] = [findEnvoy(), await freePort()];
  if ('skip' in found) throw new Error(found.skip);
  chmodSync(found.file, 0o755);
  const folder = copyFolder('envoy', behind, port, [configuration]);
  const args = ['-c', configuration, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  await startProgram(t, { file: found.file, args, folder, ports: [port] });
  return port;
};

async function startTraefik(t: TestContext, behind: Behind): Promise<number> {
  const [found, port] = [findTraefik(), await freePort()];
  if ('skip' in found) throw new Error(found.skip);
  const folder = copyFolder('traefik', behind, port, ['traefik.yaml', 'dynamic/api.yaml']);
  if (behind.cors) {
    const path = join(folder, 'dynamic/api.yaml');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('middlewares: [', 'middlewares: [cors, '));
  }
  const args = ['--configFile=traefik.yaml'];
  await startProgram(t, { file: found.file, args, folder, ports: [port] });
  // It listens before it knows its routes.
  const serves = () =>
    sendRequest(port, 'GET', '/healthz').then(
      ({ status }) => status === 200,
      () => false,
    );
  while (!(await serves())) await pause(50);
  return port;
}

const ofDebian = (name: ProgramName) => ({ skip: undefined, find: () => findProgram(name) });
const fetched = (found: object) => ({ skip: 'skip' in found ? String(found.skip) : undefined, find: async () => {} });

export const PRODUCTS: readonly Product[] = [
  { title: 'Holdfast alone', holdfast: undefined, ...fetched({}), start: async (_t, { holdfast }) => holdfast },
  { title: 'nginx', holdfast: 'nginx/holdfast.yaml', ...ofDebian('nginx'), start: startNginx },
  { title: 'HAProxy', holdfast: 'haproxy/holdfast.yaml', ...ofDebian('haproxy'), start: startHaproxy },
  { title: 'Caddy', holdfast: 'caddy/holdfast.yaml', ...ofDebian('caddy'), start: startCaddy },
  {
    title: 'Envoy, HTTP',
    holdfast: 'envoy/holdfast-http.yaml',
    ...fetched(findEnvoy()),
    start: startEnvoy('envoy-http.yaml'),
  },
  {
    title: 'Envoy, gRPC',
    holdfast: 'envoy/holdfast-grpc.yaml',
    ...fetched(findEnvoy()),
    start: startEnvoy('envoy-grpc.yaml'),
  },
  { title: 'Traefik', holdfast: 'traefik/holdfast.yaml', ...fetched(findTraefik()), start: startTraefik },
];
