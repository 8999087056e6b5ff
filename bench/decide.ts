// The cost of a decision alone, against a hello world of the same protocol.
//
// node bench/decide.ts [--questions 8000] [--rounds 5]

import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { AUDIENCE, type Credentials, ISSUER, makeCredentials, makeProof } from './credentials.ts';
import { machineFacts, treeUsage } from './machine.ts';
import { freePort } from '../test/support/programs.ts';
import { type Program, startProgram } from './peers.ts';

type Protocol = 'http' | 'grpc';

const ORIGIN = 'https://api.example.com';
const PATH = '/orders/1';
/** Questions in flight, over 16 kept connections or the streams of one. */
const IN_FLIGHT = 16;
/** Milliseconds. */
const WARM_UP = 6000;
const CHECK = '/envoy.service.auth.v3.Authorization/Check';

/** Answers nothing, as fast as Node can. */
const HELLO: Readonly<Record<Protocol, string>> = {
  http: `require('http').createServer((q, s) => { s.writeHead(200, { 'content-length': 0 }); s.end(); }).listen(PORT, '127.0.0.1')`,
  grpc: `require('http2').createServer().on('stream', (s) => {
    const pieces = [];
    s.on('data', (piece) => pieces.push(piece)).on('end', () => {
      Buffer.concat(pieces);
      s.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      s.on('wantTrailers', () => s.sendTrailers({ 'grpc-status': '0' }));
      s.end(Buffer.from([0, 0, 0, 0, 2, 10, 0]));
    });
  }).listen(PORT, '127.0.0.1')`,
};

async function startHello(protocol: Protocol): Promise<Program> {
  const port = await freePort();
  return startProgram(process.execPath, ['-e', HELLO[protocol].replace('PORT', String(port))], port, () =>
    accepts(port),
  );
}

async function startDeciding(folder: string, made: Credentials, protocol: Protocol): Promise<Program> {
  const port = await freePort();
  const config = join(folder, `${protocol}.yaml`);
  writeFileSync(join(folder, 'keys.json'), made.keySet);
  const listener = {
    name: 'decide',
    bind: `127.0.0.1:${port}`,
    origins: [ORIGIN],
    mode: 'decide',
    dialect: protocol === 'http' ? 'forwarded' : 'envoy-grpc',
    trusted_peers: [{ cidr: '127.0.0.1/32' }],
  };
  const policy = {
    version: 1,
    workers: 1,
    listeners: [listener],
    admin: { bind: '127.0.0.1:0' },
    telemetry: { bind: `127.0.0.1:${await freePort()}` },
    log: { level: 'warn' },
    issuers: { login: { issuer: ISSUER, audience: [AUDIENCE], keys: { jwks_file: 'keys.json' } } },
    routes: [{ name: 'orders', match: { path: '/orders/*' }, require: 'dpop' }],
  };
  writeFileSync(config, stringify(policy));
  const main = join(import.meta.dirname, '../src/main.ts');
  return startProgram(process.execPath, [main, 'serve', '--config', config], port, () => accepts(port));
}

function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).then((accepted) => {
    socket.destroy();
    return accepted === true;
  });
}

/** What a front asks: one question per proof. */
type Ask = (nth: number) => Promise<boolean>;

/** Over kept connections, one question at a time on each. */
async function openHttp(port: number, questions: readonly string[]): Promise<{ ask: Ask; close: () => void }> {
  const sockets = Array.from({ length: IN_FLIGHT }, () => connect(port, '127.0.0.1').setNoDelay());
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const ask = async (nth: number) => {
    const socket = sockets[nth % IN_FLIGHT]!;
    socket.write(questions[nth]!);
    let text = '';
    while (!text.includes('\r\n\r\n')) text += String((await once(socket, 'data'))[0]);
    return text.startsWith('HTTP/1.1 200');
  };
  return { ask, close: () => sockets.forEach((socket) => socket.destroy()) };
}

async function openGrpc(port: number, questions: readonly Buffer[]): Promise<{ ask: Ask; close: () => void }> {
  const session: ClientHttp2Session = connectHttp2(`http://127.0.0.1:${port}`);
  await once(session, 'connect');
  const head = { ':method': 'POST', ':path': CHECK, 'content-type': 'application/grpc', te: 'trailers' };
  const ask = async (nth: number) => {
    const stream = session.request(head);
    stream.end(questions[nth]);
    const answer: Buffer[] = [];
    for await (const piece of stream) answer.push(piece as Buffer);
    // CheckResponse whose status is empty or 0, and has an ok_response.
    return Buffer.concat(answer).length > 5 && !Buffer.concat(answer).includes('proof_');
  };
  return { ask, close: () => session.destroy() };
}

