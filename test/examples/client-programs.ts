// The programs of docs/clients/ at work, against a gateway they can call.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { exportJWK } from 'jose';
import { HOLDER, issue, THIEF, TO_KEY } from '../gateway/credentials.ts';
import { SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { serve } from '../support/issuer-server.ts';
import { makeCertificate } from '../support/pki.ts';
import { freePort } from '../support/programs.ts';
import type { TestKey } from '../support/tokens.ts';

export const CLIENTS = join(import.meta.dirname, '../../docs/clients');
export const LOCALHOST = await makeCertificate({ names: ['localhost'], ca: SERVER_CA });

/** How a program is started; its arguments are URLs. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  /** What it needs of the environment to trust the CA of that file. */
  readonly trust?: (caFile: string, folder: string) => Readonly<Record<string, string>>;
}

export interface Called {
  readonly gateway: TestGateway;
  readonly origin: string;
}

/** A gateway at https://localhost with a route that demands nonces. @param page origin of a page that may call it */
export async function startNonceGateway(t: TestContext, page?: string): Promise<Called> {
  const port = await freePort();
  const origin = `https://localhost:${port}`;
  const cors = page === undefined ? '' : `, cors: { origins: ["${page}"] }`;
  const gateway = await startTestGateway(t, {
    listeners: `- { name: public, bind: "127.0.0.1:${port}", origins: ["${origin}"], tls: { certificates: [{ cert: local.crt, key_file: local.key }] } }`,
    routes: `- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required }${cors} }`,
    files: { 'local.crt': LOCALHOST.chain, 'local.key': LOCALHOST.key },
  });
  return { gateway, origin };
}

/** The same with a route that demands message signatures. */
async function startSignedGateway(t: TestContext): Promise<Called> {
  const port = await freePort();
  const origin = `https://localhost:${port}`;
  const gateway = await startTestGateway(t, {
    listeners: `- { name: public, bind: "127.0.0.1:${port}", origins: ["${origin}"], tls: { certificates: [{ cert: local.crt, key_file: local.key }] } }`,
    routes: '- { name: signed, match: { path: /signed/* }, upstream: orders, require: dpop, signature: {} }',
    files: { 'local.crt': LOCALHOST.chain, 'local.key': LOCALHOST.key },
  });
  return { gateway, origin };
}

export interface Holding {
  readonly token: string;
  readonly key: TestKey;
  /** Sent by POST. */
  readonly body?: string;
}

/** The lines that a program prints, each a status. */
export async function runClient(
  t: TestContext,
  program: Program,
  urls: readonly string[],
  { token, key, body }: Holding,
) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-client-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, SERVER_CA.cert);
  const env = {
    ...process.env,
    ACCESS_TOKEN: token,
    DPOP_KEY: JSON.stringify({ ...(await exportJWK(key.privateKey)), alg: key.alg }),
    // Of Node, of httpx and Go, and of requests.
    NODE_EXTRA_CA_CERTS: caFile,
    SSL_CERT_FILE: caFile,
    REQUESTS_CA_BUNDLE: caFile,
    ...(body !== undefined && { BODY: body }),
    ...program.trust?.(caFile, folder),
  };
  const child = spawn(program.file, [...program.args, ...urls], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let [printed, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const status = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  assert.equal(status, 0, said);
  return printed.trim().split('\n');
}

/** Paths that a client which decodes, or cuts, cannot prove; a query, which is no part of htu. */
const TARGETS = ['/nonce/1?page=2', '/nonce/caf%C3%A9/a%20b', '/nonce/2;v=1?a=b;c', '/nonce/50%25%2C'];

/** Learns the nonce by one refusal, keeps it, and proves every path as it is on the wire. */
export async function learnNonce(t: TestContext, program: Program): Promise<void> {
  const { gateway, origin } = await startNonceGateway(t);
  const holding = { token: await issue(gateway, TO_KEY), key: HOLDER };
  const urls = TARGETS.map((target) => origin + target);
  const statuses = await runClient(t, program, urls, holding);
  assert.deepEqual(statuses, ['200', '200', '200', '200'], JSON.stringify(gateway.log));
  assert.deepEqual(
    gateway.upstream.seen.map(({ target }) => target),
    TARGETS,
  );
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'nonce_required' }), 1);
  assert.equal(await gateway.count('holdfast_rejections_total'), 1);
}

