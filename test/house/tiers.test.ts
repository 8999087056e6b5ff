// The tiers: each test file in one share of `npm test`, which needs Node and npm alone.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { filesOf, SHARES } from '../shares/share.ts';

const FILES = globSync('**/*.test.ts', { cwd: join(ROOT, 'test') }).toSorted();
const sources = FILES.map((path) => ({ path, text: readFileSync(join(ROOT, 'test', path), 'utf8') }));
const numbers = Array.from({ length: SHARES }, (_, at) => at + 1);

test('npm test runs every test file in one of its shares, and no file in two', () => {
  assert.deepEqual(numbers.flatMap(filesOf).toSorted(), FILES);
  for (const number of numbers) {
    const text = readFileSync(join(ROOT, `test/shares/${number}.ts`), 'utf8');
    assert.ok(text.includes(`await importShare(${number});`), `${number}`);
  }
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { test: string } };
  assert.deepEqual(globSync('test/shares/[1-9].ts', { cwd: ROOT }).length, SHARES);
  assert.match(scripts.test, new RegExp(`--test-concurrency=${SHARES} "test/shares/\\[1-9\\]\\.ts"$`));
});

test('the shares are of about one size', () => {
  const sizes = numbers.map((number) => filesOf(number).length);
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join());
});

test('no test of npm test starts a program of the system, or calls from an address of loopback that macOS has not', () => {
  const foreign =
    /(?:spawn|spawnSync|execFile|execFileSync)\('(?!sh'|npm')|\bfindProgram\(|(?:\b(?:localAddress|from|host): |\blisten\(\w+, |\(t, )'127\.0\.0\.(?!1')\d+'/;
  assert.match("spawn('openssl', [])", foreign);
  assert.match("connect({ port, localAddress: '127.0.0.2' })", foreign);
  assert.doesNotMatch("spawn(process.execPath, []); listen(0, '127.0.0.1');", foreign);
  const found = sources.filter(({ path, text }) => path !== 'house/tiers.test.ts' && foreign.test(text));
  assert.deepEqual(
    found.map(({ path }) => path),
    [],
    'expected in *.system.ts',
  );
});
