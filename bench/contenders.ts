// The contenders of the benchmark: the gateway, its peers, and the floor of the runtime.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findEnvoy } from '../test/interop/programs.ts';
import type { Credentials } from './credentials.ts';
import { startEnvoy } from './envoy.ts';
import { startGateway } from './gateway.ts';
import { hasApache, hasH2load } from './machine.ts';
import { PACKAGES } from './node-peers.ts';
import { type Program, startApache, startHttpProxy, startNginxProxy, startNodePeer, startRelay } from './peers.ts';

/** What all measurements share. */
export interface Setting {
  readonly folder: string;
  readonly made: Credentials;
  readonly upstream: Program;
  /** Another checkout of Holdfast. */
  readonly against: string | undefined;
  /** A few seconds, with what is installed. */
  readonly smoke: boolean;
}

/** How long and how often. */
export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUp: number;
}

/** Something that is measured: where wrk sends what, and whose CPU time counts. */
export interface Contender {
  readonly id: string;
  readonly title: string;
  readonly program: Program;
  readonly url: string;
  readonly host: string;
  /** Whether it refuses a proof that was used; undefined: it is not known to remember any, and is not asked. */
  readonly remembers?: boolean;
  readonly load: 'plain' | 'bearer' | 'mtls' | 'dpop' | H2load;
  /** Of wrk; the default is 32. */
  readonly connections?: number;
}

/** Load of bearer requests by h2load, which speaks both versions of HTTP. */
export interface H2load {
  readonly version: 1 | 2;
  readonly connections: number;
  /** Requests in flight on each connection. */
  readonly streams: number;
}

function contender(
  id: string,
  title: string,
  program: Program,
  path: string,
  load: Contender['load'] = 'plain',
): Contender {
  const host = `localhost:${program.port}`;
  return { id, title, program, url: `https://${host}${path}`, host, load };
}

/** 32 requests in flight, over as many connections as that takes. */
const h2load = (version: 1 | 2, streams: number): H2load => ({ version, streams, connections: 32 / streams });

/** One for each number of requests in flight on a connection. */
const overHttp2 = (id: string, name: string, program: Program, path: string) =>
  [1, 8, 32].map((streams) => {
    const title = `${name}, HTTP/2, ${streams} at a time on a connection, by h2load`;
    return contender(`${id}-${streams}`, title, program, path, h2load(2, streams));
  });

const NODE_PEERS: readonly (readonly [id: string, title: string, load: Contender['load']])[] = [
  ['floor', 'Node and undici alone (the floor)', 'plain'],
  ['floor-verify', 'Node, undici and one ES256 verification', 'dpop'],
  ['oauth4webapi', 'oauth4webapi and http-proxy-3, DPoP, no replay check', 'dpop'],
  ['express', 'express-oauth2-jwt-bearer and http-proxy-middleware, DPoP, no replay check', 'dpop'],
];

const ENVOYS = [
  ['envoy', 'Envoy, no filter', 'none'],
  ['envoy-jwt', 'Envoy, jwt_authn, bearer token', 'jwt'],
  ['envoy-cached', 'Envoy, jwt_authn with its cache, bearer token', 'cached'],
] as const;

export interface Started {
  readonly contenders: readonly Contender[];
  /** Peers that cannot be had here, with the reason. */
  readonly absent: readonly string[];
}

/** Starts everything; what was started is added to `started` at once, so that it can be stopped whatever happens. */
export async function startContenders(setting: Setting, started: Program[]): Promise<Started> {
  const { folder, made, upstream } = setting;
  const keep = async (starting: Promise<Program>) => {
    const program = await starting;
    started.push(program);
    return program;
  };
  const absent: string[] = [
    'heimdall (a module of Go that its proxy does not give, “this module version is not available”)',
  ];
  const packages = setting.smoke ? undefined : installPackages();
  const envoy = setting.smoke ? { skip: '' } : findEnvoy();
  const gateway = await keep(startGateway(folder, upstream, made));
  const nginx = await keep(startNginxProxy(folder, upstream, made));
  const relay = await keep(startRelay(folder, gateway.port, made));
  const proxy = await keep(startHttpProxy(upstream, made));
  const relayed = (id: string, title: string, path: string, load: Contender['load']) => ({
    ...contender(id, title, gateway, path, load),
    url: `http://localhost:${relay.port}${path}`,
  });
  const contenders = [
    contender('nginx', 'nginx, no checks', nginx, '/x'),
    contender('public', 'Holdfast, public route', gateway, '/public/x'),
    contender('token', 'Holdfast, bearer token', gateway, '/token/x', 'bearer'),
    relayed('relayed', 'Holdfast, public, through the relay', '/public/x', 'plain'),
    relayed('mtls', 'Holdfast, certificate-bound token', '/mtls/x', 'mtls'),
    { ...contender('dpop', 'Holdfast, DPoP', gateway, '/dpop/x', 'dpop'), remembers: true },
    contender('http-proxy-3', 'http-proxy-3, no checks', proxy, '/x'),
  ];
  if (hasH2load()) {
    contenders.push(
      contender('h1', 'Holdfast, bearer token, HTTP/1.1, by h2load', gateway, '/token/x', h2load(1, 1)),
      ...overHttp2('h2', 'Holdfast, bearer token', gateway, '/token/x'),
      ...overHttp2('floor-h2', 'Node and undici alone', await keep(startNodePeer('floor-h2', setting)), '/x'),
    );
  }
  if (setting.against !== undefined) {
    const before = await keep(startGateway(folder, upstream, made, { checkout: setting.against }));
    contenders.push(
      contender('before-public', 'Holdfast before, public route', before, '/public/x'),
      contender('before-token', 'Holdfast before, bearer token', before, '/token/x', 'bearer'),
      contender('before-dpop', 'Holdfast before, DPoP', before, '/dpop/x', 'dpop'),
    );
  }
  if (hasApache()) {
    const apache = await keep(startApache(folder, upstream, made));
    contenders.push({ ...contender('apache', 'Apache with mod_oauth2, DPoP', apache, '/x', 'dpop'), remembers: true });
  } else absent.push('Apache with mod_oauth2 (Debian: apache2, libapache2-mod-oauth2)');
  for (const [id, title, load] of NODE_PEERS) {
    if (id === 'express' && packages === undefined) absent.push(`${title} (npm: ${PACKAGES.join(', ')})`);
    else contenders.push(contender(id, title, await keep(startNodePeer(id, setting, packages ?? '')), '/x', load));
  }
  if (setting.smoke) absent.push('Envoy (not in a smoke test)');
  else if ('skip' in envoy) absent.push(`Envoy (${envoy.skip})`);
  else {
    for (const [id, title, checks] of ENVOYS) {
      const program = await keep(startEnvoy({ ...envoy, folder }, upstream, made, checks));
      contenders.push(contender(id, title, program, '/x', checks === 'none' ? 'plain' : 'bearer'));
    }
  }
  return { contenders, absent };
}

/** Packages that are no dependencies of this project, with exact versions. @returns undefined: npm could not get them */
function installPackages(): string | undefined {
  const folder = join(import.meta.dirname, '../node_modules/.cache/holdfast-bench');
  if (PACKAGES.every((one) => existsSync(join(folder, 'node_modules', one.replace(/@[^@]+$/, ''))))) return folder;
  mkdirSync(folder, { recursive: true });
  const args = [
    'install',
    '--prefix',
    folder,
    '--ignore-scripts',
    '--no-package-lock',
    '--loglevel=error',
    ...PACKAGES,
  ];
  return spawnSync('npm', args, { cwd: folder, stdio: 'ignore' }).status === 0 ? folder : undefined;
}
