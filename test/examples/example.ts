// A file of config/examples/ at work, compiled as written, on free ports.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { startGateway } from '../../src/supervisor/gateway.ts';
import { spawnHere } from '../support/threads.ts';
import { createLog } from '../../src/observe/log.ts';
import { compilePolicy } from '../../src/config/compile/compile.ts';
import { formatProblem, type Problem } from '../../src/config/problem.ts';
import { readPolicyFile } from '../../src/config/read/read.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { json, serve, site } from '../support/issuer-server.ts';
import {
  type Answered,
  ISSUER_KEY,
  ORIGIN,
  portOf,
  readPage,
  readSeries,
  type RequestWishes,
  SERVER,
  sendRequest,
  startUpstream,
  type TestUpstream,
} from '../support/gateway.ts';
import { makeKey, makeProof, makeToken, type TestKey } from '../support/tokens.ts';

export const EXAMPLES = join(import.meta.dirname, '../../config/examples');

/** The key to which bound tokens are bound, and a thief's. */
export const HOLDER = await makeKey();
export const THIEF = await makeKey();

type Files = Readonly<Record<string, string>>;
type Environment = Readonly<Record<string, string>>;

/** `tls/tls.crt` and its key, for api.example.com. */
export const TLS: Files = { 'tls/tls.crt': SERVER.chain, 'tls/tls.key': SERVER.key };

interface Compiled {
  readonly policy: Policy;
  readonly warnings: readonly Problem[];
}

/** Copies an example to a folder of its own, which goes with the test, and makes the files beside it. @returns its name there */
export function copyExample(t: TestContext, name: string, files: Files): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-example-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  cpSync(join(EXAMPLES, name), join(folder, basename(name)));
  return join(folder, basename(name));
}

export function compileExample(file: string, env: Environment): Compiled {
  const read = readPolicyFile(file, { env });
  const compiled = 'problems' in read ? read : compilePolicy(read, Date.now() / 1000);
  if ('policy' in compiled) return compiled;
  throw new Error(compiled.problems.map(formatProblem).join('\n'));
}

/** The same, listening on free ports of loopback, and patient with a Redis that a busy machine keeps waiting. */
function onFreePorts(policy: Policy): Policy {
  const bind = { host: '127.0.0.1', port: 0 };
  return {
    ...policy,
    listeners: policy.listeners.map((listener) => ({ ...listener, bind })),
    admin: bind,
    telemetry: { bind, hosts: [] },
    replay: { ...policy.replay, redis: policy.replay.redis && { ...policy.replay.redis, timeout: 5 } },
  };
}

export interface Example {
  readonly upstream: TestUpstream;
  readonly policy: Policy;
  readonly port: number;
  readonly call: (method: string, path: string, wishes?: RequestWishes) => Promise<Answered>;
  /** Sum of a metric over the series that have these labels. */
  readonly count: (metric: string, labels: Readonly<Record<string, string>>) => Promise<number>;
}

/** Starts an example. @param urls names of the variables that lead to the upstream, where everything is recorded */
export async function startExample(
  t: TestContext,
  name: string,
  files: Files,
  urls: readonly string[],
  env: Environment = {},
): Promise<Example> {
  const upstream = await startUpstream(t);
  const targets = Object.fromEntries(urls.map((variable) => [variable, upstream.origin]));
  const { policy } = compileExample(copyExample(t, name, files), { ...targets, ...env });
  const log = createLog(policy.log, { write() {} });
  const running = await startGateway(onFreePorts(policy), {
    version: 'test',
    log,
    spawn: spawnHere(log, () => Date.now() / 1000),
  });
  t.after(() => running.close());
  const port = portOf(running.listeners[0]?.bind);
  return {
    upstream,
    policy,
    port,
    call: (method, path, wishes) => sendRequest(port, method, path, wishes),
    async count(metric, labels) {
      const { body } = await readPage(portOf(running.telemetry), '/metrics');
      return readSeries(body)
        .filter((series) => series.name === metric)
        .filter((series) => Object.entries(labels).every(([label, value]) => series.labels[label] === value))
        .reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** An authorization server with metadata (OpenID Connect Discovery) and keys. @param path of its issuer identifier */
export async function startIssuer(t: TestContext, path = '', key: TestKey = ISSUER_KEY): Promise<string> {
  const server = await serve(t);
  const issuer = `${server.origin}${path}`;
  server.answer = site({
    [`${path}/.well-known/openid-configuration`]: { issuer, jwks_uri: `${server.origin}/keys` },
    '/keys': { keys: [key.jwk] },
  });
  return issuer;
}

/** A key set that has nothing but an address. */
export async function startKeys(t: TestContext, key: TestKey): Promise<string> {
  const server = await serve(t);
  server.answer = json({ keys: [key.jwk] });
  return `${server.origin}/oauth/keys`;
}

type Members = Readonly<Record<string, unknown>>;

/** An access token of an issuer, bound to the holder's key unless its claims say otherwise. */
export function issue(issuer: string, claims: Members = {}, key = ISSUER_KEY, header: Members = {}) {
  return makeToken(key, Date.now() / 1000, { claims: { iss: issuer, cnf: { jkt: HOLDER.jkt }, ...claims }, header });
}

export interface ProofWishes {
  readonly key?: TestKey;
  readonly nonce?: string | undefined;
  /** Seconds by which the clock of the client is wrong. */
  readonly skew?: number;
}

/** A token and a proof for one request, ready to be sent. */
export async function prove(token: string, method: string, path: string, wishes: ProofWishes = {}) {
  const { key = HOLDER, nonce, skew = 0 } = wishes;
  const claims = nonce === undefined ? {} : { nonce };
  const proof = await makeProof(key, Date.now() / 1000 + skew, { method, url: `${ORIGIN}${path}`, token, claims });
  return { token, proof };
}

export function readExample(name: string): string {
  return readFileSync(join(EXAMPLES, name), 'utf8');
}
