// `npm start` and `npm run demo` as a person at a terminal meets them.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { suite, test } from 'node:test';
import { PORTS } from '../../quickstart/settings.ts';
import { freePort } from '../support/programs.ts';

const ROOT = join(import.meta.dirname, '../..');
const VARIABLES = Object.values(PORTS).map(({ variable }) => variable);

async function bound(): Promise<Server> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The variables that move the quickstart to ports that were free a moment ago, so that it may run beside another one. */
async function freePorts(): Promise<Record<string, string>> {
  return Object.fromEntries(await Promise.all(VARIABLES.map(async (name) => [name, String(await freePort())])));
}

function run(command: string, args: string[], env: Record<string, string>): ChildProcess {
  return spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Exit code (or signal) and everything printed. */
async function outcomeOf(child: ChildProcess): Promise<{ code: unknown; out: string; err: string }> {
  const texts = { out: '', err: '' };
  child.stdout!.on('data', (chunk: Buffer) => (texts.out += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (texts.err += chunk.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code: code ?? signal, ...texts };
}

interface DemoDocument {
  readonly passed: boolean;
  readonly scenes: readonly { readonly tried: string; readonly passed: boolean }[];
}

suite('the quickstart', { timeout: 180_000 }, () => {
  test('the demo starts everything itself, every scene comes out as it must, and nothing is left running', async () => {
    const env = await freePorts();
    const { code, out, err } = await outcomeOf(run(process.execPath, ['quickstart/demo.ts', '--json'], env));
    assert.equal(code, 0, `${err}\n${out}`);
    const { passed, scenes } = JSON.parse(out) as DemoDocument;
    assert.deepEqual(
      scenes.filter((scene) => !scene.passed),
      [],
    );
    assert.equal(passed, true);
    assert.ok(scenes.length >= 12);
    for (const port of Object.values(env)) await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  });

  test('start prints commands that work as printed, the demo finds it running, and Ctrl-C stops it cleanly', async (context) => {
    const env = await freePorts();
    const start = run(process.execPath, ['quickstart/start.ts'], env);
    context.after(() => start.kill('SIGTERM'));
    const ended = outcomeOf(start);
    const printed: string[] = [];
    for await (const line of createInterface({ input: start.stdout! })) {
      printed.push(line);
      if (line.includes('Ctrl-C')) break;
    }
    start.stdout!.resume(); // readline paused it
    const command = printed.map((line) => line.trim()).find((line) => / dpop GET \S+$/.test(line));
    assert.ok(command, printed.join('\n'));
    const call = await outcomeOf(run('sh', ['-c', command], env));
    assert.match(call.out, /^200 OK\n/, call.err);
    assert.match(call.out, /"X-Auth-Binding": "dpop"/i);

    const [, page = ''] = /Open in a browser\s+(http:\S+)/.exec(printed.join('\n')) ?? [];
    assert.match(await (await fetch(page)).text(), /<title>Holdfast: a stolen token<\/title>/);

    const demo = await outcomeOf(run(process.execPath, ['quickstart/demo.ts'], env));
    assert.equal(demo.code, 0, demo.out);
    assert.match(demo.err, /running at/);
    for (const line of demo.out.split('\n')) assert.ok(line.length <= 120, line);

    start.kill('SIGINT');
    assert.deepEqual((await ended).code, 0);
    for (const port of Object.values(env)) await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  });

  test('a port in use is named, with the variable that chooses another', async () => {
    const server = await bound();
    const { port } = server.address() as AddressInfo;
    const env = { ...(await freePorts()), HOLDFAST_ISSUER_PORT: String(port) };
    const { code, err } = await outcomeOf(run(process.execPath, ['quickstart/start.ts'], env));
    await once(server.close(), 'close');
    assert.equal(code, 1);
    assert.match(err, new RegExp(`^port ${port} for the authorization server is in use; set HOLDFAST_ISSUER_PORT`));
  });
});
