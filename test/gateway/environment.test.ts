// Values from the environment, as `check` and the ports of operators show them.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPage, writePolicy } from '../support/gateway.ts';
import { Command } from './command.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const ROUTES = `
- name: orders
  match: { path: /orders/* }
  upstream: orders
  require: dpop
  claims: { tenant: "\${TENANT}" }
- { name: open, match: { path: "/\${SECRET_PATH}/*" }, upstream: hidden, require: public, weaker_than_defaults: [require] }
`;
const ENVIRONMENT = { TENANT: 'hidden-tenant', SECRET_PATH: 'hidden-path', TARGET: 'hidden-target.internal:9000' };
const portIn = (text: unknown) => Number(/:(\d+)$/.exec(String(text))?.[1]);

test('no page and no output of check shows a value of the environment, and all show the name', async (t) => {
  const upstreams = 'hidden: { targets: ["https://${TARGET}"] }';
  const file = writePolicy(t, { routes: ROUTES, upstreams });
  const variables = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const by = ['env', ...variables, process.execPath, MAIN] as const;
  const shown = new Map<string, string>();
  for (const more of [['--verbose'], ['--json']]) {
    const { exit, stdout, stderr } = await new Command(t, ['check', '-c', file, ...more], '', by).ended;
    assert.equal(exit, 0, stderr);
    shown.set(`check ${more.join()}`, stdout);
  }
  const command = new Command(t, ['serve', '-c', file], '', by);
  const line = await command.logged('serving');
  const [admin, telemetry] = [portIn(line['admin']), portIn(line['telemetry'])];
  for (const path of ['/status', '/status.json', '/config']) shown.set(path, (await readPage(admin, path)).body);
  const { body } = await readPage(telemetry, '/readyz');
  assert.doesNotMatch(body, /hidden-/);
  for (const [where, text] of shown) {
    assert.doesNotMatch(text, /hidden-/, where);
    for (const name of Object.keys(ENVIRONMENT)) assert.ok(text.includes(`\${${name}}`), `${name} in ${where}`);
  }
});
