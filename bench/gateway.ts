// The gateway under test: one route per requirement, started as an operator starts it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { AUDIENCE, type Credentials, ISSUER } from './credentials.ts';
import { freePort } from '../test/support/programs.ts';
import { type Program, startProgram } from './peers.ts';

const ROUTES = { public: 'public', token: 'token', mtls: 'mtls', dpop: 'dpop' };

export interface GatewayWishes {
  /** The default is 1. */
  readonly workers?: number;
  /** Request bodies of any size. */
  readonly unlimited?: boolean;
  /** The checkout of Holdfast whose build runs; the default is this one. */
  readonly checkout?: string;
  /** Run by its sources, by which profiles tell what belongs where, with a port for an inspector. */
  readonly inspect?: number;
  /** Changes the configuration before it is written. */
  readonly adjust?: (full: Configuration) => object;
}

/** Of the gateway under test. */
export type Configuration = ReturnType<typeof configuration>;

/** Starts `holdfast serve` in front of `upstream`; ready when the public route answers. Paths are `/REQUIREMENT/…`. */
export async function startGateway(
  folder: string,
  upstream: Program,
  made: Credentials,
  { workers = 1, unlimited = false, checkout = join(import.meta.dirname, '..'), inspect, adjust }: GatewayWishes = {},
): Promise<Program> {
  const port = await freePort();
  const keySet = join(folder, 'keys.json');
  const config = join(folder, `holdfast-${port}.yaml`);
  writeFileSync(keySet, made.keySet);
  const main = join(checkout, 'dist/main.js');
  if (!existsSync(main)) throw new Error(`${main} is not there: npm run build in that checkout`);
  const full = { ...configuration(port, await freePort(), upstream.port, keySet, made), workers };
  if (unlimited) for (const route of full.routes) Object.assign(route, { limits: { request_body: 'none' } });
  writeFileSync(config, stringify(adjust?.(full) ?? full, { aliasDuplicateObjects: false }));
  const ca = readFileSync(made.client.ca);
  const started = inspect === undefined ? [main] : [`--inspect=127.0.0.1:${inspect}`, join(checkout, 'src/main.ts')];
  const serve = [...started, 'serve', '--config', config];
  const program = await startProgram(process.execPath, serve, port, () => answers(port, ca));
  // A proof of the second in which the gateway started may have been used before, and is refused (C4.30).
  await pause(1000 - (Date.now() % 1000));
  return program;
}

function configuration(port: number, telemetry: number, upstream: number, keySet: string, made: Credentials) {
  return {
    version: 1,
    listeners: [
      {
        name: 'bench',
        bind: `127.0.0.1:${port}`,
        origins: [`https://localhost:${port}`],
        tls: { certificates: [{ cert: made.server.cert, key_file: made.server.key }] },
        client_certificate: { request: 'optional', verify: 'chain', ca_file: made.client.ca },
      },
    ],
    admin: { bind: '127.0.0.1:0' },
    telemetry: { bind: `127.0.0.1:${telemetry}` },
    log: { level: 'warn' },
    issuers: { login: { issuer: ISSUER, audience: [AUDIENCE], keys: { jwks_file: keySet } } },
    upstreams: { api: { targets: [`http://127.0.0.1:${upstream}`] } },
    routes: Object.values(ROUTES).map((require) => ({
      name: require,
      match: { path: `/${require}/*` },
      upstream: 'api',
      require,
      ...(require === 'public' || require === 'token' ? { weaker_than_defaults: ['require'] } : {}),
    })),
  };
}

async function answers(port: number, ca: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    get(
      {
        host: '127.0.0.1',
        port,
        path: '/public/x',
        ca,
        servername: 'localhost',
        headers: { host: `localhost:${port}` },
        agent: false,
      },
      (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode === 200));
      },
    ).once('error', () => resolve(false));
  });
}
