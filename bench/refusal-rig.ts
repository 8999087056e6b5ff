// The gateway that gives every refusal, and the ways to it.

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import type { Setting } from './contenders.ts';
import { type Client, thumbprint } from './credentials.ts';
import { type Configuration, startGateway } from './gateway.ts';
import { freePort } from '../test/support/programs.ts';
import { type Program, startRelay } from './peers.ts';
import type { Case, Kit } from './refusal-requests.ts';

export interface Rig {
  readonly program: Program;
  readonly kit: Kit;
  /** Where requests are sent. */
  readonly urls: Readonly<Record<NonNullable<Case['via']> | 'listener', string>>;
}

const ROUTES = {
  nonce: { require: 'dpop', dpop: { nonce: 'required' } },
  signed: {
    require: 'dpop',
    dpop: { algorithms: ['ES256', 'ES512'] },
    signature: {},
    weaker_than_defaults: ['algorithms'],
  },
  few: { require: 'public', methods: ['GET'] },
  strong: { require: 'token', acr: ['urn:example:loa3'] },
  scope: { require: 'token', scope: ['orders:write'] },
  tenant: { require: 'token', claims: { tenant: 'acme' } },
  rare: { require: 'token', rate_limit: 'hourly' },
  small: { require: 'public', limits: { request_body: '1KiB' } },
} as const;

/** The configuration of the benchmark with a route for each demand, and with listeners for what comes another way. */
function withDemands(full: Configuration, behind: number, deciding: number): object {
  const [listener] = full.listeners;
  const { client_certificate: _, ...served } = listener!;
  const peers = [{ cidr: '127.0.0.1/32' }];
  const routes = Object.entries(ROUTES).map(([name, { require, ...demand }]) => {
    const { methods, ...more } = demand as typeof demand & { readonly methods?: readonly string[] };
    const weaker = require === 'dpop' ? {} : { weaker_than_defaults: ['require'] };
    return {
      name,
      match: { path: `/${name}/*`, ...(methods && { methods }) },
      upstream: 'api',
      require,
      ...weaker,
      ...more,
    };
  });
  return {
    ...full,
    listeners: [
      listener,
      {
        ...served,
        name: 'behind',
        bind: `127.0.0.1:${behind}`,
        trusted_peers: peers,
        client_certificate: { verify: 'possession' },
        client_certificate_from: { format: 'rfc9440', field: 'Client-Cert' },
      },
      {
        name: 'deciding',
        bind: `127.0.0.1:${deciding}`,
        origins: served.origins,
        mode: 'decide',
        dialect: 'forwarded',
        trusted_peers: [{ cidr: '192.0.2.1/32' }],
      },
    ],
    rate_limits: { hourly: { key: 'client', rate: '1/h', burst: 1 } },
    routes: [
      ...[...full.routes, ...routes].map((route) => ({
        ...route,
        match: { ...route.match, listeners: ['bench', 'behind'] },
      })),
      {
        name: 'asked',
        match: { path: '/*', listeners: ['deciding'] },
        require: 'public',
        weaker_than_defaults: ['require'],
      },
    ],
  };
}

/** A certificate that no authority of the gateway issued. */
function makeStranger(folder: string) {
  const made = { cert: join(folder, 'stranger.pem'), key: join(folder, 'stranger.key') };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=Stranger'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-days', '7', '-out', made.cert, '-keyout', made.key], {
    stdio: 'ignore',
  });
  return made;
}

function makeUnusable(issue: Kit['issue'], like: Client): Client {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-521' });
  const jwk = publicKey.export({ format: 'jwk' });
  return { privateKey, jwk, tokens: { ...like.tokens, dpop: issue({ cnf: { jkt: thumbprint(jwk) } }) } };
}

/** A gateway for every reason; what was started is added to `started`. */
export async function startRig({ folder, upstream, made }: Setting, started: Program[]): Promise<Rig> {
  const keep = async (starting: Promise<Program>) => {
    const program = await starting;
    started.push(program);
    return program;
  };
  const [behind, deciding] = [await freePort(), await freePort()];
  const adjust = (full: Configuration) => withDemands(full, behind, deciding);
  const program = await keep(startGateway(folder, upstream, made, { adjust }));
  const relay = await keep(startRelay(folder, program.port, made));
  const stranger = await keep(startRelay(folder, program.port, { client: makeStranger(folder) }));
  const host = `localhost:${program.port}`;
  const { clients, issue } = made;
  return {
    program,
    kit: { origin: `https://${host}`, host, clients, issue, unusable: makeUnusable(issue, clients[0]!) },
    urls: {
      listener: `https://${host}/`,
      relay: `http://localhost:${relay.port}/`,
      stranger: `http://localhost:${stranger.port}/`,
      plain: `http://${host}/`,
      behind: `https://localhost:${behind}/`,
      deciding: `http://127.0.0.1:${deciding}/`,
    },
  };
}
