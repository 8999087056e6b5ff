// Clients of grpc-go, grpcio and connect-go at a route that demands a nonce.

import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { describe, test, type TestContext } from 'node:test';
import { issue, prove, TO_KEY } from '../gateway/credentials.ts';
import { type Rig, SERVICE, startGrpc } from '../gateway/grpc-rig.ts';
import { HOST, portOf, SERVER_CA } from '../support/gateway.ts';
import { findGrpcGo, findGrpcio, type Found } from './programs.ts';

const POLICY = {
  routes: `
- { name: nonce, match: { path: /nonce/* }, upstream: echo, require: dpop, dpop: { nonce: required }, rewrite: { strip_prefix: /nonce } }
- { name: web, match: { path: /web/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: scoped, match: { path: /scoped/* }, upstream: echo, require: dpop, scope: [orders:write] }
`,
};

interface Told {
  readonly code: number;
  readonly details: string;
  readonly metadata: Readonly<Record<string, readonly string[]>> | null;
  readonly value: string;
}

interface Caller {
  /** @param claims of the proof */
  readonly call: (path: string, wishes?: { streaming?: boolean; claims?: object }) => Promise<Told>;
}

/** The program at a gateway. It makes one call after the other, with a token and a proof of the test. */
async function startCaller(t: TestContext, rig: Rig, found: Found, ...more: readonly string[]): Promise<Caller> {
  if ('skip' in found) throw new Error(found.skip);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-grpc-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, SERVER_CA.cert);
  const port = String(portOf(rig.gateway.running.listeners[0]?.bind));
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(
    found.file,
    [...found.args, port, caFile, HOST, ...more],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  return {
    async call(path, { streaming = false, claims = {} } = {}) {
      const token = await issue(rig.gateway, TO_KEY);
      const dpop = await prove(rig.gateway, token, 'POST', path, { claims: { ...claims } });
      const told = once(lines, 'line', { signal: AbortSignal.timeout(30_000) });
      child.stdin.write(`${JSON.stringify({ path, streaming, metadata: { authorization: `DPoP ${token}`, dpop } })}\n`);
      return JSON.parse(String((await told)[0])) as Told;
    },
  };
}

/** The only value of a field, by a name in lower case; Connect's client keeps names as HTTP/1.1 writes them. */
function valueOf({ metadata }: Told, name: string): string {
  const found = Object.entries(metadata ?? {}).filter(([other]) => other.toLowerCase() === name);
  const values = found.flatMap(([, each]) => each);
  assert.equal(values.length, 1, `${name}: ${JSON.stringify(metadata)}`);
  return values[0] ?? '';
}

async function learnNonce(caller: Caller, path: string, streaming: boolean): Promise<void> {
  const asked = await caller.call(path, { streaming });
  assert.equal(asked.code, 16, JSON.stringify(asked));
  assert.match(
    asked.details,
    /^A nonce is required in the DPoP proof\. .*\(nonce_required, request_id [0-9a-f-]{36}\)$/,
  );
  assert.match(valueOf(asked, 'www-authenticate'), /^DPoP error="use_dpop_nonce", /);
  const passed = await caller.call(path, { streaming, claims: { nonce: valueOf(asked, 'dpop-nonce') } });
  assert.deepEqual([passed.code, passed.value], [0, streaming ? 'echo a' : 'a'], JSON.stringify(passed));
}

for (const [name, found] of [
  ['grpc-go', findGrpcGo('calling')],
  ['grpcio', findGrpcio('calling/client.py')],
] as const) {
  describe(name, { skip: 'skip' in found ? found.skip : false }, () => {
    for (const [method, streaming] of [
      ['Unary', false],
      ['Talk', true],
    ] as const) {
      test(`learns the nonce of a route and passes with it: ${method}`, async (t) => {
        const rig = await startGrpc(t, POLICY);
        const caller = await startCaller(t, rig, found);
        await learnNonce(caller, `/nonce${SERVICE}/${method}`, streaming);
      });
    }

    test('gets the status that fits the reason', async (t) => {
      const rig = await startGrpc(t, POLICY);
      const caller = await startCaller(t, rig, found);
      const [scoped, missing] = [await caller.call('/scoped/x'), await caller.call('/nowhere/x')];
      assert.deepEqual([scoped.code, missing.code], [7, 12]);
      assert.match(valueOf(scoped, 'www-authenticate'), /error="insufficient_scope".*scope="orders:write"/);
    });
  });
}

const web = findGrpcGo('calling');

/** What a server of gRPC-Web answers: the message of the request, and a frame with the trailers (PROTOCOL-WEB.md). */
function answerWeb(message: Buffer, response: ServerResponse): void {
  const trailers = Buffer.from('grpc-status: 0\r\n');
  const head = Buffer.alloc(5);
  head[0] = 0x80;
  head.writeUInt32BE(trailers.length, 1);
  response.writeHead(200, { 'Content-Type': 'application/grpc-web+proto' });
  response.end(Buffer.concat([message, head, trailers]));
}

describe('connect-go, by gRPC-Web', { skip: 'skip' in web ? web.skip : false }, () => {
  test('learns the nonce of a route and passes with it', async (t) => {
    const rig = await startGrpc(t, POLICY);
    const { upstream } = rig.gateway;
    upstream.answer = (_request, response) =>
      answerWeb(Buffer.from(upstream.seen.at(-1)?.body ?? '', 'latin1'), response);
    await learnNonce(await startCaller(t, rig, web, 'web'), `/web${SERVICE}/Unary`, false);
  });
});
