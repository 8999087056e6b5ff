// Real processes with different `max_age` at one Redis: one use per proof.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answered, ISSUER_KEY, ORIGIN, sendRequest, startUpstream, writePolicy } from '../support/gateway.ts';
import { freePort } from '../support/programs.ts';
import { startRedis } from '../support/redis.ts';
import { makeProof, makeToken } from '../support/tokens.ts';
import { Command } from './command.ts';
import { HOLDER, TO_KEY } from './credentials.ts';

/** Seconds. Redis forgets a proof after the short one, unless somebody needs the long one. */
const [SHORT, LONG] = [2, 600];
const now = () => Date.now() / 1000;

interface Shown {
  readonly token: string;
  readonly proof: string;
}

async function show(): Promise<Shown> {
  const token = await makeToken(ISSUER_KEY, now(), { claims: TO_KEY });
  // To the millisecond: no tolerance, and a memory that began a moment ago.
  const claims = { jti: randomUUID(), iat: now() };
  return { token, proof: await makeProof(HOLDER, now(), { method: 'GET', url: `${ORIGIN}/1`, token, claims }) };
}

interface Replica {
  ask(shown: Shown): Promise<Answered>;
  /** By SIGHUP. */
  reload(maxAge: number): Promise<void>;
}

/** Replicas that start when they are asked for. */
async function stage(t: TestContext) {
  const redis = await startRedis(t);
  const upstream = await startUpstream(t);
  const start = async (maxAge: number): Promise<Replica> => {
    const port = await freePort();
    const write = (seconds: number) =>
      writePolicy(
        t,
        {
          listeners: `- name: public
  bind: "127.0.0.1:${port}"
  origins: [${ORIGIN}]
  tls: { certificates: [{ cert: tls.crt, key_file: tls.key }] }`,
          routes: `- { name: orders, match: { path: /* }, upstream: orders, require: dpop, dpop: { max_age: ${seconds}s, clock_tolerance: 0s }, weaker_than_defaults: [${seconds > 60 ? 'max_age' : ''}] }`,
          more: `workers: 1\ndrain: { delay: 0s, grace: 5s }\nreplay: { store: redis, redis: { url: "${redis.url}", timeout: 2s } }\n`,
        },
        upstream.origin,
      );
    const file = write(maxAge);
    const command = new Command(t, ['serve', '--config', file]);
    await command.logged('serving');
    let reloads = 0;
    return {
      ask: (shown) => sendRequest(port, 'GET', '/1', shown),
      async reload(seconds) {
        copyFileSync(write(seconds), file);
        command.signal('SIGHUP');
        reloads += 1;
        await command.logged('policy adopted', reloads);
      },
    };
  };
  return { redis, start };
}

/** Uses a proof at one replica, and offers it to the others when a short memory has forgotten it. */
async function assertOnce(
  at: Replica,
  others: readonly Replica[],
  what: string,
  meanwhile = async () => {},
): Promise<void> {
  const shown = await show();
  const first = await at.ask(shown);
  assert.equal(first.status, 200, `${what}: ${first.reason}`);
  await meanwhile();
  await pause((SHORT + 1) * 1000);
  for (const replica of [...others, at]) {
    const { status, reason } = await replica.ask(shown);
    assert.equal(status, 401, `${what}: passed twice`);
    assert.match(reason ?? '', /^(?:proof_replayed|proof_stale|nonce_required)$/);
  }
}

test('a replica that accepts older proofs comes after one that does not, and one that does not after it', async (t) => {
  const { start } = await stage(t);
  const short = await start(SHORT);
  let long: Replica | undefined;
  await assertOnce(short, [], 'used before the long one is there', async () => void (long = await start(LONG)));
  assert.ok(long !== undefined);
  await assertOnce(short, [long], 'used at the short one');
  await assertOnce(long, [short], 'used at the long one');
  const later = await start(SHORT);
  await assertOnce(later, [long, short], 'used at a short one that came last');
});

test('reloads raise and lower max_age at one replica and then at the other', async (t) => {
  const { start } = await stage(t);
  const [one, other] = [await start(SHORT), await start(SHORT)];
  await assertOnce(one, [other], 'used before the reload', () => other.reload(LONG));
  await assertOnce(one, [other], 'used after the reload of the other');
  await assertOnce(one, [other], 'used before its own reload', () => one.reload(LONG));
  await assertOnce(one, [other], 'used after both');
  await assertOnce(other, [one], 'used before the other is lowered', () => other.reload(SHORT));
  await assertOnce(other, [one], 'used at the lowered one');
});

test('the long one is there first: what a short one accepts is remembered for the long one', async (t) => {
  const { start } = await stage(t);
  const [long, short] = [await start(LONG), await start(SHORT)];
  const shown = await show();
  assert.equal((await short.ask(shown)).status, 200);
  await pause((SHORT + 1) * 1000);
  assert.equal((await long.ask(shown)).reason, 'proof_replayed');
  // A proof as old that was not used passes there, once, and not at the short one.
  const unused = await show();
  await pause((SHORT + 1) * 1000);
  assert.equal((await short.ask(unused)).reason, 'proof_stale');
  assert.equal((await long.ask(unused)).status, 200);
  assert.equal((await long.ask(unused)).reason, 'proof_replayed');
});
