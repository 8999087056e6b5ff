// What every file keeps to: a caption, a size, names that say what is done, and nothing left for later.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { caption, sourceFiles } from '../../scripts/generate/tree-page.ts';

const FILES = sourceFiles(ROOT).map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
const lines = (text: string) => text.trimEnd().split('\n').length;

test('every source file starts with a caption of one sentence', () => {
  assert.equal(caption("import { test } from 'node:test';\n"), undefined);
  assert.equal(caption('#!/usr/bin/env node\n// One\n// sentence.\n\n// Not this.\n'), 'One sentence.');
  const without = FILES.filter(({ text }) => !/^[^.].*[.…]$/.test(caption(text) ?? '')).map(({ path }) => path);
  assert.deepEqual(without, []);
});

test('no file in src/ is longer than 400 lines', () => {
  const long = FILES.filter(({ path, text }) => path.startsWith('src/') && lines(text) > 400).map(({ path }) => path);
  assert.deepEqual(long, []);
});

test('no function is named validate, handle, process or auth, because these words do not say what is done', () => {
  const vague =
    /\bfunction\s+(?:validate|handle|process|auth(?:enticate|orize)?)(?![a-z])|\b(?:const|let)\s+(?:validate|handle|process|auth(?:enticate|orize)?)[A-Z]?\w*\s*=\s*(?:async\s*)?\(/;
  assert.match('function validateToken(', vague);
  const named = FILES.filter(({ path, text }) => path.startsWith('src/') && vague.test(text)).map(({ path }) => path);
  assert.deepEqual(named, []);
});
