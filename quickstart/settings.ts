// The folder, ports and addresses of the quickstart.

import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');
/** Git-ignored, mode 0700: certificates, keys, development secrets, the gateway's log. */
export const FOLDER = join(ROOT, '.quickstart');
export const CONFIG = join(ROOT, 'config', 'quickstart.yaml');
const RUNNING = join(FOLDER, 'running.json');

/** What listens where on loopback: the variable that moves it, and its usual port. config/quickstart.yaml reads the same. */
export const PORTS = {
  gateway: { variable: 'HOLDFAST_PORT', port: 8443, what: 'the gateway' },
  issuer: { variable: 'HOLDFAST_ISSUER_PORT', port: 8444, what: 'the authorization server' },
  upstream: { variable: 'HOLDFAST_UPSTREAM_PORT', port: 8445, what: 'the echo upstream' },
  page: { variable: 'HOLDFAST_PAGE_PORT', port: 8446, what: 'the demo page' },
  browser: { variable: 'HOLDFAST_BROWSER_PORT', port: 8447, what: 'the listener for browsers of the gateway' },
  admin: { variable: 'HOLDFAST_ADMIN_PORT', port: 9901, what: 'the admin port of the gateway' },
  telemetry: { variable: 'HOLDFAST_TELEMETRY_PORT', port: 9902, what: 'the telemetry port of the gateway' },
} as const;
export type PortName = keyof typeof PORTS;
export type Ports = Readonly<Record<PortName, number>>;

export interface Addresses {
  readonly ports: Ports;
  /** Origin of the gateway, and the audience of every token. */
  readonly gateway: string;
  readonly issuer: string;
  readonly upstream: string;
  /** Origin of the demo page, where the authorization server answers browsers too. */
  readonly page: string;
  /** Origin of the gateway's listener for browsers. */
  readonly browser: string;
  readonly admin: string;
  readonly telemetry: string;
}

export function addressesOf(ports: Ports): Addresses {
  return {
    ports,
    gateway: `https://localhost:${ports.gateway}`,
    issuer: `https://localhost:${ports.issuer}`,
    upstream: `http://127.0.0.1:${ports.upstream}`,
    page: `http://localhost:${ports.page}`,
    browser: `http://localhost:${ports.browser}`,
    admin: `http://127.0.0.1:${ports.admin}`,
    telemetry: `http://127.0.0.1:${ports.telemetry}`,
  };
}

/** The ports that the environment asks for; a value that is no port is a message, thrown. */
export function readPorts(env: NodeJS.ProcessEnv): Ports {
  const port = (name: PortName): number => {
    const { variable, port: usual } = PORTS[name];
    const text = env[variable] ?? String(usual);
    if (!/^[1-9]\d{0,4}$/.test(text) || Number(text) > 65_535) throw new Problem(`${variable} is not a port`);
    return Number(text);
  };
  const ports = {
    gateway: port('gateway'),
    issuer: port('issuer'),
    upstream: port('upstream'),
    page: port('page'),
    browser: port('browser'),
    admin: port('admin'),
    telemetry: port('telemetry'),
  };
  const variables = Object.values(PORTS).map(({ variable }) => variable);
  if (new Set(Object.values(ports)).size < variables.length) {
    throw new Problem(`${variables.join(', ')}: two of them name the same port`);
  }
  return ports;
}

/** The environment with which a gateway finds these ports in config/quickstart.yaml. */
export function environmentOf(ports: Ports): Record<string, string> {
  return Object.fromEntries(
    Object.entries(PORTS).map(([name, { variable }]) => [variable, String(ports[name as PortName])]),
  );
}

/** Addresses of the quickstart that says it is running (it may have died since), else those of the environment. */
export async function findAddresses(env: NodeJS.ProcessEnv = process.env): Promise<Addresses> {
  const named = Object.values(PORTS).some(({ variable }) => env[variable] !== undefined);
  const text = named ? undefined : await readFile(RUNNING, 'utf8').catch(() => undefined);
  return addressesOf({ ...readPorts(env), ...(text === undefined ? {} : (JSON.parse(text) as Partial<Ports>)) });
}

/** Leaves word for `npm run demo` and the client; the answer takes it back. */
export async function announce(ports: Ports): Promise<() => Promise<void>> {
  await writePrivate(RUNNING, JSON.stringify(ports));
  return () => rm(RUNNING, { force: true });
}

export async function openFolder(folder: string = FOLDER): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
}

/** Writes a file that only its owner reads, also where it existed with another mode. */
export async function writePrivate(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, text, { mode: 0o600 });
}

/** How a person at a shell in the checkout calls a script of the quickstart. */
export function commandFor(script: string): string {
  const local = join('node_modules', '.bin', 'node');
  return `${existsSync(join(ROOT, local)) ? local : 'node'} ${relative(ROOT, join(import.meta.dirname, script))}`;
}

/** Something the person at the terminal can correct; printed without a stack trace. */
export class Problem extends Error {
  override readonly name = 'Problem';
}

/** Runs a command to its exit code; a Problem is told in its own words. */
export async function exitWith(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
