// A rendered pod at work without a cluster, on free ports of loopback.

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as requestPlain } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { startGateway } from '../../src/supervisor/gateway.ts';
import { createLog } from '../../src/observe/log.ts';
import { compilePolicy } from '../../src/config/compile/compile.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { readPolicyFile } from '../../src/config/read/read.ts';
import type { Listener, Policy } from '../../src/policy/policy.ts';
import type { RedisPolicy } from '../../src/policy/redis.ts';
import { CLIENT } from '../gateway/credentials.ts';
import {
  CLIENT_CA,
  CLIENT_ROOT,
  HOST,
  ISSUER_KEY,
  portOf,
  readPage,
  SERVER,
  SERVER_CA,
  startUpstream,
} from '../support/gateway.ts';
import { makeCrl } from '../support/pki.ts';
import { startRedis } from '../support/redis.ts';
import { spawnHere } from '../support/threads.ts';
import { gatewayOf, type KubernetesObject, type Rendering } from './golden.ts';

const CLIENTS = `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}`;
const CRL = `${await makeCrl(CLIENT_CA, [])}${await makeCrl(CLIENT_ROOT, [])}`;

/** What Secrets and ConfigMaps of others hold, by key. */
const CONTENTS: Readonly<Record<string, string>> = {
  'tls.crt': SERVER.chain,
  'tls.key': SERVER.key,
  'ca.crt': CLIENTS,
  'crl.pem': CRL,
  jwks: JSON.stringify({ keys: [ISSUER_KEY.jwk] }),
  password: 'secret',
};
const NONCE_SECRET = 'n'.repeat(48);
const ENVIRONMENT = { AUDIENCE: 'https://api.example.com', TENANT: 'acme' };

/** Mounts the pod's volume. Each file has an upstream to itself, for an address belongs to one. @returns the folder that stands for /etc/holdfast */
async function mount(t: TestContext, rendering: Rendering): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pod-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (path: string, content: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const { pod } = gatewayOf(rendering);
  const volume = pod['spec'].volumes.find(({ name }: KubernetesObject) => name === 'holdfast');
  for (const source of volume.projected.sources) {
    const { name, items } = source.configMap ?? source.secret;
    const map = rendering.objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
    for (const [file, content] of Object.entries(map?.['data'] ?? {}))
      write(file, String(content).replaceAll(TARGETS, (await startUpstream(t)).origin));
    for (const { key, path } of items ?? []) write(path, CONTENTS[key] ?? NONCE_SECRET);
  }
  return folder;
}

export interface StartedPod {
  readonly policy: Policy;
  readonly call: (listener: string, path: string, wishes?: CallWishes) => Promise<Called>;
  readonly page: (path: string) => Promise<{ status: number; body: string }>;
}

export interface Called {
  /** Status of an answer, and the reason of a refusal or else the body. */
  readonly said: string;
  readonly nonce: string | undefined;
}

export interface CallWishes {
  readonly host?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

/**
 * Starts the gateway of a rendering. Only places are changed: addresses of listeners, upstreams and Redis, peers that are this
 * machine, keys of the issuer from a file.
 */
export async function startPod(t: TestContext, rendering: Rendering): Promise<StartedPod> {
  const folder = await mount(t, rendering);
  writeFileSync(join(folder, 'test-keys.json'), CONTENTS['jwks'] ?? '');
  const policy = await here(t, compile(folder), join(folder, 'test-keys.json'));
  const log = createLog(policy.log, { write() {} });
  const spawn = spawnHere(log, () => Date.now() / 1000);
  const running = await startGateway(policy, { version: 'test', log, spawn });
  t.after(() => running.close());
  const page = (path: string) => readPage(portOf(running.telemetry), path);
  while ((await page('/readyz')).status !== 200) await new Promise(setImmediate);
  return {
    policy,
    page,
    async call(name, path, wishes = {}) {
      const listener = policy.listeners.find((one) => one.name === name);
      const bound = running.listeners.find((one) => one.name === name);
      if (listener === undefined) throw new Error(`there is no listener ${name}`);
      return await call(listener, portOf(bound?.bind), path, wishes);
    },
  };
}

/** Upstreams of the renderings, wherever they are. */
const TARGETS = /http:\/\/\w+\.shop\.svc:\d+|http:\/\/127\.0\.0\.1:8080|unix:\/run\/app\/app\.sock/g;

function compile(folder: string): Policy {
  const read = readPolicyFile(join(folder, 'holdfast.yaml'), { env: ENVIRONMENT });
  const compiled = 'problems' in read ? read : compilePolicy(read, Date.now() / 1000);
  if ('policy' in compiled) return compiled.policy;
  throw new Error(compiled.problems.map(formatProblem).join('\n'));
}

/** Listeners on free ports of loopback, which trust this machine where they trusted a range; a key set from a file; a Redis here. */
async function here(t: TestContext, policy: Policy, file: string): Promise<Policy> {
  const bind = { host: '127.0.0.1', port: 0 };
  const listeners = policy.listeners.map((listener) => ({
    ...listener,
    bind,
    trustedPeers: listener.trustedPeers.map((peer) => ({ ...peer, cidr: peer.cidr && '127.0.0.1/32' })),
  }));
  const issuers = policy.issuers.map((issuer) => ({ ...issuer, keys: { from: 'jwks_file', file } as const }));
  const replay = {
    ...policy.replay,
    capacity: 1000,
    redis: policy.replay.redis && (await redisHere(t, policy.replay.redis)),
  };
  return { ...policy, listeners, issuers, admin: bind, telemetry: { bind, hosts: [] }, replay };
}

/** The rendered Redis has this user, this password and TLS by this CA; the one that is there has neither, and a busy machine keeps it waiting. */
async function redisHere(t: TestContext, redis: RedisPolicy): Promise<RedisPolicy> {
  const { port } = await startRedis(t);
  const place = { kind: 'server', host: '127.0.0.1', port, db: 0 } as const;
  return { ...redis, place, username: undefined, password: undefined, tls: undefined, timeout: 5 };
}

/** One request as a client of that listener makes it: PROXY header, TLS with a certificate, fields of a balancer. */
async function call(
  listener: Listener,
  port: number,
  path: string,
  { host = HOST, fields = {} }: CallWishes,
): Promise<Called> {
  const socket = await open(listener, port);
  const balancer = listener.tls === undefined && listener.trustedPeers.length > 0;
  const forwarded = balancer ? { 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '192.0.2.1' } : {};
  const headers = { Host: host, ...forwarded, ...fields };
  return await new Promise((resolve, reject) => {
    const request = requestPlain({ createConnection: () => socket, path, headers });
    request.once('error', reject).once('response', (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
      response.once('end', () => {
        socket.destroy();
        const nonce = response.headers['dpop-nonce'];
        const said = `${response.statusCode} ${/"reason":"(\w+)"/.exec(body)?.[1] ?? body}`;
        resolve({ said, nonce: typeof nonce === 'string' ? nonce : undefined });
      });
    });
    request.end();
  });
}

async function open({ tls, proxyProtocol }: Listener, port: number): Promise<Socket> {
  const plain = connect(port, '127.0.0.1');
  await once(plain, 'connect');
  if (proxyProtocol) plain.write('PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n');
  if (tls === undefined) return plain;
  const secure = connectTls({
    socket: plain,
    servername: HOST,
    ca: SERVER_CA.cert,
    cert: CLIENT.chain,
    key: CLIENT.key,
  });
  await once(secure, 'secureConnect');
  return secure;
}
