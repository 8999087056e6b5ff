// A whole gateway for tests: files, TLS listeners, a recording upstream, clients.

import { spawnHere } from './threads.ts';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Agent, request as requestTls } from 'node:https';
import type { AddressInfo, LookupFunction, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type Gateway, startGateway } from '../../src/supervisor/gateway.ts';
import { createLog } from '../../src/observe/log.ts';
import { spawnThread } from '../../src/supervisor/spawn.ts';
import { compilePolicy } from '../../src/config/compile/compile.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { readPolicyFile } from '../../src/config/read/read.ts';
import type { Bind, Policy } from '../../src/policy/policy.ts';
import { openTls } from './edge.ts';
import { type LogLine, LogLines } from './log-lines.ts';
import { makeCa, makeCertificate, type TestCertificate } from './pki.ts';
import { configuration } from './policies.ts';
import { AUDIENCE, ISSUER, makeKey } from './tokens.ts';
import { until } from './until.ts';

/** How clients call the gateway; the port it is bound to is another matter, as behind a load balancer. */
export const HOST = 'api.example.com';
export const ORIGIN = `https://${HOST}`;

/** Vouches for the gateway, and for upstreams with TLS. */
export const SERVER_CA = await makeCa({ subject: 'CN=Server CA' });
export const SERVER = await makeCertificate({ names: [HOST, '*.example.org'], ca: SERVER_CA });
/** The root of all clients' certificates. */
export const CLIENT_ROOT = await makeCa({ subject: 'CN=Client Root' });
/** Issues them. Clients send it along; the gateway has both CAs in `clients.pem`. */
export const CLIENT_CA = await makeCa({ subject: 'CN=Client CA', ca: CLIENT_ROOT });
export const ISSUER_KEY = await makeKey('ES256', 'k1');

type Closing = Pick<TestContext, 'after'>;

/** YAML of a policy and what surrounds it; what is left out is good and plain. */
export interface PolicyWishes {
  /** List of routes to the upstream `orders`. */
  readonly routes?: string;
  /** More keys of the listener `public`. */
  readonly listener?: string;
  /** All listeners, instead. */
  readonly listeners?: string;
  readonly origins?: readonly string[];
  readonly issuers?: string;
  /** Upstreams beside `orders`. */
  readonly upstreams?: string;
  readonly more?: string;
  /** Where the telemetry port is bound; the default is a free port. */
  readonly telemetry?: string;
  /** Files beside `tls.crt`, `tls.key`, `clients.pem` and `keys.json`, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Writes a policy with everything it names into a folder that goes with the test. @returns the name of the policy file */
export function writePolicy(t: Closing, wishes: PolicyWishes, upstream = 'http://127.0.0.1:9'): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = {
    'tls.crt': SERVER.chain,
    'tls.key': SERVER.key,
    'clients.pem': `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}`,
    'keys.json': JSON.stringify({ keys: [ISSUER_KEY.jwk] }),
    'holdfast.yaml': policyText(wishes, upstream),
    ...wishes.files,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return join(folder, 'holdfast.yaml');
}

function policyText(wishes: PolicyWishes, upstream: string): string {
  const { origins = [ORIGIN], listener = '' } = wishes;
  const plain = [
    '- name: public',
    '  bind: "127.0.0.1:0"',
    `  origins: [${origins.map((origin) => JSON.stringify(origin)).join(', ')}]`,
    '  tls: { certificates: [{ cert: tls.crt, key_file: tls.key }] }',
    listener.replace(/^(?=.)/gm, '  '),
  ].join('\n');
  return configuration({
    listeners: wishes.listeners ?? plain,
    issuers: wishes.issuers ?? `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: { jwks_file: keys.json } }`,
    upstreams: `orders: { targets: ["${upstream}"] }\n${wishes.upstreams ?? ''}`,
    ...(wishes.routes === undefined ? {} : { routes: wishes.routes }),
    more: `admin: { bind: "127.0.0.1:0" }\ntelemetry: { bind: "${wishes.telemetry ?? '127.0.0.1:0'}" }\n${wishes.more ?? 'drain: { delay: 0s, grace: 5s }'}\n`,
  });
}

/** A request as the upstream got it. */
export interface Seen {
  readonly method: string;
  readonly target: string;
  readonly fields: Fields;
  body: string;
}

export interface TestUpstream {
  readonly origin: string;
  /** In the order of arrival; bodies are filled in when they have ended. */
  readonly seen: Seen[];
  /** Called when a request is complete. */
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  /** Called when its fields are there. */
  arrived: (request: IncomingMessage, response: ServerResponse) => void;
}

/** A plain HTTP server that records what it gets and answers 200 until told otherwise. @param address of this machine */
export async function startUpstream(t: Closing, address = '127.0.0.1'): Promise<TestUpstream> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { method = '', url: target = '', rawHeaders } = request;
    const record: Seen = { method, target, fields: new Fields(rawHeaders), body: '' };
    seen.push(record);
    upstream.arrived(request, response);
    request.setEncoding('latin1').on('data', (chunk: string) => (record.body += chunk));
    request.on('end', () => upstream.answer(request, response));
  });
  server.listen(0, address);
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const upstream: TestUpstream = {
    origin: `http://${address}:${(server.address() as AddressInfo).port}`,
    seen,
    answer: (_request, response) => response.end('from the upstream'),
    arrived: () => {},
  };
  return upstream;
}

