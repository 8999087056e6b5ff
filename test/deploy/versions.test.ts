// One version of program and chart, and the promised one of the contract.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from '../../scripts/generate.ts';

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };

test('the chart, and the image that it runs, have the version of the program', () => {
  const chart = parse(read('helm/holdfast/Chart.yaml')) as { version: string; appVersion: string };
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
});

test('docs/releasing.md names the version of the program, and that of the configuration', () => {
  assert.ok(read('docs/releasing.md').includes(`, \`${version}\` |`));
  const schema = JSON.parse(read('schema/holdfast.schema.json')) as { properties: { version: object } };
  assert.match(JSON.stringify(schema.properties.version), /"const":1\b/);
});
