// The rules for imports: one direction, a pure core, one place that grants permits.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/generate.ts';
import { sourceFiles } from '../../scripts/generate/tree-page.ts';
import { EXCEPTIONS, OUTSIDE, ROOMS } from '../../scripts/rooms.ts';

const SOURCES = sourceFiles(ROOT, ['src']).map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

/** What the static and dynamic imports and re-exports of a source text name. */
function importsOf(text: string): string[] {
  const named = text.matchAll(/^\s*(?:import|export)\s[^;'"]*?\sfrom\s*['"](?<from>[^'"]+)['"]/gm);
  const bare = text.matchAll(/^\s*import\s*['"](?<from>[^'"]+)['"]/gm);
  const dynamic = text.matchAll(/\b(?:import|require|createRequire)\s*\(\s*(?<from>[^)]*)\)/g);
  return [...named, ...bare, ...dynamic].map(({ groups }) => (groups?.['from'] ?? '').replaceAll(/['"]/g, ''));
}

/** `src/token/scope.ts` → `token`, `src/enforce.ts` → `enforce`; undefined outside src/. */
function roomOf(path: string): string | undefined {
  const [top, name] = path.split('/');
  return top === 'src' ? name?.replace(/\.ts$/, '') : undefined;
}

const rank = (room: string) => ROOMS.findIndex(({ name }) => name === room);

/** What is wrong with one import, in words; undefined when nothing is. */
function objection(path: string, specifier: string): string | undefined {
  const room = roomOf(path) ?? '';
  if (!specifier.startsWith('.')) return packageObjection(path, room, specifier);
  const other = roomOf(posix.join(posix.dirname(path), specifier));
  if (other === undefined) return 'leaves src/';
  return rank(other) <= rank(room) ? undefined : 'imports go one way';
}

function packageObjection(path: string, room: string, specifier: string): string | undefined {
  if (ROOMS[rank(room)]?.pure !== true || !OUTSIDE.test(specifier)) return undefined;
  return EXCEPTIONS[path]?.test(specifier) === true ? undefined : 'a pure room does no input or output';
}

/** Every objection to the imports of one file. */
function objections(path: string, text: string): string[] {
  return importsOf(text).flatMap((specifier) => {
    const why = objection(path, specifier);
    return why === undefined ? [] : [`${path} imports ${specifier}: ${why}`];
  });
}

test('the check of imports objects to every kind of wrong import', () => {
  const wrong: [string, string][] = [
    ['src/http/a.ts', "import { verify } from '../jose/jws.ts';"],
    ['src/rejection/a.ts', "import { x } from '../token/x.ts';"],
    ['src/token/a.ts', "import type { X } from '../binding/x.ts';"],
    ['src/certificate/a.ts', "export * from '../proof/x.ts';"],
    ['src/token/a.ts', "import {\n  a,\n  b,\n} from '../proof/x.ts';"],
    ['src/config/compile/a.ts', "import { readFileSync } from 'node:fs';"],
    ['src/config/read/read.ts', "import { connect } from 'node:net';"],
    ['src/enforce.ts', "import { forward } from './edge/forward/forward.ts';"],
    ['src/enforce.ts', "import type { Policy } from './config/x.ts';"],
    ['src/enforce.ts', "const { request } = await import('undici');"],
    ['src/enforce.ts', "import { memory } from './memory/memory.ts';"],
    ['src/edge/listen/a.ts', "import { start } from '../../supervisor/gateway.ts';"],
    ['src/edge/a.ts', "import '../../test/x.ts';"],
    ['src/issuer/a.ts', "import type { Replay } from '../memory/x.ts';"],
    ['src/observe/a.ts', "import type { Listener } from '../edge/listen/listener.ts';"],
  ];
  for (const [path, text] of wrong) assert.equal(objections(path, text).length, 1, `${path}: ${text}`);
});

test('the check of imports allows what architecture allows', () => {
  const right: [string, string][] = [
    ['src/config/read/read.ts', "import { readFileSync } from 'node:fs';"],
    [
      'src/token/a.ts',
      "import { createHash } from 'node:crypto';\nimport { reject } from '../rejection/rejection.ts';",
    ],
    ['src/issuer/a.ts', "import { type Policy, f } from '../policy/policy.ts';\nimport { b } from './b.ts';"],
    ['src/edge/forward/a.ts', "import { metrics } from '../../observe/metrics.ts';\nimport { Agent } from 'undici';"],
    ['src/edge/forward/a.ts', "import { b } from '../fields/b.ts';"],
    ['src/enforce.ts', "import type { ReplayStore } from './proof/replay-store.ts';"],
    ['src/main.ts', "import { start } from './cli/run.ts';"],
  ];
  for (const [path, text] of right) assert.deepEqual(objections(path, text), []);
});

test('every folder and file directly in src/ has its place in the order of rooms', () => {
  const unknown = SOURCES.filter(({ path }) => rank(roomOf(path) ?? '') === -1).map(({ path }) => path);
  assert.deepEqual(unknown, []);
});

test('imports in src/ go one way, and pure rooms do no input or output', () => {
  assert.deepEqual(
    SOURCES.flatMap(({ path, text }) => objections(path, text)),
    [],
  );
});

test('only enforce.ts grants a Permit', () => {
  const granting = SOURCES.filter(({ text }) => /\bPermit\s*(?:\.|\[)/.test(text)).map(({ path }) => path);
  assert.deepEqual(
    granting.filter((path) => path !== 'src/enforce.ts'),
    [],
  );
});

test('only main.ts ends the process', () => {
  const ending = SOURCES.filter(({ text }) => /\bprocess\s*\.\s*(?:exit|abort|reallyExit)\b(?!Code)/.test(text));
  assert.deepEqual(
    ending.map(({ path }) => path).filter((path) => path !== 'src/main.ts'),
    [],
  );
});
