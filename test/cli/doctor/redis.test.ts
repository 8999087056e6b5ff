// The doctor's findings about Redis that need no Redis: connections that do not come about.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAtRedis } from '../../../src/cli/doctor/redis.ts';
import type { RedisPolicy } from '../../../src/policy/redis.ts';
import { doctorTerms } from '../../support/doctor.ts';
import { serve } from '../../support/issuer-server.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const CA = await makeCa();

async function connectionTo(origin: string, tls?: RedisPolicy['tls']) {
  const { hostname, port } = new URL(origin);
  const policy: RedisPolicy = {
    place: { kind: 'server', host: hostname, port: Number(port), db: 0 },
    username: 'holdfast',
    password: 'pa55-secret',
    tls,
    timeout: 0.05,
    prefix: 'holdfast:',
    whenUnavailable: 'reject',
    clockTolerance: 0,
    retention: 75,
  };
  const findings = await lookAtRedis(policy, { rates: false }, doctorTerms());
  assert.equal(findings.length, 1);
  assert.doesNotMatch(JSON.stringify(findings), /pa55-secret/);
  return findings[0];
}

test('a port without a server is a fault', async () => {
  const finding = await connectionTo('http://127.0.0.1:1');
  assert.deepEqual([finding?.check, finding?.verdict], ['connection', 'fault']);
  assert.equal(finding?.found, 'refused: no server has this port (ECONNREFUSED)');
});

test('a certificate of a CA that is not named, and one for another name, are told apart', async (t) => {
  const good = await makeCertificate({ names: ['127.0.0.1'], ca: CA });
  const unknown = await connectionTo((await serve(t, { cert: good.chain, key: good.key })).origin, { ca: undefined });
  assert.match(unknown?.found ?? '', /not trusted/);
  assert.match(unknown?.next ?? '', /replay\.redis\.tls\.ca_file/);
  const other = await makeCertificate({ names: ['redis.internal'], ca: CA });
  const named = await connectionTo((await serve(t, { cert: other.chain, key: other.key })).origin, { ca: CA.cert });
  assert.match(named?.found ?? '', /not for this name/);
});

test('a server that does not speak the protocol of Redis is a fault, and what it said is not shown', async (t) => {
  const server = await serve(t);
  const finding = await connectionTo(server.origin);
  assert.deepEqual([finding?.check, finding?.verdict], ['connection', 'fault']);
  assert.doesNotMatch(finding?.found ?? '', /HTTP/);
});
