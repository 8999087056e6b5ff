// The stack of deploy/compose as processes on loopback.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openParties } from '../../quickstart/parties.ts';
import { keepSecrets } from '../../quickstart/secrets.ts';
import { type Addresses, addressesOf, environmentOf, FOLDER } from '../../quickstart/settings.ts';
import { ROOT } from '../../scripts/generate.ts';
import { findProgram, freePort, startProgram } from '../support/programs.ts';

const COMPOSE = join(ROOT, 'deploy/compose');

export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-deploy-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Redis, the other parties, the gateway in front of them, and Prometheus; ready. `query` asks Prometheus about this moment. */
export async function startStack(t: TestContext) {
  const folder = makeFolder(t);
  const addresses = addressesOf({
    gateway: await freePort(),
    issuer: await freePort(),
    upstream: await freePort(),
    page: await freePort(),
    browser: await freePort(),
    admin: await freePort(),
    telemetry: await freePort(),
  });
  const { gateway, issuer, upstream, telemetry } = addresses.ports;
  const redis = await freePort();
  const variables = { ...environmentOf(addresses.ports), HOLDFAST_REDIS: `redis://127.0.0.1:${redis}` };
  const settings = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const start = async (file: string, args: readonly string[], ports: readonly number[]) => {
    const own = join(folder, String(ports[0]));
    mkdirSync(own);
    await startProgram(t, { file: 'env', args: [...settings, file, ...args], folder: own, ports });
  };
  const quiet = ['--save', '', '--bind', '127.0.0.1'];
  await start(await findProgram('redis-server'), ['--port', String(redis), ...quiet], [redis]);
  await start(process.execPath, [join(ROOT, 'quickstart/others.ts'), 'serve'], [issuer, upstream]);
  cpSync(FOLDER, join(folder, 'made'), { recursive: true });
  cpSync(join(COMPOSE, 'holdfast.yaml'), join(folder, 'holdfast.yaml'));
  const serve = [join(ROOT, 'src/main.ts'), 'serve', '--config', join(folder, 'holdfast.yaml')];
  await start(process.execPath, serve, [gateway, telemetry]);
  const prometheus = await freePort();
  await start(join(await findProgram('promtool'), '../prometheus'), argumentsOf(folder, addresses, prometheus), [
    prometheus,
  ]);
  while (!(await fetch(`${addresses.telemetry}/readyz`)).ok) await pause(50);
  const parties = await openParties(join(folder, 'made'));
  t.after(() => parties.close());
  const secrets = await keepSecrets(join(folder, 'made'));
  return { addresses, parties, secrets, query: (expression: string) => query(prometheus, expression) };
}

function argumentsOf(folder: string, { ports }: Addresses, port: number): string[] {
  cpSync(join(ROOT, 'deploy/prometheus'), join(folder, 'rules'), { recursive: true });
  const text = readFileSync(join(COMPOSE, 'prometheus.yaml'), 'utf8');
  const moved = text.replace('holdfast:9902', `127.0.0.1:${ports.telemetry}`).replaceAll(': 5s', ': 1s');
  writeFileSync(join(folder, 'prometheus.yml'), moved);
  return [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
}

/** The series that an expression has; it must be understood. */
async function query(port: number, expression: string): Promise<readonly unknown[]> {
  const asked = new URLSearchParams({ query: expression }).toString();
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?${asked}`);
  const { status, error, data } = (await answer.json()) as Partial<Record<string, string>> & {
    data?: { result: unknown[] };
  };
  assert.equal(status, 'success', `${expression}: ${error}`);
  return data?.result ?? [];
}