const fieldLines = (made: Credentials, nth: number): readonly (readonly [string, string])[] => {
  const client = made.clients[nth % made.clients.length]!;
  return [
    ['authorization', `DPoP ${client.tokens.dpop}`],
    ['dpop', makeProof(client, 'GET', `${ORIGIN}${PATH}`)],
    ['user-agent', 'bench'],
    ['accept', '*/*'],
  ];
};

function httpQuestion(made: Credentials, nth: number): string {
  const lines = [
    ['Host', 'holdfast'],
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'api.example.com'],
    ['X-Forwarded-Uri', PATH],
    ['X-Forwarded-For', '198.51.100.7'],
    ...fieldLines(made, nth),
  ];
  return `GET / HTTP/1.1\r\n${lines.map((line) => line.join(': ')).join('\r\n')}\r\n\r\n`;
}

/** CheckRequest by published numbers, in the frame of gRPC. */
function grpcQuestion(made: Credentials, nth: number): Buffer {
  const headers = fieldLines(made, nth).map(([key, value]) =>
    field(1, Buffer.concat([field(1, key), field(3, value)])),
  );
  const http = [field(2, 'GET'), field(4, PATH), field(5, 'api.example.com'), field(6, 'https')];
  const request = field(4, field(2, Buffer.concat([...http, field(13, Buffer.concat(headers))])));
  const source = field(1, field(1, field(1, field(2, '198.51.100.7'))));
  const message = field(1, Buffer.concat([source, request]));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A length-delimited field of Protocol Buffers. */
function field(number: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    if (rest < 128) {
      length.push(rest);
      break;
    }
    length.push((rest & 127) | 128);
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}

/** CPU microseconds of the program per question. Proofs are made before each run, because they age. */
async function measure(program: Program, protocol: Protocol, made: Credentials, count: number): Promise<number> {
  const run = async () => {
    const nths = Array.from({ length: count }, (_, nth) => nth);
    const opened =
      protocol === 'http'
        ? await openHttp(
            program.port,
            nths.map((nth) => httpQuestion(made, nth)),
          )
        : await openGrpc(
            program.port,
            nths.map((nth) => grpcQuestion(made, nth)),
          );
    const before = treeUsage(program.pid).cpu;
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async (_, lane) => {
        for (let nth = lane; nth < count; nth += IN_FLIGHT) {
          if (!(await opened.ask(nth))) throw new Error(`${protocol}: question ${nth} was not permitted`);
        }
      }),
    );
    const used = treeUsage(program.pid).cpu - before;
    opened.close();
    return used / count;
  };
  // The compiler of V8 is done after some seconds, and until then a request costs up to twice as much (docs/performance.md).
  const warmed = performance.now() + WARM_UP;
  do await run();
  while (performance.now() < warmed);
  return run();
}

/** CPU microseconds of one ES256 verification. */
function measureVerification(): number {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const data = Buffer.from('x'.repeat(300));
  const signature = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  const calls = 5000;
  for (let nth = 0; nth < calls / 5; nth++) verify('sha256', data, key, signature);
  const before = process.cpuUsage();
  for (let nth = 0; nth < calls; nth++) verify('sha256', data, key, signature);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { questions: { type: 'string', default: '8000' }, rounds: { type: 'string', default: '5' } },
  });
  const count = Math.ceil(Number(values.questions) / IN_FLIGHT) * IN_FLIGHT;
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const made = makeCredentials(folder);
  const started: Program[] = [];
  try {
    for (const protocol of ['http', 'grpc'] as const) {
      const [hello, holdfast] = [await startHello(protocol), await startDeciding(folder, made, protocol)];
      started.push(hello, holdfast);
      const rounds: { hello: number; decision: number; verification: number; ratio: number }[] = [];
      for (let round = 0; round < Number(values.rounds); round++) {
        const verification = measureVerification();
        const ofHello = await measure(hello, protocol, made, count);
        const decision = await measure(holdfast, protocol, made, count);
        rounds.push({ hello: ofHello, decision, verification, ratio: decision / (ofHello + verification) });
      }
      const of = (name: keyof (typeof rounds)[number]) => rounds.map((round) => round[name]);
      const ratios = of('ratio').toSorted((a, b) => a - b);
      console.log(
        `${protocol}: hello ${median(of('hello')).toFixed(0)} µs, verification ${median(of('verification')).toFixed(0)} µs, ` +
          `decision ${median(of('decision')).toFixed(0)} µs, ratio ${median(ratios).toFixed(2)} ` +
          `(${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)})`,
      );
    }
    console.log(machineFacts().slice(0, 2).join('; '));
  } finally {
    await Promise.all(started.map((program) => program.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