/** The request that was refused for want of a nonce had a body, and the one that passes has it too. */
export async function sendBodyAgain(t: TestContext, program: Program): Promise<void> {
  const { gateway, origin } = await startNonceGateway(t);
  const body = '{"item":"tea"}';
  const holding = { token: await issue(gateway, TO_KEY), key: HOLDER, body };
  assert.deepEqual(await runClient(t, program, [`${origin}/nonce/1`], holding), ['200']);
  assert.deepEqual(
    gateway.upstream.seen.map((seen) => [seen.method, seen.body]),
    [['POST', body]],
  );
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'nonce_required' }), 1);
}

/** A key that the token is not bound to opens nothing, and is not tried for ever. */
export async function beRefused(t: TestContext, program: Program): Promise<void> {
  const { gateway, origin } = await startNonceGateway(t);
  const holding = { token: await issue(gateway, TO_KEY), key: THIEF };
  assert.deepEqual(await runClient(t, program, [`${origin}/nonce/1`], holding), ['401']);
  assert.equal(gateway.upstream.seen.length, 0);
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'proof_key_mismatch' }), 1);
  assert.ok((await gateway.count('holdfast_rejections_total')) <= 2);
}

/** A server that asks for a nonce again and again gets two requests. */
export async function giveUp(t: TestContext, program: Program): Promise<void> {
  const asking = await serve(t, { cert: LOCALHOST.chain, key: LOCALHOST.key });
  asking.answer = (_request, response) => {
    response.setHeader('WWW-Authenticate', 'DPoP error="use_dpop_nonce", algs="ES256"');
    response.writeHead(401, { 'DPoP-Nonce': `n${asking.seen.length}` }).end();
  };
  const url = `${asking.origin.replace('127.0.0.1', 'localhost')}/1`;
  assert.deepEqual(await runClient(t, program, [url], { token: 'opaque', key: HOLDER }), ['401']);
  assert.equal(asking.seen.length, 2);
}

const SIGNED = ['/signed/1?page=2', '/signed/caf%C3%A9/a%20b', '/signed/2;v=1?a=b;c&d=%2F', '/signed/3'];

/** Signs requests without a body as they are on the wire. */
export async function signRequests(t: TestContext, program: Program): Promise<void> {
  const { gateway, origin } = await startSignedGateway(t);
  const holding = { token: await issue(gateway, TO_KEY), key: HOLDER };
  const urls = SIGNED.map((target) => origin + target);
  assert.deepEqual(
    await runClient(t, program, urls, holding),
    ['200', '200', '200', '200'],
    JSON.stringify(gateway.log),
  );
  assert.deepEqual(
    gateway.upstream.seen.map(({ target }) => target),
    SIGNED,
  );
}

/** Signs a request with its body; with a key that the token is not bound to that opens nothing. */
export async function signBody(t: TestContext, program: Program): Promise<void> {
  const { gateway, origin } = await startSignedGateway(t);
  const body = '{"item":"tea"}';
  const token = await issue(gateway, TO_KEY);
  const urls = [`${origin}/signed/1`];
  assert.deepEqual(
    await runClient(t, program, urls, { token, key: HOLDER, body }),
    ['200'],
    JSON.stringify(gateway.log),
  );
  assert.deepEqual(
    gateway.upstream.seen.map((seen) => [seen.method, seen.body]),
    [['POST', body]],
  );
  assert.deepEqual(await runClient(t, program, urls, { token, key: THIEF, body }), ['401']);
}
