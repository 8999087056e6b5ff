// Golden files: each configuration of test/policies/problems with its problems.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { formatProblem } from '../../../src/config/problem.ts';
import { readPolicyFile } from '../../../src/config/read/read.ts';

const folder = join(import.meta.dirname, '../../policies/problems');

/** Values that must never be seen again all contain pa55. */
const env = {
  VERSION: '2-pa55',
  ONE: '1',
  LEVEL: 'loud-pa55',
  HALF: '0.5',
  SECRET: 'the pa55',
  TRUE: 'true',
  STRUCTURE: '{ a: pa55 }',
  URL: 'pa55@x',
  EMPTY: '',
  KEY: 'k',
};

function problemsOf(name: string): string {
  const read = readPolicyFile(join(folder, name), { env });
  assert.ok('problems' in read, `${name} has no problem`);
  return read.problems.map((problem) => `${formatProblem(problem).replaceAll(`${folder}/`, '')}\n`).join('');
}

describe('problems of a configuration', () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.yaml'))) {
    it(`are all reported at once, with place and expectation: ${name}`, () => {
      assert.equal(problemsOf(name), readFileSync(join(folder, name.replace(/yaml$/, 'txt')), 'utf8'));
    });

    it(`never show a value from the environment, userinfo or a misplaced secret: ${name}`, () => {
      assert.doesNotMatch(problemsOf(name), /pa55/);
    });

    it(`speak no jargon of the schema library: ${name}`, () => {
      assert.doesNotMatch(problemsOf(name), /undefined|\bNaN\b|invalid input|received|\bunion\b|zod|\[object/i);
    });
  }
});
