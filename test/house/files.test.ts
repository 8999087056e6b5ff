// The rules for every file: its caption, its size, its names.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { caption, sourceFiles } from '../../scripts/generate/tree-page.ts';

const FILES = sourceFiles(ROOT).map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
const lines = (text: string) => text.trimEnd().split('\n').length;

test('every source file starts with a caption: one noun phrase of at most 90 characters', () => {
  assert.equal(caption("import { test } from 'node:test';\n"), undefined);
  assert.equal(caption('#!/usr/bin/env node\n// One\n// sentence.\n\n// Not this.\n'), 'One sentence.');
  const wrong = FILES.map(({ path, text }) => ({ path, text: caption(text) ?? '' })).filter(
    ({ text }) => !isCaption(text),
  );
  assert.deepEqual(wrong, [], 'expected "// A noun phrase that says what the file does, 90 characters at most."');
});

test('a caption that is missing, too long, a clause or in avoided words is noticed', () => {
  assert.ok(isCaption('The table of reasons.'));
  assert.ok(isCaption('`holdfast serve`: the gateway, until a signal ends it.'));
  for (const text of [
    '',
    'No full stop',
    'What is done here.',
    'How it ends.',
    'A store that nobody reads.',
    'A thread of its own.',
  ]) {
    assert.ok(!isCaption(text), text);
  }
  assert.ok(!isCaption(`${'a'.repeat(90)}.`));
});

test('what people read of a program keeps to the words of the house: "X is not a valid Y", and no word that it avoids', () => {
  const avoided =
    /(['`"])(?:(?!\1).)* ?(?:(?<!there )\bis no [a-z]|(?:nobody|[Ww]hoever|anew|beside)\b (?!\1)|\bof (?:its|their) own\b)/;
  assert.match("problem(at, 'is no list, expected one')", avoided);
  assert.match("log.info('an address that nobody uses')", avoided);
  assert.doesNotMatch("error('there is no command')", avoided);
  const found = FILES.filter(({ path }) => path.startsWith('src/')).flatMap(({ path, text }) =>
    text
      .split('\n')
      .filter((line) => !/^\s*(?:\*|\/[/*])/.test(line) && avoided.test(line.replace(/\/\/.*$/, '')))
      .map((line) => `${path}: ${line.trim()}`),
  );
  assert.deepEqual(found, []);
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

test('no exported name of src/ has two meanings: each is declared in one file', () => {
  const declared = FILES.filter(({ path }) => path.startsWith('src/')).flatMap(({ path, text }) => {
    const names = text.matchAll(/^export (?:abstract )?(?:async )?(?:function|class|interface|type|const) (\w+)/gm);
    return [...new Set([...names].map(([, name = '']) => name))].map((name) => ({ name, path }));
  });
  const files = Map.groupBy(declared, ({ name }) => name);
  const twice = [...files]
    .filter(([, all]) => all.length > 1)
    .map(([name, all]) => [name, ...all.map(({ path }) => path)]);
  assert.deepEqual(twice, []);
});

test('no call has two literal booleans, and no function more than four positions', () => {
  const sources = FILES.filter(({ path }) => path.startsWith('src/'));
  const booleans = /\((?:[^()]*,\s*)?(?:true|false),\s*(?:[^()]*,\s*)?(?:true|false)\s*[,)]/;
  assert.match('open(a, true, false)', booleans);
  assert.deepEqual(
    sources.filter(({ text }) => booleans.test(text)).map(({ path }) => path),
    [],
  );
  const wide = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/^(?:export )?(?:async )?function (\w+)\(([^]*?)\)(?::|\s*\{)/gm)]
      .filter(([, , parameters = '']) => positions(parameters) > 4)
      .map(([, name]) => `${path}: ${name}`),
  );
  assert.deepEqual(wide, []);
});

/** A noun phrase with a full stop: no clause that begins with a question word, none of the words that house style avoids. */
function isCaption(text: string): boolean {
  const clause = /^(?:What|How|When|Where|Which|Who|Whom|Whose|Whether|Why|If)\b/;
  const avoided = /\b(?:nobody|whoever|anew|beside|of (?:its|their) own|is no)\b/i;
  return text.length <= 90 && /^[^.].*[.…]$/.test(text) && !clause.test(text) && !avoided.test(text);
}

/** Parameters at the top level of a list. */
function positions(parameters: string): number {
  let [depth, count] = [0, parameters.trim() === '' ? 0 : 1];
  for (const [at, character] of parameters.trim().replace(/,$/, '').split('').entries()) {
    if ('([{<'.includes(character)) depth += 1;
    else if (')]}'.includes(character) || (character === '>' && parameters.trim()[at - 1] !== '=')) depth -= 1;
    else if (character === ',' && depth === 0) count += 1;
  }
  return count;
}
