// The latency that a decision adds to a request through Envoy, with replicas and Redis.
//
// node bench/latency.ts [--requests 3000] [--rounds 3] [--replicas 2]

import { readFileSync, rmSync, writeFileSync, chmodSync, mkdtempSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { findEnvoy } from '../test/interop/programs.ts';
import { findProgram } from '../test/support/programs.ts';
import { type Credentials, makeCredentials, makeProof } from './credentials.ts';
import { installPrograms, machineFacts } from './machine.ts';
import { freePort } from '../test/support/programs.ts';
import { type Program, startProgram, startUpstream } from './peers.ts';

const ROOT = join(import.meta.dirname, '..');
const REPLICAS = join(ROOT, 'deploy/envoy/replicas');
const HOST = 'api.example.com';
const PATH = '/orders/1';
/** Requests a second where they come at a steady pace, whatever the answers do. */
const PACE = 300;
/** Requests that count for nothing, per front and round. */
const WARM_UP = 1000;

type Fields = Readonly<Record<string, string>>;

interface Envoy {
  static_resources: {
    listeners: {
      address: object;
      filter_chains: {
        filters: { typed_config: { http_filters: { name: string }[] } }[];
      }[];
    }[];
    clusters: { name: string; load_assignment: { endpoints: { lb_endpoints: object[] }[] } }[];
  };
}

const at = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** The very file of deploy/envoy/replicas with other ports. @param replicas none: without the filter that asks them */
async function startEnvoy(folder: string, upstream: Program, replicas: readonly Program[]): Promise<Program> {
  const found = findEnvoy();
  if ('skip' in found) throw new Error(found.skip);
  chmodSync(found.file, 0o755);
  const port = await freePort();
  const config = parse(readFileSync(join(REPLICAS, 'envoy.yaml'), 'utf8')) as Envoy;
  const { listeners, clusters } = config.static_resources;
  listeners[0]!.address = at(port);
  const manager = listeners[0]!.filter_chains[0]!.filters[0]!.typed_config;
  if (replicas.length === 0) manager.http_filters = manager.http_filters.filter(({ name }) => !name.endsWith('authz'));
  const ports = { api: [upstream.port], holdfast: replicas.map(({ port }) => port) };
  for (const { name, load_assignment } of clusters) {
    const endpoints = ports[name as keyof typeof ports].map((port) => ({ endpoint: { address: at(port) } }));
    load_assignment.endpoints[0]!.lb_endpoints = endpoints;
  }
  const file = join(folder, `envoy-${port}.yaml`);
  const text = stringify(config)
    .replace('tls.crt', join(folder, 'server.pem'))
    .replace('tls.key', join(folder, 'server.key'));
  writeFileSync(file, text.replace('clients.pem', join(folder, 'ca.pem')));
  return startProgram(
    found.file,
    ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'],
    port,
  );
}

async function startReplica(folder: string, redis: Program): Promise<Program> {
  const port = await freePort();
  const text = readFileSync(join(REPLICAS, 'holdfast.yaml'), 'utf8')
    .replaceAll(/\$\{HOLDFAST_PORT[^}]*\}/g, String(port))
    .replaceAll(/\$\{HOLDFAST_(?:ADMIN|TELEMETRY)_PORT[^}]*\}/g, '0')
    .replaceAll(/\$\{REDIS_PORT[^}]*\}/g, String(redis.port))
    .replace('ca_file: clients.pem', 'ca_file: ca.pem');
  const file = join(folder, `holdfast-${port}.yaml`);
  writeFileSync(file, `${text}\nworkers: 1\nlog: { level: warn }\n`);
  return startProgram(process.execPath, [join(ROOT, 'src/main.ts'), 'serve', '--config', file], port);
}

interface Caller {
  readonly call: (fields: Fields) => Promise<{ readonly status: number; readonly milliseconds: number }>;
  readonly close: () => void;
}

function openCaller(port: number, made: Credentials): Caller {
  const agent = new Agent({ keepAlive: true, ca: readFileSync(made.client.ca), servername: 'localhost' });
  const call: Caller['call'] = (fields) =>
    new Promise((resolve, fail) => {
      const started = performance.now();
      request({ agent, host: '127.0.0.1', port, path: PATH, headers: { host: HOST, ...fields } }, (answer) => {
        answer
          .resume()
          .on('end', () => resolve({ status: answer.statusCode ?? 0, milliseconds: performance.now() - started }));
      })
        .on('error', fail)
        .end();
    });
  return { call, close: () => agent.destroy() };
}

