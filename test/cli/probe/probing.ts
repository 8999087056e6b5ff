// Servers of any behaviour, files of credentials and the report, for tests of the probe.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { exportJWK, exportPKCS8 } from 'jose';
import { probe } from '../../../src/cli/probe/probe.ts';
import type { ProbeOptions } from '../../../src/cli/probe/settings.ts';
import { makeKey, makeToken, type TestKey } from '../../support/tokens.ts';

type Closing = Pick<TestContext, 'after'>;

/** The report of `--json`. */
export interface Report {
  readonly good: string;
  readonly without: string;
  readonly bindings: readonly string[];
  readonly requests: number;
  readonly summary: Readonly<Record<string, number>>;
  readonly stopped: string | null;
  readonly attacks: readonly {
    readonly id: string;
    readonly got: string;
    readonly verdict: string;
    readonly expected: string;
  }[];
  readonly notes: readonly string[];
  readonly next: Readonly<Record<string, string>>;
}

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Said before anything was sent. */
  readonly said: string;
  /** Of --json, where there was one. */
  readonly report: Report;
  /** Ids of the attacks with this verdict. */
  readonly ids: (verdict: string) => readonly string[];
}

/** Runs the probe as fast as it can, with --json unless options say otherwise. */
export async function runProbe(url: string, options: ProbeOptions): Promise<Ran> {
  let said = '';
  const { exit, stdout, stderr } = await probe(url, { rate: '10000', json: true, ...options }, '0.0.0', (text) => {
    said += text;
  });
  const report = (stdout.startsWith('{') ? JSON.parse(stdout) : {}) as Report;
  const ids = (verdict: string) => report.attacks.filter((one) => one.verdict === verdict).map(({ id }) => id);
  return { exit, stdout, stderr, said, report, ids };
}

/** Writes files that go with the test. @returns their paths, by name */
export function writeFiles<N extends string>(t: Closing, files: Readonly<Record<N, string>>): Record<N, string> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const paths = Object.entries<string>(files).map(([name, text]) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return [name, path];
  });
  return Object.fromEntries(paths) as Record<N, string>;
}

const ISSUER = await makeKey('ES256', 'k1');
export const HOLDER: TestKey = await makeKey();

/** A token with these claims. */
export const tokenOf = (claims: Readonly<Record<string, unknown>>) => makeToken(ISSUER, Date.now() / 1000, { claims });

/** A token bound to HOLDER, its key, and an unbound token, as options. */
export async function boundToken(t: Closing): Promise<{ options: ProbeOptions; secrets: readonly string[] }> {
  const token = await tokenOf({ cnf: { jkt: HOLDER.jkt } });
  const jwk = JSON.stringify(await exportJWK(HOLDER.privateKey));
  const files = writeFiles(t, { token, key: jwk });
  const { d = '' } = JSON.parse(jwk) as { d?: string };
  return { options: { 'token-file': files.token, 'dpop-key-file': files.key }, secrets: [token, d] };
}

/** The key of HOLDER as PEM. */
export const holderPem = () => exportPKCS8(HOLDER.privateKey);

export async function unboundToken(t: Closing): Promise<ProbeOptions> {
  return { 'token-file': writeFiles(t, { token: await tokenOf({}) }).token };
}

/** A request as a server of the tests got it. */
export interface Asked {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
}

export interface Served {
  readonly url: string;
  readonly asked: Asked[];
}

/** A plain server on loopback, which records what it is asked. */
export async function serve(t: Closing, answer: RequestListener): Promise<Served> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method ?? '', target: request.url ?? '', headers: request.headers });
    request.resume();
    answer(request, response);
  });
  return { url: `http://127.0.0.1:${await listening(t, server, () => server.closeAllConnections())}/orders/1`, asked };
}

/** A server of bytes. @returns its URL */
export async function serveBytes(t: Closing, take: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    take(socket);
  });
  const port = await listening(t, server, () => sockets.forEach((socket) => socket.destroy()));
  return `http://127.0.0.1:${port}/orders/1`;
}

async function listening(t: Closing, server: Server, cut: () => void): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    cut();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

/** 401 with a challenge unless there is an Authorization field, whatever is in it. */
export function refuseAnonymous(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.headers.authorization !== undefined) return false;
  response.writeHead(401, { 'WWW-Authenticate': 'DPoP algs="ES256"' }).end();
  return true;
}
