// The files of deploy/ under their real readers: Compose, systemd, Prometheus.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { sendWithProof } from '../../quickstart/dpop-client.ts';
import { requestToken } from '../../quickstart/parties.ts';
import { ROOT } from '../../scripts/generate.ts';
import { alerts, metricsIn, panels, queries, recorded, rules } from '../deploy/expressions.ts';
import { canInstall, findProgram, INSTALLING, type ProgramName } from '../support/programs.ts';
import { makeFolder, startStack } from './stack.ts';

const COMPOSE = join(ROOT, 'deploy/compose');

/** Runs a program that must end with 0; what it wrote. */
function runTool(file: string, args: readonly string[], cwd = ROOT): string {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  return stdout + stderr;
}

const skip = canInstall ? false : 'its tools are installed as root on Debian';
const install =
  (...names: ProgramName[]) =>
  async () => {
    for (const name of names) await findProgram(name);
  };

describe('deploy/compose', { skip }, () => {
  before(install('docker-compose', 'promtool'), INSTALLING);

  test('is what the schema of Compose allows, and every file that it mounts or builds from exists', async (t) => {
    // The last Compose that needs no engine; it is older than `name`, which says nothing but how things are called.
    const { name: _, ...file } = parse(readFileSync(join(COMPOSE, 'compose.yaml'), 'utf8')) as Record<string, unknown>;
    const copy = join(makeFolder(t), 'compose.yaml');
    writeFileSync(copy, stringify(file, { version: '1.1' }));
    const args = ['--project-directory', COMPOSE, '--file', copy, '--profile', 'client', 'config'];
    const { services } = parse(runTool(await findProgram('docker-compose'), args)) as {
      services: Record<string, { volumes?: readonly string[]; build?: { context: string; dockerfile?: string } }>;
    };
    const named = Object.values(services).flatMap(({ volumes = [], build }) => [
      ...volumes.map((volume) => volume.split(':')[0]!).filter((path) => path.startsWith('/')),
      ...(build === undefined ? [] : [join(build.context, build.dockerfile ?? 'Dockerfile')]),
    ]);
    assert.ok(named.length >= 9);
    assert.deepEqual(
      named.filter((path) => !existsSync(path)),
      [],
    );
  });

  test('Prometheus takes its configuration and the alerts', async (t) => {
    const folder = makeFolder(t);
    cpSync(join(COMPOSE, 'prometheus.yaml'), join(folder, 'prometheus.yml'));
    cpSync(join(ROOT, 'deploy/prometheus'), join(folder, 'rules'), { recursive: true });
    assert.match(
      runTool(await findProgram('promtool'), ['check', 'config', join(folder, 'prometheus.yml')]),
      new RegExp(`${rules().length} rules found`),
    );
  });
});

/** Panels that have nothing to show in this example, and why. */
const EMPTY: Readonly<Record<string, string>> = {
  'Keys and tokens asked for at issuers 2': 'the issuer has no introspection',
  'Keys and tokens asked for at issuers 3': 'no route exchanges tokens',
  'Time to ask issuers, p95 1': 'the issuer has no introspection',
  'Time to ask issuers, p95 2': 'no route exchanges tokens',
  'Errors of Redis': 'Redis is there from the start',
  'Preflights, and pages without an answer 1': 'no route has cors',
  'Preflights, and pages without an answer 2': 'no route has cors',
  'Connections 2': 'no WebSocket is opened',
};

describe('the gateway of deploy/compose', { skip }, () => {
  before(install('promtool', 'redis-server'), INSTALLING);

  test('starts with Redis, protects the example API, and Prometheus has data for every alert and panel', {
    timeout: 120_000,
  }, async (t) => {
    const { addresses, parties, secrets, query } = await startStack(t);
    const send = (path: string, fields: Record<string, string>) =>
      parties.send('nobody', { method: 'GET', url: addresses.gateway + path, fields });
    const accessToken = await requestToken(parties, addresses, secrets, 'dpop');
    const bearer = await requestToken(parties, addresses, secrets, 'bearer');
    const statuses = new Set<string>();
    const wanted = new Map([...queries(), ...[...recorded().keys()].map((name) => [name, name] as const)]);
    for (const name of metricsIn([...recorded().values(), ...alerts().values()])) {
      wanted.set(name, `{__name__=~"${name}(_bucket)?"}`);
    }
    const missing = async () => {
      const found = await Promise.all([...wanted].map(async ([name, expr]) => [name, await query(expr)] as const));
      return found.filter(([name, series]) => (series.length === 0) !== name in EMPTY).map(([name]) => name);
    };
    const until = Date.now() + 60_000;
    let still: string[];
    do {
      let last: Record<string, string> = {};
      const parts = { method: 'GET', url: `${addresses.gateway}/orders/1`, accessToken };
      // A Redis that has just started knows no older proof: asked for a nonce, the client sends one with it.
      const exchanges = await sendWithProof(secrets.proofKey, parts, async (fields) => {
        last = fields;
        return { answer: await send('/orders/1', fields) };
      });
      statuses.add(`orders ${exchanges.at(-1)!.answer.status}`);
      statuses.add(`replay ${(await send('/orders/1', last)).status}`);
      statuses.add(`legacy ${(await send('/legacy/1', { Authorization: `Bearer ${bearer}` })).status}`);
      await fetch(`http://127.0.0.1:${addresses.ports.gateway}`).catch(() => 'no TLS, no answer');
      await pause(500);
      still = await missing();
    } while (still.length > 0 && Date.now() < until);
    assert.deepEqual(still, []);
    assert.ok(
      statuses.has('orders 200') && statuses.has('replay 401') && statuses.has('legacy 200'),
      [...statuses].join(),
    );
    for (const expression of [...alerts().values(), ...panels()]) await query(expression);
    // What was asked, and the answer: not merely that it was understood.
    assert.notDeepEqual(
      await query('sum by (reason) (holdfast_rejections_total{mode="enforced",reason="proof_replayed"})'),
      [],
    );
    assert.notDeepEqual(await query('sum by (route) (holdfast_rejections_total{mode="shadow"})'), []);
    assert.deepEqual(await query(alerts().get('HoldfastDown')!), []);
  });
});

describe('deploy/systemd', { skip }, () => {
  before(install('systemd-analyze'), INSTALLING);

  test('systemd takes the unit, and calls it well confined', async (t) => {
    const unit = readFileSync(join(ROOT, 'deploy/systemd/holdfast.service'), 'utf8');
    const file = join(makeFolder(t), 'holdfast.service');
    writeFileSync(file, unit.replaceAll('/usr/local/bin/node', process.execPath));
    const analyze = await findProgram('systemd-analyze');
    assert.equal(runTool(analyze, ['verify', '--man=no', file]), '');
    // From 0 to 100: what is left is the network, and a capability.
    runTool(analyze, ['security', '--offline=true', '--no-pager', '--threshold=20', file]);
  });
});
