// Rotation of nonce secrets on three replicas under load, at one retry each.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { type GatewayWishes, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { startRedis } from '../support/redis.ts';
import { dpop } from './credentials.ts';

const ROUTES =
  '- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }';
const SECRETS = { a: randomBytes(32).toString('hex'), b: randomBytes(32).toString('hex') };

/** The clock of all, and of one that is a few seconds behind. */
const clock = { now: Math.floor(Date.now() / 1000) };

async function start(t: TestContext, wishesWith: (files: string) => GatewayWishes, behind = 0): Promise<TestGateway> {
  return await startTestGateway(t, { ...wishesWith('a'), now: () => clock.now - behind });
}

/** Clients that go from replica to replica with the nonce they got last. @returns how many requests needed a retry */
async function load(replicas: readonly TestGateway[], nonces: (string | undefined)[]): Promise<number> {
  let retries = 0;
  await Promise.all(
    nonces.map(async (_, client) => {
      for (let nth = 0; nth < 4; nth += 1) {
        const at = (step: number) => replicas[(client + nth + step) % replicas.length] as TestGateway;
        const ask = (gateway: TestGateway) => {
          const nonce = nonces[client];
          return dpop(gateway, 'GET', '/nonce/1', nonce === undefined ? {} : { proving: { claims: { nonce } } });
        };
        let answer = await ask(at(0));
        nonces[client] = answer.fields.one('dpop-nonce') ?? nonces[client];
        if (answer.status === 401) {
          retries += 1;
          // The balancer sends the retry to another replica.
          answer = await ask(at(1));
          nonces[client] = answer.fields.one('dpop-nonce') ?? nonces[client];
        }
        assert.deepEqual([answer.status, answer.reason], [200, undefined], `client ${client}, request ${nth}`);
      }
    }),
  );
  return retries;
}

test('every request passes with at most one retry, while secrets come, mint and go', async (t) => {
  const redis = await startRedis(t);
  const wishesWith = (files: string): GatewayWishes => ({
    routes: ROUTES,
    files: { a: SECRETS.a, b: SECRETS.b },
    more: [
      'drain: { delay: 0s, grace: 5s }',
      `nonce: { secret_files: [${files}] }`,
      `replay: { store: redis, redis: { url: "${redis.url}", timeout: 2s } }\n`,
    ].join('\n'),
  });
  const replicas = [await start(t, wishesWith), await start(t, wishesWith, 2), await start(t, wishesWith)];
  const [one, other, late] = replicas;
  const nonces = Array.from({ length: 6 }, (): string | undefined => undefined);
  let [requests, retries] = [0, 0];
  const run = async (minutes: number) => {
    for (let step = 0; step < minutes * 2; step += 1) {
      clock.now += 30;
      retries += await load(replicas, nonces);
      requests += nonces.length * 4;
    }
  };
  await run(1);
  // First all verify it, then it mints, then the old one goes; the third replica is three minutes behind.
  for (const files of ['a, b', 'b, a', 'b']) {
    await one?.reload(wishesWith(files));
    await other?.reload(wishesWith(files));
    await run(3);
    await late?.reload(wishesWith(files));
    await run(3);
  }
  assert.ok(requests > 900, String(requests));
  // Six clients at their first request; afterwards nobody, for answers bring fresh ones in time.
  assert.equal(retries, 6);
});
