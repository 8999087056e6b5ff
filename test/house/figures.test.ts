// Figures that several pages name: each is that of docs/performance.md.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { FILES_WITH_FIGURES, figuresPage, withFigures } from '../../scripts/generate/figures.ts';

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

test('the figures that other pages name are those of docs/performance.md', () => {
  for (const file of FILES_WITH_FIGURES) assert.equal(figuresPage(ROOT, file), read(file), `npm run generate: ${file}`);
});

const PAGE = `| Holdfast, bearer token | 40 | 30–50 |
| Holdfast, DPoP | 200 | 190–210 |
| Apache with mod_oauth2, DPoP | 512 | 500–520 |
`;

test('another run changes each of them, and nothing else', () => {
  const digits = (text: string) => text.replaceAll(/\d+(?:,\d+)*/g, '0');
  for (const file of FILES_WITH_FIGURES) {
    const changed = withFigures(file, read(file), PAGE);
    assert.equal(digits(changed), digits(read(file)));
    assert.equal(withFigures(file, changed, PAGE), changed);
  }
  const readme = withFigures('README.md', read('README.md'), PAGE);
  assert.match(readme, /^\| Apache, mod_oauth2 .* for 512 µs of CPU .*\| 200 µs, and no proof/m);
  const kubernetes = withFigures('docs/kubernetes.md', read('docs/kubernetes.md'), PAGE);
  assert.match(kubernetes, /^\| CPU \| 200 µs per DPoP request, 40 µs per bearer token \|/m);
  assert.match(kubernetes, /\| about 3,500 DPoP requests a second, 18,000 with bearer tokens \|/);
});

test('a passage in other words, and a page without the line, are errors', () => {
  const readme = read('README.md');
  assert.throws(() => withFigures('README.md', readme.replace('| Apache, mod_oauth2', '| Apache'), PAGE), /no passage/);
  assert.throws(() => withFigures('README.md', readme, PAGE.replace('| Holdfast, DPoP |', '| Holdfast |')), /no line/);
});