/** Field lines as received. */
export class Fields {
  readonly lines: readonly (readonly [name: string, value: string])[];

  constructor(raw: readonly string[]) {
    this.lines = raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ''] as const] : []));
  }

  /** Values of all lines of that name. */
  all(name: string): readonly string[] {
    return this.lines.filter(([other]) => other.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  }

  /** Of the only line of that name; undefined: none. */
  one(name: string): string | undefined {
    const [value, ...others] = this.all(name);
    if (others.length > 0) throw new Error(`${name} is there ${others.length + 1} times`);
    return value;
  }
}

export interface RequestWishes {
  readonly token?: string;
  /** The default is DPoP with a proof, else Bearer. */
  readonly scheme?: string;
  readonly proof?: string;
  readonly client?: TestCertificate;
  readonly host?: string;
  readonly fields?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  readonly agent?: Agent;
  /** Address of loopback from which the client calls. */
  readonly from?: string;
  /** Address that is called; loopback otherwise. */
  readonly to?: string;
  /** SNI, for whatever the certificate is. */
  readonly servername?: string;
}

export interface Answered {
  readonly status: number;
  readonly fields: Fields;
  readonly body: string;
  /** Of the problem document. */
  readonly reason: string | undefined;
}

export interface TestGateway {
  readonly running: Gateway;
  readonly policy: Policy;
  readonly upstream: TestUpstream;
  /** Everything logged so far. */
  readonly log: readonly LogLine[];
  /** Seconds since the epoch. */
  readonly now: () => number;
  readonly request: (method: string, path: string, wishes?: RequestWishes) => Promise<Answered>;
  /** A TLS connection, for bytes that no client library sends. */
  readonly connect: () => Promise<TLSSocket>;
  /** Bytes on a connection of their own → the answer to them. */
  readonly raw: (bytes: string) => Promise<Answered>;
  /** A page of the telemetry port. */
  readonly page: (path: string) => Promise<{ status: number; body: string }>;
  /** Sum of a metric over all series that have these labels. */
  readonly count: (metric: string, labels?: Readonly<Record<string, string>>) => Promise<number>;
  /** Waits until such a sum has come to `value`, which it must not pass: who was answered may be counted a moment later. */
  readonly reaches: (value: number, metric: string, labels?: Readonly<Record<string, string>>) => Promise<void>;
  /** The line, now or later, that has all these members. */
  readonly logged: (members: LogLine) => Promise<LogLine>;
  /** Another policy from other wishes, files and all. */
  readonly reload: (wishes: GatewayWishes) => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface GatewayWishes extends PolicyWishes {
  readonly now?: () => number;
  /** Milliseconds. */
  readonly ticketSecretAge?: number;
  /** For what no policy file may say. */
  readonly adjust?: (policy: Policy) => Policy;
  /** Real worker threads, whose clock is the real one and whose log goes to standard output. */
  readonly threads?: boolean;
  /** Do not wait for the keys of the issuers. */
  readonly unready?: boolean;
  /** How names are resolved, where there are no real worker threads. */
  readonly lookup?: LookupFunction;
}

/** Reads, compiles and starts. Everything is closed when the test ends, or before by `close`. */
export async function startTestGateway(t: Closing, wishes: GatewayWishes = {}): Promise<TestGateway> {
  const upstream = await startUpstream(t);
  const compile = (next: GatewayWishes) =>
    (next.adjust ?? ((same: Policy) => same))(compileFile(writePolicy(t, next, upstream.origin)));
  const policy = compile(wishes);
  const now = wishes.now ?? (() => Date.now() / 1000);
  const lines = new LogLines();
  // The threads of a test are silenced by the policy, the supervisor is not.
  const log = createLog(wishes.threads ? { ...policy.log, level: 'info' } : policy.log, lines);
  const spawn = wishes.threads ? spawnThread : spawnHere(log, now, wishes.lookup);
  const { ticketSecretAge = 3_600_000 } = wishes;
  const options = { version: '0.0.0-test', log, now, spawn, ticketSecretAge, lookup: wishes.lookup };
  const running = await startGateway(policy, options).catch((error: unknown) => {
    if (isRaceForPort(policy, error)) return undefined;
    throw error;
  });
  if (running === undefined) return startTestGateway(t, wishes);
  t.after(() => running.close());
  if (!wishes.unready) await lines.until({ msg: 'keys loaded' });
  const port = portOf(running.listeners[0]?.bind);
  const connect = () => openTls(port, { ca: SERVER_CA.cert });
  const page = (path: string) => readPage(portOf(running.telemetry), path);
  const count: TestGateway['count'] = async (metric, labels = {}) =>
    sumOf((await page('/metrics')).body, metric, labels);
  return {
    running,
    policy,
    upstream,
    log: lines.lines,
    now,
    request: (method, path, what) => sendRequest(port, method, path, what),
    connect,
    async raw(bytes) {
      const socket = await connect();
      socket.write(bytes, 'latin1');
      return await readAnswer(socket);
    },
    page,
    count,
    async reaches(value, metric, labels) {
      await until(async () => (await count(metric, labels)) >= value);
      assert.equal(await count(metric, labels), value);
    },
    logged: (members) => lines.until(members),
    reload: (next) => running.reload(compile(next), { cause: 'files', config: () => '' }),
    close: () => running.close(),
  };
}

/** A port that was free is claimed and left to the worker: another process of the tests may come between. */
function isRaceForPort({ listeners }: Policy, error: unknown): boolean {
  const chosen = listeners.every(({ bind }) => 'port' in bind && bind.port === 0);
  return chosen && error instanceof Error && /^listener .* in use by another process$/.test(error.message);
}

function compileFile(file: string): Policy {
  const read = readPolicyFile(file, { env: {} });
  const compiled = 'problems' in read ? read : compilePolicy(read, Date.now() / 1000);
  if ('policy' in compiled) return compiled.policy;
  throw new Error(compiled.problems.map(formatProblem).join('\n'));
}

export function portOf(bind: Bind | undefined): number {
  return bind !== undefined && 'port' in bind ? bind.port : 0;
}

/** One request on a connection of its own, unless there is an agent; exactly the fields named, and Content-Length. */
export function sendRequest(port: number, method: string, path: string, wishes: RequestWishes = {}): Promise<Answered> {
  const { token, proof, scheme = proof === undefined ? 'Bearer' : 'DPoP', client, host = HOST, agent, body } = wishes;
  const fields = [
    ['Host', host],
    ...(token === undefined ? [] : [['Authorization', `${scheme} ${token}`]]),
    ...(proof === undefined ? [] : [['DPoP', proof]]),
    ...(wishes.fields ?? []),
    ...(body === undefined ? [] : [['Content-Length', String(Buffer.byteLength(body))]]),
  ];
  return new Promise((resolve, reject) => {
    const request = requestTls({
      host: wishes.to ?? '127.0.0.1',
      servername: wishes.servername ?? HOST,
      ...(wishes.servername !== undefined && { checkServerIdentity: () => undefined }),
      port,
      method,
      path,
      headers: fields.flat(),
      agent: agent ?? false,
      ca: SERVER_CA.cert,
      ...(wishes.from && { localAddress: wishes.from }),
      ...(client && { cert: client.chain, key: client.key }),
      signal: AbortSignal.timeout(30_000),
    });
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
      response.once('error', reject);
      response.once('end', () => resolve(answered(response.statusCode ?? 0, new Fields(response.rawHeaders), text)));
    });
    request.end(body);
  });
}

