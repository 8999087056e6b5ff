// The build: what each thread loads at its start, and how.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Metafile } from 'esbuild';
import { buildInto, packagesIn } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/generate.ts';
import { INSTALLING } from '../support/programs.ts';

describe('the build', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-build-'));
  let made: Metafile;
  before(async () => {
    made = await buildInto(folder);
  }, INSTALLING);
  after(() => rmSync(folder, { recursive: true }));

  const outputs = () =>
    new Map(Object.entries(made.outputs).map(([path, output]) => [resolve(ROOT, path), output] as const));

  /** What a file and all that it imports at once consist of. */
  function inputsLoadedBy(files: readonly string[]): Metafile['inputs'] {
    const all = outputs();
    const seen = new Set<string>();
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      for (const { path: next, kind } of all.get(path)?.imports ?? []) {
        if (kind === 'import-statement') visit(resolve(ROOT, next));
      }
    };
    for (const file of files) visit(file);
    const inputs = [...seen].flatMap((path) => Object.keys(all.get(path)!.inputs));
    return Object.fromEntries(inputs.map((path) => [path, made.inputs[path]!]));
  }

  const packagesLoadedBy = (files: readonly string[]) => packagesIn({ inputs: inputsLoadedBy(files), outputs: {} });

  const partOf = (source: string) => [...outputs()].find(([, { entryPoint }]) => entryPoint === source)![0];

  test('a worker loads neither the compiler of configurations nor what its policy may not want', () => {
    const loaded = packagesLoadedBy([join(folder, 'worker/thread.js')]);
    for (const name of ['undici', 'pino', 'prom-client', 'lru-cache']) assert.ok(loaded.includes(name), name);
    const foreign = loaded.filter((name) => /zod|yaml|ioredis|opentelemetry|protobuf|structured-headers/.test(name));
    assert.deepEqual(foreign, []);
  });

  test('serve loads what reads configurations, and nothing of Redis, traces or gRPC', () => {
    const loaded = packagesLoadedBy([partOf('src/cli/serve.ts')]);
    for (const name of ['zod', 'yaml', 'undici']) assert.ok(loaded.includes(name), name);
    const foreign = loaded.filter((name) => /ioredis|opentelemetry|protobuf|structured-headers/.test(name));
    assert.deepEqual(foreign, []);
  });

  test('version loads no package', () => {
    assert.deepEqual(packagesLoadedBy([join(folder, 'main.js'), partOf('src/cli/run.ts')]), []);
  });

  test('what a gateway does not use is not loaded: the index of undici, languages of zod, threads of the log, the schema as JSON', () => {
    const loaded = Object.keys(inputsLoadedBy([join(folder, 'worker/thread.js'), partOf('src/cli/serve.ts')]));
    const unused =
      /undici\/(?:index\.js|lib\/(?:cache|interceptor|mock|web\/(?:cache|eventsource|websocket))\/)|zod\/.*\/locales\/(?!en\b)|thread-stream|prom-client\/lib\/(?:pushgateway|summary)|src\/config\/schema\/(?:keys|json-schema)\.ts/;
    assert.deepEqual(
      loaded.filter((path) => unused.test(path)),
      [],
    );
  });

  test('modules of Node are no imports: those would run every getter that they have', () => {
    for (const path of outputs().keys()) {
      if (path.endsWith('.js')) assert.doesNotMatch(readFileSync(path, 'utf8'), /^import\b[^;]*from\s*"node:/m, path);
    }
  });
});
