// The replica replay store in the configuration, and unsafe combinations.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCa } from '../../support/pki.ts';
import { assertProblems, compileText, configuration, policyOf } from '../../support/policies.ts';

const replay = (redis: string, more = '') => `replay: { store: redis, redis: { ${redis} }${more} }\n`;
const redisOf = (redis: string, files: Readonly<Record<string, string>> = {}) =>
  policyOf({ more: replay(redis) }, { files }).replay.redis;

test('without redis every process has a memory of its own', () => {
  assert.equal(policyOf({}).replay.redis, undefined);
});

test('a server, a cluster and sentinels, in their three ways of writing', () => {
  const server = redisOf('url: redis://127.0.0.1');
  assert.deepEqual(server, {
    place: { kind: 'server', host: '127.0.0.1', port: 6379, db: 0 },
    username: undefined,
    password: undefined,
    tls: undefined,
    timeout: 0.25,
    prefix: 'holdfast:',
    whenUnavailable: 'reject',
    clockTolerance: 15,
    retention: 75,
  });
  assert.deepEqual(redisOf('url: "rediss://[::1]:7000/3"')?.place, { kind: 'server', host: '::1', port: 7000, db: 3 });
  assert.deepEqual(redisOf('cluster: ["r1:7000", "[::1]:7001"]')?.place, {
    kind: 'cluster',
    nodes: [
      { host: 'r1', port: 7000 },
      { host: '::1', port: 7001 },
    ],
  });
  assert.deepEqual(redisOf('sentinel: { name: proofs, nodes: ["s1:26379"] }')?.place, {
    kind: 'sentinel',
    name: 'proofs',
    nodes: [{ host: 's1', port: 26_379 }],
  });
});

test('user, password and TLS come from keys of their own', async () => {
  const ca = await makeCa();
  const files = { 'replay.redis.password_file': 'pa55\n', 'replay.redis.tls.ca_file': ca.cert };
  const redis = redisOf('url: rediss://r1, username: gateway, password_file: p, tls: { ca_file: ca.pem }', files);
  assert.deepEqual([redis?.username, redis?.password, redis?.tls], ['gateway', 'pa55', { ca: ca.cert }]);
  assert.deepEqual(redisOf('url: rediss://r1')?.tls, { ca: undefined });
  assert.deepEqual(redisOf('cluster: ["r1:1"], tls: {}')?.tls, { ca: undefined });
});

test('what cannot be meant is refused where it is written', () => {
  assertProblems({ more: 'replay: { store: «redis }\n' }, [
    'replay.store: is redis, expected replay.redis with url, cluster or sentinel',
  ]);
  assertProblems({ more: 'replay: { redis: «{ url: redis://localhost } }\n' }, [
    'replay.redis: is given although store is memory, expected store: redis, or no redis',
  ]);
  assertProblems({ more: 'replay: { when_unavailable: «nonce-fallback }\n' }, [
    'replay.when_unavailable: is for a replica replay store, expected store: redis, or reject',
  ]);
  assertProblems({ more: replay('url: «"redis://user:secret@localhost"') }, [
    'replay.redis.url: has a user or a password in it, expected username and password_file instead',
  ]);
  for (const url of ['redis://localhost/name', 'redis://localhost/0?tls=1', 'redis:///0', 'redis://localhost/0#a']) {
    assertProblems({ more: replay(`url: «"${url}"`) }, [
      'replay.redis.url: is not a valid address of a server, expected redis://host:port/db or rediss://host:port/db',
    ]);
  }
  assertProblems({ more: replay('url: «redis://localhost, tls: {}') }, [
    'replay.redis.url: is redis:// although tls is given, expected rediss://',
  ]);
  assertProblems({ more: replay('cluster: ["localhost:1", «"localhost:70000"]') }, [
    'replay.redis.cluster[1]: is not a valid address of a server, expected host:port or [address]:port',
  ]);
  assertProblems(
    { more: replay('url: redis://localhost, password_file: «p') },
    ['replay.redis.password_file: holds no password, expected one, white space at its ends not counted'],
    { files: { 'replay.redis.password_file': ' \n' } },
  );
});

test('what weakens it is said', () => {
  const warnings = (more: string) => {
    const compiled = compileText(configuration({ more }));
    return 'warnings' in compiled ? compiled.warnings.map(({ path, message }) => `${path}: ${message}`) : [];
  };
  assert.deepEqual(warnings(replay('url: redis://localhost')), []);
  assert.deepEqual(warnings(replay('url: redis://r1')), [
    'replay.redis: is spoken to in the clear beyond loopback: anyone on the way can make used proofs fresh',
  ]);
  assert.deepEqual(warnings(replay('cluster: ["localhost:1"], key_prefix: "{gw}:"')), [
    'replay.redis.key_prefix: has a hash tag: one slot, and so one server of the cluster, gets all keys',
  ]);
  assert.deepEqual(warnings(replay('url: redis://localhost', ', when_unavailable: nonce-fallback')), [
    'replay.when_unavailable: needs client affinity: while the store is away, a nonce counts only at the process that gave it',
  ]);
});
