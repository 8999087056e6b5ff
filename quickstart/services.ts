// The parts of the quickstart, started together.

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { startAuthorizationServer } from './authorization-server.ts';
import { keepDevelopmentCertificates } from './development-ca.ts';
import { MARK_PATH, startEchoUpstream } from './echo-upstream.ts';
import { close, listen } from './loopback.ts';
import { startPage } from './page-server.ts';
import { keepSecrets } from './secrets.ts';
import {
  type Addresses,
  CONFIG,
  environmentOf,
  FOLDER,
  openFolder,
  type PortName,
  PORTS,
  Problem,
  ROOT,
} from './settings.ts';

export const LOG_FILE = join(FOLDER, 'gateway.log');
/** Milliseconds. */
const READY_WITHIN = 20_000;
const POLL_EVERY = 50;

export interface Services {
  /** Resolves with what went wrong when a part stops by itself; never after `stop`. */
  readonly died: Promise<Problem>;
  /** Stops everything, the gateway first; resolves when all ports are free. Safe to call again. */
  readonly stop: () => Promise<void>;
}

/**
 * Starts everything and resolves once the gateway says that it is ready. `onLine` gets each line of the gateway's log,
 * which also goes to .quickstart/gateway.log. Rejects with a Problem, leaving nothing running, if that fails.
 */
export async function startServices(addresses: Addresses, onLine: (line: string) => void): Promise<Services> {
  const { ports } = addresses;
  await openFolder();
  await checkPorts(ports);
  const undo: (() => Promise<void>)[] = [];
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= undoAll(undo));
  try {
    const certificates = await keepDevelopmentCertificates(FOLDER, Date.now() / 1000);
    const secrets = await keepSecrets(FOLDER);
    const upstream = await startEchoUpstream({ port: ports.upstream, mark: markOf(certificates.ca) });
    undo.push(upstream.close);
    const server = await startAuthorizationServer({
      port: ports.issuer,
      audience: addresses.gateway,
      certificates,
      secrets,
      page: addresses.page,
      onError: (error) => console.error(`authorization server: ${error.message}`),
    });
    undo.push(server.close);
    const page = await startPage({
      port: ports.page,
      told: { gateway: addresses.browser, issuer: server.issuer, audience: addresses.gateway },
      upstream: addresses.upstream,
      authorizationServer: server.answer,
    });
    undo.push(page.close);
    const gateway = startGateway(addresses, onLine);
    undo.push(gateway.stop);
    await becomeReady(addresses, gateway.ended);
    // A proof dated before the gateway started is answered with a nonce challenge (its use before is not remembered), and
    // clients date proofs in whole seconds: from the next one on they meet what the configuration says and nothing else.
    await pause(1000 - (Date.now() % 1000));
    const died = gateway.ended.then((problem) => (stopping ? new Promise<never>(() => {}) : problem));
    return { died, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Is the quickstart of this very checkout running at these addresses? */
export async function isRunning(addresses: Addresses, ca: string): Promise<boolean> {
  if (!(await isReady(addresses))) return false;
  try {
    const { body } = await request(`${addresses.upstream}${MARK_PATH}`, { reset: true });
    return ((await body.json()) as { mark?: string }).mark === markOf(ca);
  } catch {
    return false; // nothing there, or something that speaks otherwise
  }
}

/** Names the checkout by its CA. */
export const markOf = (ca: string) => createHash('sha256').update(ca).digest('base64url');

async function undoAll(undo: (() => Promise<void>)[]): Promise<void> {
  for (const step of undo.splice(0).toReversed()) await step();
}

/** Says at once which ports are taken, and by which variable to choose others. */
async function checkPorts(ports: Addresses['ports']): Promise<void> {
  const taken: string[] = [];
  for (const [name, { variable, what }] of Object.entries(PORTS)) {
    const port = ports[name as PortName];
    const probe = createServer();
    try {
      await listen(probe, port);
      await close(probe);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === 'EADDRINUSE' ? 'is in use' : `cannot be opened (${code})`;
      taken.push(`port ${port} for ${what} ${why}; set ${variable} to another, such as ${10_000 + (port % 50_000)}`);
    }
  }
  if (taken.length > 0) throw new Problem(taken.join('\n'));
}

interface Gateway {
  /** Resolves when the process has ended, however. */
  readonly ended: Promise<Problem>;
  readonly stop: () => Promise<void>;
}

function startGateway({ ports }: Addresses, onLine: (line: string) => void): Gateway {
  const log = createWriteStream(LOG_FILE, { mode: 0o600 });
  // A process group of its own: Ctrl-C reaches us alone, and we stop it in order.
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--config', CONFIG], {
    cwd: ROOT,
    env: { ...process.env, ...environmentOf(ports) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const complaints: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.write(`${line}\n`);
    onLine(line);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.write(`${line}\n`);
    complaints.push(line);
  });
  const ended = end(child).then((how) => {
    process.off('exit', kill);
    log.end();
    const words = complaints.length > 0 ? complaints.slice(-20).join('\n') : `see ${relative(ROOT, LOG_FILE)}`;
    return new Problem(`the gateway stopped (${how}):\n${words}`);
  });
  return {
    ended,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Resolves with `exit 78`, `SIGKILL` or the error of `spawn`, after the last line of output. */
function end(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`));
  });
}

async function becomeReady(addresses: Addresses, ended: Promise<Problem>): Promise<void> {
  let over: Problem | undefined;
  void ended.then((problem) => (over = problem));
  const until = Date.now() + READY_WITHIN;
  while (!(await isReady(addresses))) {
    if (over) throw over;
    if (Date.now() > until) throw new Problem(`the gateway did not become ready; see ${relative(ROOT, LOG_FILE)}`);
    await pause(POLL_EVERY);
  }
}

async function isReady({ telemetry }: Addresses): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`${telemetry}/readyz`, { headersTimeout: 2000, reset: true });
    await body.dump();
    return statusCode === 200;
  } catch {
    return false; // not listening yet
  }
}
