// The effective configuration: all defaults, no secrets, the same when read again.

import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { effectiveConfig } from '../../../src/config/report/effective.ts';
import { readPolicyFile } from '../../../src/config/read/read.ts';
import { schema } from '../../../src/config/schema/schema.ts';
import { configuration, readText, type Sections } from '../../support/policies.ts';

const shown = (sections: Sections, env: Record<string, string> = {}) =>
  effectiveConfig(readText(configuration(sections), { env }));

test('what is shown means what was read, of every good configuration of the tests', () => {
  const files = globSync(['good/*.yaml'], { cwd: join(import.meta.dirname, '../../policies') });
  assert.ok(files.length >= 3);
  for (const file of files) {
    const read = readPolicyFile(join(import.meta.dirname, '../../policies', file), { env: {} });
    assert.ok('config' in read);
    assert.deepEqual(schema.parse(parse(effectiveConfig(read))), read.config, file);
  }
});

test('defaults are written out as the contract spells them', () => {
  const config = parse(shown({}));
  assert.equal(config.defaults.dpop.max_age, '60s');
  assert.equal(config.listeners[0].limits.request_body, '10MiB');
  assert.equal(config.admin.bind, '127.0.0.1:9901');
  assert.equal(config.replay.capacity, 'auto');
  assert.deepEqual(config.defaults.forward.identity['X-Auth-Client'], ['client_id', 'azp', 'cid', 'appid']);
});

test('a value of the environment is shown as it is written', () => {
  const text = shown(
    {
      more: 'log: { level: "${LEVEL:-info}" }\nworkers: ${COUNT}\n',
      upstreams: 'orders: { targets: ["http://${HOST}:9000"] }',
    },
    { LEVEL: 'debug', COUNT: '3', HOST: 'top-secret' },
  );
  const config = parse(text);
  assert.deepEqual([config.log.level, config.workers], ['${LEVEL:-info}', '${COUNT}']);
  assert.deepEqual(config.upstreams.orders.targets, ['http://${HOST}:9000']);
  assert.doesNotMatch(text, /debug|top-secret|\b3\b/);
});

test('passwords and keys in addresses are not shown, literal or around a variable', () => {
  const addresses = [
    'redis://holdfast:pa55@redis.example.com:6379/0',
    'rediss://:secret@pa55@redis.example.com',
    'redis://holdfast:pa55${MORE}@redis.example.com',
    'redis://${NAME:-holdfast:pa55@}redis.example.com',
    'redis://redis.example.com/0?password=pa55',
  ];
  for (const url of addresses) {
    const text = shown({ more: `replay: { redis: { url: "${url}" } }\n` }, { MORE: 'word', NAME: '' });
    assert.doesNotMatch(text, /pa55/, url);
    assert.match(text, /redis\.example\.com/);
  }
  const issuer =
    'login: { issuer: https://login.example.com, audience: [a], keys: { jwks_uri: "https://login.example.com/keys?code=pa55" } }';
  assert.match(shown({ issuers: issuer }), /jwks_uri: https:\/\/login\.example\.com\/keys\?…\n/);
});

test('of files the names are shown and never what is in them', () => {
  const more = 'nonce: { secret_files: [secrets/nonce] }\n';
  const read = readText(configuration({ more }), { files: { 'nonce.secret_files.0': 'the-very-secret'.repeat(3) } });
  const text = effectiveConfig(read);
  assert.match(text, /- secrets\/nonce\n/);
  assert.doesNotMatch(text, /the-very-secret/);
});
