// Health checks over real servers.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openUpstream } from '../../../src/edge/upstream/upstream.ts';
import { makeUpstream, script } from '../../support/forwarding.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';
import { openBalanced, openTarget, openTargets } from '../../support/targets.ts';
import { until } from '../../support/until.ts';

const HEALTH = { path: '/healthz', interval: 0.25, unhealthyAfter: 2, healthyAfter: 2 };
const RULES = { health: HEALTH, balance: 'round-robin' } as const;

it('a target that sends 100 (Continue) unasked is well', async (t) => {
  const [sick] = await openTargets(t, 1);
  assert.ok(sick);
  let [checks, status] = [0, 503];
  sick.checked = (_request, response) => {
    checks += 1;
    response.writeContinue();
    response.writeHead(status).end();
  };
  const balanced = await openBalanced(t, [sick], RULES);
  assert.deepEqual(await balanced.events.until('unhealthy'), {
    kind: 'unhealthy',
    what: 'HTTP 503',
    upstream: 'orders',
    target: sick.origin,
  });
  status = 200;
  await balanced.events.until('healthy');
  assert.ok(checks >= 4);
});

describe('a target whose health checks fail', () => {
  it('gets no requests until they succeed again', async (t) => {
    const targets = await openTargets(t, 2);
    const [sick, well] = targets;
    assert.ok(sick && well);
    let [status, checks] = [500, 0];
    const asked = new Set<unknown>();
    sick.checked = ({ headers, method }, response) => {
      checks += 1;
      asked.add(`${method} ${headers.host} ${headers.connection}`);
      response.writeHead(status).end();
    };
    const balanced = await openBalanced(t, targets, RULES);
    assert.equal((await balanced.ask('/1')).body, 'a ', 'a target starts healthy');
    const event = await balanced.events.until('unhealthy');
    assert.deepEqual(event, { kind: 'unhealthy', what: 'HTTP 500', upstream: 'orders', target: sick.origin });
    assert.equal(checks, 2);
    for (let n = 0; n < 6; n += 1) assert.equal((await balanced.ask('/2')).body, 'b ');
    checks = 0;
    status = 302;
    await balanced.events.until('healthy');
    assert.equal(checks, 2);
    await Promise.all([balanced.ask('/3'), balanced.ask('/3')]);
    assert.deepEqual(sick.seen, ['/1', '/3']);
    assert.deepEqual([...asked], [`GET ${new URL(sick.origin).host} close`]);
  });

  it('is one that dies, and one that accepts and never answers', async (t) => {
    const targets = await openTargets(t, 2);
    const hung = await script(t, () => {});
    const balanced = await openBalanced(t, [...targets, hung], RULES);
    targets[0]?.kill();
    await until(() => balanced.events.count('unhealthy') >= 2);
    const whats = balanced.events.all.flatMap((event) => (event.kind === 'unhealthy' ? [event.what] : []));
    assert.deepEqual(new Set(whats), new Set(['ECONNREFUSED', 'TimeoutError']));
    for (let n = 0; n < 6; n += 1) assert.equal((await balanced.ask('/')).body, 'b ');
    await targets[0]?.start();
    await balanced.events.until('healthy');
  });

  it('is called all the same when there is no other', async (t) => {
    const targets = await openTargets(t, 2);
    for (const target of targets) target.checked = (_request, response) => response.writeHead(503).end();
    const balanced = await openBalanced(t, targets, RULES);
    await until(() => balanced.events.count('unhealthy') >= 2);
    for (let n = 0; n < 4; n += 1) assert.equal((await balanced.ask('/')).status, 200);
    assert.deepEqual(
      targets.map(({ seen }) => seen.length),
      [2, 2],
    );
  });

  it('needs them to fail in a row, and a body that never ends is not waited for', async (t) => {
    const targets = await openTargets(t, 2);
    let checks = 0;
    const [flapping] = targets;
    assert.ok(flapping);
    flapping.checked = (_request, response) => {
      checks += 1;
      response.writeHead(checks % 2 === 0 ? 200 : 404);
      response.write('more');
    };
    const balanced = await openBalanced(t, targets, RULES);
    await until(() => checks >= 5);
    assert.equal(balanced.events.count('unhealthy'), 0);
  });
});

describe('health checks', () => {
  it('show and verify certificates as requests do', async (t) => {
    const ca = await makeCa();
    const [server, gateway] = [await makeCertificate({ names: ['localhost'], ca }), await makeCertificate({ ca })];
    const tls = { cert: server.chain, key: server.key, ca: ca.cert, requestCert: true, rejectUnauthorized: true };
    const target = await openTarget(t, 'a', { tls });
    const checked = new Promise<void>((resolve) => {
      target.checked = (_request, response) => {
        response.end();
        resolve();
      };
    });
    const origin = target.origin.replace('127.0.0.1', 'localhost');
    const files = {
      ca: ca.cert,
      cert: gateway.chain,
      key: gateway.key,
      serverName: undefined,
      subjectAltNames: undefined,
    };
    const good = await openBalanced(t, [origin], { ...RULES, tls: files });
    await checked;
    assert.equal(good.upstream.targets[0]?.healthy, true);
    const bad = await openBalanced(t, [origin], { ...RULES, tls: { ...files, ca: undefined } });
    await bad.events.until('unhealthy');
  });

  it('end when the upstream is closed, and the one under way tells nothing', async (t) => {
    const [target] = await openTargets(t, 1);
    assert.ok(target);
    let checks = 0;
    target.checked = (_request, response) => {
      checks += 1;
      if (checks < 3) response.end();
    };
    const told: unknown[] = [];
    const health = { ...HEALTH, unhealthyAfter: 1 };
    const upstream = openUpstream(makeUpstream(target.origin, { health }), {
      connect: 1,
      linger: 0,
      onEvent: (event) => told.push(event),
    });
    await until(() => checks === 3);
    await upstream.close();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual([checks, told, target.connections], [3, [], 0]);
  });
});
