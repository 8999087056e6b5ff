// The keys that need a restart, and no others.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, test } from 'node:test';
import { METRICS } from '../../../src/observe/metric-table.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { changedRestartKeys } from '../../../src/config/report/restart.ts';
import { RESTART_KEYS } from '../../../src/config/schema/marked-keys.ts';
import { configuration, readText, type Sections } from '../../support/policies.ts';

const PUBLIC = '- { name: public, bind: "127.0.0.1:8443", origins: ["http://localhost:8443"] }';
const INTERNAL = '- { name: internal, bind: "unix:/run/holdfast.sock" }';

/** Problems of a reload from one configuration to another, without their file. */
function problems(before: Sections, after: Sections, env: Record<string, string> = {}): readonly string[] {
  const [old, now] = [before, after].map((sections) =>
    readText(configuration({ listeners: `${PUBLIC}\n${INTERNAL}`, ...sections }), { env }),
  );
  assert.ok(old && now);
  return changedRestartKeys(old, now).map((problem) => formatProblem(problem).replace('holdfast.yaml:', ''));
}

/** One value of each key, another one, and what is said. */
const CHANGES: Readonly<Record<string, readonly [Sections, Sections, string]>> = {
  workers: [
    { more: 'workers: 2\n' },
    { more: '# moved\nworkers: auto\n' },
    '12:10 workers: needs a restart: is 2 in the running gateway, auto here; nothing was changed',
  ],
  'admin.bind': [
    {},
    { more: 'admin: { bind: "127.0.0.1:9911" }\n' },
    '11:16 admin.bind: needs a restart: is 127.0.0.1:9901 in the running gateway, 127.0.0.1:9911 here; nothing was changed',
  ],
  'telemetry.bind': [
    { more: 'telemetry: { bind: "0.0.0.0:9902" }\n' },
    {},
    '1:1 telemetry.bind: needs a restart: is 0.0.0.0:9902 in the running gateway, 127.0.0.1:9902 here; nothing was changed',
  ],
  'replay.store': [
    {},
    { more: 'replay: { store: redis }\n' },
    '11:18 replay.store: needs a restart: is memory in the running gateway, redis here; nothing was changed',
  ],
  'replay.capacity': [
    { more: 'replay: { capacity: 5000 }\n' },
    { more: 'replay: { capacity: auto }\n' },
    '11:21 replay.capacity: needs a restart: is 5000 in the running gateway, auto here; nothing was changed',
  ],
};

const page = readFileSync(join(import.meta.dirname, '../../../docs/reload.md'), 'utf8');

test('docs/reload.md names metrics that there are', () => {
  const names = new Set<string>(Object.values(METRICS).map(({ name }) => name));
  const named = [...page.matchAll(/holdfast_[a-z_]+/g)].map(([name]) => name);
  assert.deepEqual(
    named.filter((name) => !names.has(name)),
    [],
  );
});

describe('a key that needs a restart', () => {
  for (const [key, [before, after, expected]] of Object.entries(CHANGES)) {
    it(`is refused where its value differs, at the place of the new one: ${key}`, () => {
      assert.deepEqual(problems(before, after), [expected]);
      assert.deepEqual(problems(after, after), []);
    });
  }

  it('is tried here, and so is every other one', () => {
    assert.deepEqual(Object.keys(CHANGES), RESTART_KEYS);
  });

  it('has its row in docs/reload.md, and no other key has', () => {
    const [, section = ''] = page.split('## What needs a restart');
    const rows = [...(section.split('##')[0] ?? '').matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key);
    assert.deepEqual(rows, RESTART_KEYS);
  });

  it('is compared by its value, however it is written', () => {
    const bind = (text: string) => ({ more: `admin: { bind: "${text}" }\n` });
    assert.deepEqual(problems(bind('127.0.0.1:8443'), bind('127.0.0.1:${PORT}'), { PORT: '8443' }), []);
    assert.deepEqual(problems({}, { more: 'replay: { capacity: auto }\nadmin: { bind: "127.0.0.1:9901" }\n' }), []);
  });

  it('is shown as it is written: nothing of the environment', () => {
    const [problem = ''] = problems({}, { more: 'workers: ${SECRET}\n' }, { SECRET: '3' });
    assert.match(problem, /is auto in the running gateway, \$\{SECRET\} here/);
  });

  it('may be auto although what that stands for changes', () => {
    assert.deepEqual(problems({}, { more: 'defaults: { dpop: { max_age: 10m } }\n' }), []);
  });
});

test('listeners may come, go and change in every way', () => {
  const more =
    'tls: { certificates: [{ cert: a, key_file: b }] }, client_certificate: { request: required }, limits: { header_size: 1KiB }';
  const others = [
    `${INTERNAL}\n${PUBLIC.replace('origins', `${more}, origins`)}`,
    PUBLIC,
    `${PUBLIC.replace('8443', '9443').replace(' }', ', proxy_protocol: required }')}\n${INTERNAL.replace('internal', 'inside')}`,
  ];
  for (const listeners of others) {
    assert.deepEqual(problems({}, { listeners }), []);
    assert.deepEqual(problems({ listeners }, {}), []);
  }
});