/** Envoy's first health checks must be through, and a new replay store takes proofs without a nonce after their longest age (decision 41). */
async function untilPermitted(port: number, made: Credentials): Promise<void> {
  const caller = openCaller(port, made);
  console.error('waiting until the replay store is old enough for proofs without nonces: about a minute');
  const late = performance.now() + 120_000;
  for (;;) {
    const { status } = await caller.call(makeFields(made, 1)[0]!);
    if (status === 200) break;
    if (performance.now() > late) throw new Error(`still answered ${status}`);
    await pause(1000);
  }
  caller.close();
}

/** Each proof once; made before a run, so that signing is no part of it. */
function makeFields(made: Credentials, count: number): Fields[] {
  return Array.from({ length: count }, (_, nth) => {
    const client = made.clients[nth % made.clients.length]!;
    return { authorization: `DPoP ${client.tokens.dpop}`, dpop: makeProof(client, 'GET', `https://${HOST}${PATH}`) };
  });
}

/** Milliseconds of each request, sorted. */
async function play(caller: Caller, fields: readonly Fields[], paced: boolean): Promise<readonly number[]> {
  const times: number[] = [];
  const take = async (one: Fields) => {
    const { status, milliseconds } = await caller.call(one);
    if (status !== 200) throw new Error(`answered ${status}`);
    times.push(milliseconds);
  };
  if (paced) {
    const started = performance.now();
    const ends = fields.map(async (one, nth) => {
      await pause(Math.max(0, (nth * 1000) / PACE - (performance.now() - started)));
      await take(one);
    });
    await Promise.all(ends);
  } else for (const one of fields) await take(one);
  return times.toSorted((a, b) => a - b);
}

const quantile = (sorted: readonly number[], part: number) => sorted[Math.floor(sorted.length * part)] ?? 0;
const median = (values: readonly number[]) =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '3000' },
    rounds: { type: 'string', default: '3' },
    replicas: { type: 'string', default: '2' },
  },
});
installPrograms();
const redisServer = await findProgram('redis-server');
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
const started: Program[] = [];
const keep = async (starting: Promise<Program>) => {
  const program = await starting;
  started.push(program);
  return program;
};
try {
  const made = makeCredentials(folder);
  writeFileSync(join(folder, 'keys.json'), made.keySet);
  const upstream = await keep(startUpstream(folder));
  const redisPort = await freePort();
  const redis = await keep(
    startProgram(
      redisServer,
      ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', folder],
      redisPort,
    ),
  );
  const replicas: Program[] = [];
  for (let nth = 0; nth < Number(values.replicas); nth++) replicas.push(await keep(startReplica(folder, redis)));
  const fronts = {
    'Envoy alone': await keep(startEnvoy(folder, upstream, [])),
    'Envoy that asks': await keep(startEnvoy(folder, upstream, replicas)),
  };
  await untilPermitted(fronts['Envoy that asks'].port, made);
  for (const paced of [false, true]) {
    const found: Record<string, { p50: number[]; p99: number[] }> = {};
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [name, front] of Object.entries(fronts)) {
        const caller = openCaller(front.port, made);
        await play(caller, makeFields(made, WARM_UP), false);
        const times = await play(caller, makeFields(made, Number(values.requests)), paced);
        caller.close();
        const of = (found[name] ??= { p50: [], p99: [] });
        of.p50.push(quantile(times, 0.5));
        of.p99.push(quantile(times, 0.99));
      }
    }
    for (const [name, { p50, p99 }] of Object.entries(found)) {
      const load = paced ? `${PACE} per second` : 'one at a time';
      console.log(`${load}, ${name}: p50 ${median(p50).toFixed(2)} ms, p99 ${median(p99).toFixed(2)} ms`);
    }
  }
  console.log(machineFacts().slice(0, 2).join('; '));
} finally {
  await Promise.all(started.map((program) => program.stop()));
  rmSync(folder, { recursive: true, force: true });
}
