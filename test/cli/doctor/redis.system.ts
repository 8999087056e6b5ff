// The doctor's findings about real redis-servers, each with a fault.

import assert from 'node:assert/strict';
import { before, describe, type TestContext, test } from 'node:test';
import { examine } from '../../../src/cli/doctor/doctor.ts';
import type { DoctorFinding } from '../../../src/cli/doctor/finding.ts';
import { lookAtRedis } from '../../../src/cli/doctor/redis.ts';
import type { RedisPolicy } from '../../../src/policy/redis.ts';
import { doctorTerms } from '../../support/doctor.ts';
import { policyOf } from '../../support/policies.ts';
import { findProgram, freePort, INSTALLING } from '../../support/programs.ts';
import { startCluster, startRedis, startSlowRelay, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

/** As docs/scaling.md has it. */
const RIGHTS = ['+set', '+get', '+pexpire', '+info', '+config|get', '+client|setname', '+select'];

const policyFor = (port: number, over: Partial<RedisPolicy> = {}): RedisPolicy => ({
  place: { kind: 'server', host: '127.0.0.1', port, db: 0 },
  username: undefined,
  password: undefined,
  tls: undefined,
  timeout: 5,
  prefix: 'holdfast:',
  whenUnavailable: 'reject',
  clockTolerance: 0,
  retention: 75,
  ...over,
});
const look = (port: number, over: Partial<RedisPolicy> = {}, rates = false) =>
  lookAtRedis(policyFor(port, over), { rates }, doctorTerms());
const verdicts = (findings: readonly DoctorFinding[]) => findings.map(({ check, verdict }) => `${check}: ${verdict}`);
const amiss = (findings: readonly DoctorFinding[]) => verdicts(findings.filter(({ verdict }) => verdict !== 'ok'));
const one = (findings: readonly DoctorFinding[], check: string): DoctorFinding =>
  findings.find((finding) => finding.check === check) ?? assert.fail(`no finding ${check}`);

async function accounts(redis: TestRedis, rights: readonly string[], keys = '~holdfast:*'): Promise<void> {
  await redis.command('ACL', 'SETUSER', 'holdfast', 'reset', 'on', '>pa55', keys, ...rights);
}
const holdfast = { username: 'holdfast', password: 'pa55' };

before(async () => void (await findProgram('redis-server')), INSTALLING);

describe('a server', () => {
  test('that is in order has only findings that are, and keeps nothing of the doctor', async (t) => {
    const redis = await startRedis(t, { config: 'maxmemory-policy noeviction' });
    const findings = await look(redis.port, {}, true);
    assert.deepEqual(verdicts(findings), [
      'connection: ok',
      'version: ok',
      'role: ok',
      'maxmemory-policy: ok',
      'persistence: ok',
      'rights: ok',
      'writes: ok',
      'answer: ok',
    ]);
    await until(async () => (await redis.command('DBSIZE')) === 0);
  });
  test('with the rights of docs/scaling.md is in order; with shared rate limits it needs three more', async (t) => {
    const redis = await startRedis(t);
    await accounts(redis, RIGHTS);
    assert.deepEqual(amiss(await look(redis.port, holdfast)), []);
    const place = { kind: 'server', host: '127.0.0.1', port: redis.port, db: 1 } as const;
    assert.deepEqual(amiss(await look(redis.port, { ...holdfast, place })), []);
    assert.equal(one(await look(redis.port, holdfast, true), 'rights').found, 'missing: +eval +time +del');
    await accounts(redis, [...RIGHTS, '+eval']);
    assert.equal(one(await look(redis.port, holdfast, true), 'rights').found, 'missing: +time +del');
    await accounts(redis, [...RIGHTS, '+eval', '+time', '+del']);
    assert.deepEqual(amiss(await look(redis.port, holdfast, true)), []);
  });
  test('whose account misses a right is a fault that names it, and the command that gives it', async (t) => {
    const redis = await startRedis(t);
    await accounts(redis, ['+set', '+get', '+info', '+config|get', '+client|setname']);
    const { verdict, found, next } = one(await look(redis.port, holdfast), 'rights');
    assert.deepEqual([verdict, found], ['fault', 'missing: +pexpire']);
    assert.match(next, /ACL SETUSER holdfast \+pexpire /);
  });
  test('whose account may not use the prefix is a fault', async (t) => {
    const redis = await startRedis(t);
    await accounts(redis, RIGHTS, '~other:*');
    const { verdict, found } = one(await look(redis.port, holdfast), 'rights');
    assert.deepEqual([verdict, found], ['fault', 'missing: ~holdfast:*']);
  });
  test('that tells nothing of itself is a warning, for the gateway relies on what it cannot see', async (t) => {
    const redis = await startRedis(t);
    await accounts(redis, ['+set', '+get', '+pexpire']);
    const findings = await look(redis.port, holdfast);
    assert.deepEqual(amiss(findings), ['role: unknown', 'maxmemory-policy: warning', 'rights: warning']);
    assert.match(one(findings, 'rights').next, /\+info "\+config\|get" "\+client\|setname"/);
  });
  test('that refuses the credentials, or asks for some, is a fault, and no password is shown', async (t) => {
    const redis = await startRedis(t);
    await accounts(redis, RIGHTS);
    await redis.command('ACL', 'SETUSER', 'default', 'off');
    for (const over of [{ ...holdfast, password: 'wr0ng-secret' }, {}]) {
      const findings = await look(redis.port, over);
      assert.deepEqual(verdicts(findings), ['credentials: fault']);
      assert.doesNotMatch(JSON.stringify(findings), /wr0ng-secret/);
    }
  });
  test('that evicts is a fault, and one that persists a warning', async (t) => {
    const redis = await startRedis(t, { config: 'maxmemory-policy allkeys-lru\nsave 60 1' });
    await redis.command('CONFIG', 'SET', 'appendonly', 'yes');
    const findings = await look(redis.port);
    assert.deepEqual(amiss(findings), ['maxmemory-policy: fault', 'persistence: warning']);
    assert.equal(one(findings, 'maxmemory-policy').expected, 'noeviction');
    assert.equal(one(findings, 'persistence').found, 'on: appendonly, save');
  });
  test('that is a replica is a fault', async (t) => {
    const master = await startRedis(t);
    const replica = await startRedis(t, { config: `replicaof 127.0.0.1 ${master.port}` });
    await until(async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'));
    assert.deepEqual(amiss(await look(replica.port)), ['role: fault']);
  });
  test('that has no memory left is a fault', async (t) => {
    const redis = await startRedis(t, { config: 'maxmemory 1' });
    assert.equal(one(await look(redis.port), 'writes').found, 'Redis has no memory left');
  });
  test('that is not there, and one that hangs, are faults with a word for each', async (t) => {
    const [refused] = await look(await freePort());
    assert.equal(refused?.found, 'refused: no server has this port (ECONNREFUSED)');
    const redis = await startRedis(t);
    redis.hang();
    const [hanging] = await lookAtRedis(policyFor(redis.port), { rates: false }, doctorTerms({ each: 0.3 }));
    assert.deepEqual([hanging?.check, hanging?.verdict], ['connection', 'fault']);
    assert.match(hanging?.found ?? '', /no answer in time/);
  });
  test('that answers later than the deadline is a fault, however often it is asked', async (t) => {
    const redis = await startRedis(t);
    const relay = await startSlowRelay(t, redis.port);
    relay.delay = 60;
    const finding = one(await look(relay.port, { timeout: 0.05 }), 'answer');
    assert.equal(finding.verdict, 'fault');
    assert.equal(finding.expected, 'within 50 ms (replay.redis.timeout)');
  });
});

describe('several servers', () => {
  test('of a cluster are each looked at', async (t) => {
    const nodes = await startCluster(t);
    const place = { kind: 'cluster', nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) } as const;
    const findings = await look(0, { place });
    assert.deepEqual(amiss(findings), []);
    assert.equal(findings.filter(({ check }) => check === 'rights').length, 3);
  });
  test('sentinels that know no such master are a fault; the master that they name is looked at', async (t) => {
    const redis = await startRedis(t);
    const config = `sentinel monitor proofs 127.0.0.1 ${redis.port} 1`;
    const sentinel = await startRedis(t, { sentinel: true, config });
    const named = (name: string) =>
      look(0, { place: { kind: 'sentinel', name, nodes: [{ host: '127.0.0.1', port: sentinel.port }] } });
    assert.deepEqual(amiss(await named('proofs')), []);
    const [finding] = await named('others');
    assert.equal(finding?.found, 'no sentinel names a master that can be reached');
  });
});

test('a policy whose replay store is Redis is examined with it', async (t: TestContext) => {
  const redis = await startRedis(t);
  const policy = policyOf({ more: `replay: { store: redis, redis: { url: "${redis.url}" } }` });
  const findings = await examine(policy);
  assert.ok(findings.some(({ subject }) => subject === `redis 127.0.0.1:${redis.port}`));
});