/** The next answer on a connection, by its Content-Length; the connection is closed then. */
export async function readAnswer(socket: Socket): Promise<Answered> {
  let text = '';
  socket.setEncoding('latin1');
  for await (const chunk of socket) {
    text += String(chunk);
    const [head = '', body] = text.split(/\r\n\r\n(.*)/s);
    const [status = '', ...lines] = head.split('\r\n');
    const fields = new Fields(lines.flatMap((line) => line.split(/: (.*)/).slice(0, 2)));
    if (body?.length === Number(fields.one('content-length'))) {
      return answered(Number(/^HTTP\/1\.1 (\d{3}) /.exec(status)?.[1]), fields, body);
    }
  }
  throw new Error(`the connection ended before its answer: ${JSON.stringify(text)}`);
}

function answered(status: number, fields: Fields, body: string): Answered {
  return { status, fields, body, reason: /"reason":"(\w+)"/.exec(body)?.[1] };
}

/** A page of a telemetry port. */
export function readPage(port: number, path: string, host = '127.0.0.1'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    get({ host, port, path, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    }).once('error', reject);
  });
}

/** Series of the text format → name, labels, value. */
export function readSeries(text: string): { name: string; labels: Record<string, string>; value: number }[] {
  return [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name = '', labels = '', value]) => ({
    name,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, is]) => [label, is])),
    value: Number(value),
  }));
}

function sumOf(text: string, metric: string, labels: Readonly<Record<string, string>>): number {
  return readSeries(text)
    .filter((series) => series.name === metric)
    .filter((series) => Object.entries(labels).every(([label, value]) => series.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
