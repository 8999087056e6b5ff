// A configuration file as commands read it: a policy, or every problem in one run.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadPolicy } from '../../src/cli/load.ts';

const GOOD = `version: 1
listeners: [{ name: public, bind: "127.0.0.1:0", origins: ["http://localhost"] }]
issuers: { login: { issuer: https://login.example.com, audience: [https://api.example.com] } }
upstreams: { orders: { targets: ["http://127.0.0.1:9000"] } }
routes:
  - { name: orders, match: { path: /orders/* }, upstream: orders }
`;

function problemsOf(text: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const file = join(folder, 'policy.yaml');
  try {
    writeFileSync(file, text);
    const loaded = loadPolicy(file);
    return 'problems' in loaded ? loaded.problems.map(({ line, path }) => `${line} ${path}`) : [];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a good configuration is a policy, also from standard input', () => {
  assert.deepEqual(problemsOf(GOOD), []);
  assert.ok('policy' in loadPolicy('-', GOOD));
});

test('keys that should not be there do not hide what the others mean together: all problems come in one run, in order', () => {
  const text = GOOD.replace('upstream: orders', 'upstream: missing, require: token, rate_limit: x').replace(
    'version: 1',
    'version: 1\nworkes: 1',
  );
  assert.deepEqual(problemsOf(text), [
    '2 workes',
    '7 routes[0].upstream',
    '7 routes[0].require',
    '7 routes[0].rate_limit',
  ]);
});

test('a wrong value is reported alone, because what depends on it would be a guess', () => {
  const text = GOOD.replace('upstream: orders', 'upstream: missing').replace('"127.0.0.1:0"', 'nowhere');
  assert.deepEqual(problemsOf(text), ['2 listeners[0].bind']);
});

test('a route that is wrong in itself hides nothing of the others, and nothing more is said of it', () => {
  const text = `${GOOD.replace('upstream: orders }', 'upstream: missing }')}  - { name: bad, match: { path: no-slash }, upstream: none, scope: 1 }
  - { name: bad, match: { path: /b }, upstream: none }
  - just a text
  - { name: last, match: { path: /c }, upstream: orders, rate_limit: none-such }
`;
  assert.deepEqual(problemsOf(text), [
    '6 routes[0].upstream',
    '7 routes[1].match.path',
    '7 routes[1].scope',
    '8 routes[2].name',
    '8 routes[2].upstream',
    '9 routes[3]',
    '10 routes[4].rate_limit',
  ]);
});
