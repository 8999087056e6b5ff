// The numbers of rules and decisions: unique, in order, and cited as they are.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { readDecision } from '../../scripts/generate/decisions-page.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const CHECKS = read('docs/checks.md');
const CITING = globSync(
  ['src/**/*.ts', 'test/**/*.ts', 'scripts/**/*.ts', 'quickstart/**/*.ts', 'docs/**/*.md', '*.md', 'config/**/*.yaml'],
  { cwd: ROOT },
).map((path) => ({ path, text: read(path) }));
const DECISIONS = globSync('docs/decisions/[0-9]*.md', { cwd: ROOT }).map((path) => {
  const file = path.replaceAll('\\', '/').slice('docs/decisions/'.length);
  return readDecision(file, read(path));
});

const numbers = (text: string) => [...text.matchAll(/^- \*\*C(\d+a?)\.(\d+)\*\* /gm)];
const sections = (text: string) => [...text.matchAll(/^## (\d+a?)\. /gm)].map(([, section]) => section);

/** What is wrong with the numbers of rules: a line without one, one in a foreign section, one that does not rise. */
function disorder(text: string): string[] {
  const problems: string[] = [];
  for (const part of text.split(/^(?=## )/m).filter((one) => one.startsWith('## '))) {
    const section = sections(part)[0];
    let last = 0;
    for (const line of part.split('\n').filter((one) => one.startsWith('- '))) {
      const [, of, number] = numbers(line)[0] ?? [];
      if (of !== section || Number(number) <= last) problems.push(line.slice(0, 40));
      last = Number(number);
    }
  }
  return problems;
}

/** Rules and sections cited in a text that docs/checks.md does not have. */
function unknownCitations(text: string): string[] {
  const known = new Set(numbers(CHECKS).map(([, section, number]) => `C${section}.${number}`));
  const rules = [...text.matchAll(/(?<![\w.])C\d+a?\.\d+(?![\w])/g)].map(([cited]) => cited);
  const wholes = [...text.matchAll(/checks\.md §(\d+a?)/g)];
  return [
    ...rules.filter((cited) => !known.has(cited)),
    ...wholes.filter(([, section]) => !sections(CHECKS).includes(section)).map(([cited]) => cited),
  ];
}

test('every rule of docs/checks.md has a number of its section, unique and in order', () => {
  assert.ok(numbers(CHECKS).length > 100);
  assert.deepEqual(disorder(CHECKS), []);
});

test('a rule without a number, a repeated one and one of another section are noticed', () => {
  assert.deepEqual(disorder('## 1. A\n- **C1.1** a\n- **C1.3** b\n## 2. B\n- **C2.1** c\n'), []);
  assert.equal(disorder('## 1. A\n- **C1.1** a\n- b\n').length, 1);
  assert.equal(disorder('## 1. A\n- **C1.2** a\n- **C1.2** b\n').length, 1);
  assert.equal(disorder('## 1. A\n- **C1.2** a\n- **C1.1** b\n').length, 1);
  assert.equal(disorder('## 1. A\n- **C2.1** a\n').length, 1);
});

test('every rule and section that source, tests and docs cite exists', () => {
  const unknown = CITING.filter(({ path }) => !path.endsWith('rules.test.ts')).flatMap(({ path, text }) =>
    unknownCitations(text).map((cited) => `${path}: ${cited}`),
  );
  assert.deepEqual(unknown, []);
  assert.deepEqual(unknownCitations('C1.1, C8a.1 and checks.md §8a'), []);
  assert.deepEqual(unknownCitations('(C1.99), C77.1 and checks.md §77'), ['C1.99', 'C77.1', 'checks.md §77']);
});

test('no decision number is used twice, and every status names a decision that exists', () => {
  const all = DECISIONS.map(({ number }) => number);
  assert.equal(new Set(all).size, all.length);
  const cited = DECISIONS.flatMap(({ status }) =>
    [...status.matchAll(/decision (\d+)/g)].map(([, one]) => Number(one)),
  );
  assert.deepEqual(
    cited.filter((one) => !all.includes(one)),
    [],
  );
});

test('a page whose title has another number than its file is refused', () => {
  assert.throws(() => readDecision('0012-a-title.md', '# 13. A title\n'), /expected its first line/);
  assert.equal(readDecision('0012-a-title.md', '# 12. A title\n').status, 'In force');
  assert.equal(
    readDecision('12-a.md', '# 12. A\n\n**Status.** Changed by decision 13.\n').status,
    'Changed by decision 13',
  );
});
