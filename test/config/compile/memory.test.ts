// Connections from the memory that there is: what auto becomes, and numbers that do not fit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePolicy } from '../../../src/config/compile/compile.ts';
import { configuration, readText } from '../../support/policies.ts';

const MIB = 2 ** 20;

function compiled(
  memory: number | undefined,
  more = '',
  limits = '',
  upstreams = '',
): { limit: number; warnings: readonly string[] } {
  const listeners = `- { name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com"]${limits} }`;
  const orders = 'orders: { targets: ["http://127.0.0.1:9000"] }\n';
  const text = configuration({ listeners, upstreams: orders + upstreams, more: `replay: { capacity: 1000 }\n${more}` });
  const result = compilePolicy(readText(text), Date.now() / 1000, { cores: 8, memory });
  assert.ok('policy' in result);
  const warnings = result.warnings.filter(({ path }) => path.includes('connections')).map(({ message }) => message);
  return { limit: result.policy.listeners[0]?.limits.connections ?? 0, warnings };
}

test('auto is what fits into half of the memory that is left, over all workers', () => {
  const one = compiled(512 * MIB, 'workers: 1').limit;
  const four = compiled(512 * MIB, 'workers: 4').limit;
  assert.ok(one > 1500 && one < 3000, String(one));
  assert.ok(four * 4 < one, `${four} in each of four`);
  assert.ok(compiled(1024 * MIB, 'workers: 1').limit > 2 * one);
});

test('routes and upstreams take memory that connections do not get', () => {
  const upstreams = Array.from({ length: 2000 }, (_, index) => `u${index}: { targets: ["http://127.0.0.1:9"] }\n`);
  const few = compiled(512 * MIB, 'workers: 1').limit;
  const many = compiled(512 * MIB, 'workers: 1', '', upstreams.join('')).limit;
  // Half of 2,000 times 22 KiB, at 80 KiB a connection.
  assert.equal(few - many, 275);
});

test('auto is 10000 where memory is plenty or unknown, and 100 where there is hardly any', () => {
  assert.equal(compiled(64 * 1024 * MIB, 'workers: 1').limit, 10_000);
  assert.equal(compiled(undefined).limit, 10_000);
  assert.equal(compiled(128 * MIB, 'workers: 4').limit, 100);
});

test('a number that is written counts, and one that does not fit is worth a warning that says what would', () => {
  const fits = compiled(512 * MIB, 'workers: 1', ', limits: { connections: 3000 }');
  assert.deepEqual(fits, { limit: 3000, warnings: [] });
  const { limit, warnings } = compiled(512 * MIB, 'workers: 1', ', limits: { connections: 10000 }');
  assert.equal(limit, 10_000);
  assert.match(
    warnings.join(),
    /^can take 782 MiB with 1 workers, and of the 512 MiB .*expected auto, which is \d+ here/,
  );
  assert.deepEqual(compiled(undefined, '', ', limits: { connections: 1000000 }').warnings, []);
});

test('listeners share the memory', () => {
  const listener = (name: string, port: number) =>
    `- { name: ${name}, bind: "127.0.0.1:${port}", origins: ["http://api.example.com"] }\n`;
  const text = configuration({
    listeners: listener('one', 1) + listener('two', 2),
    more: 'replay: { capacity: 1000 }\nworkers: 1\n',
  });
  const result = compilePolicy(readText(text), Date.now() / 1000, { cores: 8, memory: 512 * MIB });
  assert.ok('policy' in result);
  const limits = result.policy.listeners.map((one) => one.limits.connections);
  assert.deepEqual(
    limits,
    Array.from({ length: 2 }, () => Math.floor(compiled(512 * MIB, 'workers: 1').limit / 2)),
  );
});
