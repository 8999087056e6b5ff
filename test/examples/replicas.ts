// replicas-with-redis.yaml at work: two replicas, and a Redis with minimal rights.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startRedis } from '../support/redis.ts';
import { EXAMPLES, issue, prove, startExample, startIssuer } from './example.ts';

const NAME = 'replicas-with-redis.yaml';

/** @param files with `secrets/redis` */
export async function playReplicas(t: TestContext, files: Readonly<Record<string, string>>): Promise<void> {
  const issuer = await startIssuer(t);
  const redis = await startRedis(t);
  const page = readFileSync(join(EXAMPLES, '../../docs/scaling.md'), 'utf8');
  const [, rights = ''] = /ACL SETUSER holdfast on >… ([^`]*)`/.exec(page) ?? [];
  await redis.command('ACL', 'SETUSER', 'holdfast', 'on', `>${files['secrets/redis']?.trim()}`, ...rights.split(' '));
  const env = { LOGIN_ISSUER: issuer, REDIS_URL: redis.url };
  const [one, other] = [
    await startExample(t, NAME, files, ['ORDERS_URL'], env),
    await startExample(t, NAME, files, ['ORDERS_URL'], env),
  ];
  assert.equal(await one.count('holdfast_replay_store_up', {}), 1);
  const token = await issue(issuer);
  const challenged = await one.call('GET', '/orders/1', await prove(token, 'GET', '/orders/1'));
  assert.equal(challenged.reason, 'nonce_required');
  const nonce = challenged.fields.one('DPoP-Nonce');
  const proof = await prove(token, 'GET', '/orders/1', { nonce });
  assert.equal((await other.call('GET', '/orders/1', proof)).status, 200);
  assert.equal((await one.call('GET', '/orders/1', proof)).reason, 'proof_replayed');
  await redis.kill();
  assert.equal((await one.call('GET', '/orders/1', await prove(token, 'GET', '/orders/1', { nonce }))).status, 503);
}
