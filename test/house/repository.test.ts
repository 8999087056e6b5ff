// The repository's statements about itself: versions, dependencies, links.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';

const PACKAGE: Record<string, Record<string, string>> = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const pinned = Object.entries({
  ...PACKAGE['dependencies'],
  ...PACKAGE['devDependencies'],
  ...PACKAGE['optionalDependencies'],
});

test('every dependency is pinned to one exact version', () => {
  const loose = pinned.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  assert.deepEqual(loose, []);
});

test('docs/dependencies.md names every dependency with its exact version, and no other', () => {
  const page = readFileSync(join(ROOT, 'docs/dependencies.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([^`]+)` \| (\d+\.\d+\.\d+) \|/gm)].map(
    ([, name, version]) => `${name} ${version}`,
  );
  assert.deepEqual(rows.toSorted(), pinned.map(([name, version]) => `${name} ${version}`).toSorted());
});

test('the lock file names no registry, so that any registry serves it', () => {
  assert.doesNotMatch(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'), /"resolved":/);
});

test('relative links between Markdown files lead to files that exist', () => {
  const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT });
  const broken = pages.flatMap((page) =>
    [...readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)]
      .map(([, link]) => link ?? '')
      .filter((link) => !existsSync(join(ROOT, dirname(page), link)))
      .map((link) => `${page}: ${link}`),
  );
  assert.deepEqual(broken, []);
});

test('README, CHANGELOG and docs keep to plain words: not "nobody", "whoever", "anew", "beside", "of its own", "is no X"', () => {
  const avoided =
    /\b(?:[Nn]obody|[Ww]hoever|anew|[Bb]eside|of (?:its|their) own|(?<![Tt]here )(?:is|are) no (?!longer|more))\b/g;
  assert.equal('Whoever holds it is no owner, beside a key of its own.'.match(avoided)?.length, 4);
  assert.equal("There is no other, and it is no longer there. checks.md's own.".match(avoided), null);
  const found = globSync(['*.md', 'docs/*.md'], { cwd: ROOT }).flatMap((page) =>
    readFileSync(join(ROOT, page), 'utf8')
      .split('\n')
      .map((line, index) => ({ line: line.replaceAll(/`[^`]*`|"[^"]*"/g, ''), place: `${page}:${index + 1}` }))
      .flatMap(({ line, place }) => (line.match(avoided) ?? []).map((word) => `${place} ${word}`)),
  );
  assert.deepEqual(found, [], 'expected plainer words: who, no one, again, next to, separate, is not a');
});
