// Imports go one way, the core stays pure, and only enforce.ts can grant a permit: asserted on the text of every source file.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { CORE, CORE_READER, OUTSIDE, ROOMS, SIDE_ROOMS } from '../../oxlint.config.ts';
import { ROOT } from '../../scripts/generate.ts';
import { sourceFiles } from '../../scripts/generate/tree-page.ts';

const SOURCES = sourceFiles(ROOT, ['src']).map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

interface Import {
  readonly specifier: string;
  readonly typesOnly: boolean;
}

/** Static and dynamic imports and re-exports of a source text. */
function importsOf(text: string): Import[] {
  const named = text.matchAll(/^\s*(?:import|export)\s(?<what>[^;'"]*?)\sfrom\s*['"](?<from>[^'"]+)['"]/gm);
  const bare = text.matchAll(/^\s*import\s*['"](?<from>[^'"]+)['"]/gm);
  const dynamic = text.matchAll(/\b(?:import|require|createRequire)\s*\(\s*(?<from>[^)]*)\)/g);
  return [
    ...[...named].map(({ groups }) => ({
      specifier: groups?.['from'] ?? '',
      typesOnly: onlyTypes(groups?.['what'] ?? ''),
    })),
    ...[...bare, ...dynamic].map(({ groups }) => ({
      specifier: (groups?.['from'] ?? '').replaceAll(/['"]/g, ''),
      typesOnly: false,
    })),
  ];
}

function onlyTypes(what: string): boolean {
  if (/^type\s/.test(what)) return true;
  const names = /^\{(?<names>[^}]*)\}$/.exec(what.trim())?.groups?.['names'];
  return names !== undefined && names.split(',').every((name) => name.trim() === '' || /^\s*type\s/.test(name));
}

/** `src/token/scope.ts` → `token`, `src/enforce.ts` → `enforce`; undefined outside src/. */
function roomOf(path: string): string | undefined {
  const [top, name] = path.split('/');
  return top === 'src' ? name?.replace(/\.ts$/, '') : undefined;
}

const rank = (room: string) => ROOMS.findIndex((group) => group.some((name) => name === room));

/** What is wrong with one import, in words; undefined when nothing is. */
function objection(path: string, { specifier, typesOnly }: Import): string | undefined {
  const room = roomOf(path) ?? '';
  if (!specifier.startsWith('.')) return packageObjection(path, room, specifier);
  const target = posix.join(posix.dirname(path), specifier);
  const other = roomOf(target);
  if (other === undefined) return 'leaves src/';
  if (other === room) return undefined;
  if (SIDE_ROOMS.includes(room)) {
    const known = typesOnly && (CORE.includes(other) || SIDE_ROOMS.includes(other));
    return known ? undefined : 'store and observe import types of the core and of each other';
  }
  if (room === 'enforce' && other === 'store' && typesOnly) return undefined;
  if (SIDE_ROOMS.includes(other))
    return rank(room) >= rank('edge') ? undefined : 'the core does not know store and observe';
  return rank(other) < rank(room) ? undefined : 'imports go one way';
}

function packageObjection(path: string, room: string, specifier: string): string | undefined {
  if (!CORE.includes(room) || !OUTSIDE.test(specifier)) return undefined;
  return path === CORE_READER && /^node:fs(?:\/promises)?$/.test(specifier)
    ? undefined
    : 'the core does no input or output';
}

/** Every objection to the imports of one file. */
function objections(path: string, text: string): string[] {
  return importsOf(text).flatMap((each) => {
    const why = objection(path, each);
    return why === undefined ? [] : [`${path} imports ${each.specifier}: ${why}`];
  });
}

test('the check of imports objects to every kind of wrong import', () => {
  const wrong: [string, string][] = [
    ['src/rejection/a.ts', "import { x } from '../token/x.ts';"],
    ['src/token/a.ts', "import type { X } from '../binding/x.ts';"],
    ['src/proof/a.ts', "export * from '../certificate/x.ts';"],
    ['src/certificate/a.ts', "import {\n  a,\n  b,\n} from '../proof/x.ts';"],
    ['src/policy/a.ts', "import { readFileSync } from 'node:fs';"],
    ['src/policy/read.ts', "import { connect } from 'node:net';"],
    ['src/enforce.ts', "import { forward } from './edge/forward.ts';"],
    ['src/enforce.ts', "const { request } = await import('undici');"],
    ['src/enforce.ts', "import { memory } from './store/memory.ts';"],
    ['src/proof/a.ts', "import type { ReplayStore } from '../store/replay-store.ts';"],
    ['src/edge/a.ts', "import { start } from '../gateway.ts';"],
    ['src/edge/a.ts', "import '../../test/x.ts';"],
    ['src/store/a.ts', "import { reject } from '../rejection/rejection.ts';"],
    ['src/store/a.ts', "import { type Policy, compile } from '../policy/x.ts';"],
    ['src/observe/a.ts', "import { memory } from '../store/memory.ts';"],
    ['src/observe/a.ts', "import type { Listener } from '../edge/listener.ts';"],
  ];
  for (const [path, text] of wrong) assert.equal(objections(path, text).length, 1, `${path}: ${text}`);
});

test('the check of imports allows what architecture allows', () => {
  const right: [string, string][] = [
    ['src/policy/read.ts', "import { readFileSync } from 'node:fs';"],
    [
      'src/token/a.ts',
      "import { createHash } from 'node:crypto';\nimport { reject } from '../rejection/rejection.ts';",
    ],
    ['src/store/a.ts', "import { type Policy, type Route } from '../policy/route.ts';\nimport { b } from './b.ts';"],
    ['src/observe/a.ts', "import type { ReplayStore } from '../store/replay-store.ts';"],
    ['src/edge/a.ts', "import { metrics } from '../observe/metrics.ts';\nimport { Agent } from 'undici';"],
    ['src/enforce.ts', "import type { ReplayStore } from './store/replay-store.ts';"],
    ['src/main.ts', "import { start } from './gateway.ts';"],
  ];
  for (const [path, text] of right) assert.deepEqual(objections(path, text), []);
});

test('every folder and file directly in src/ has its place in the order of rooms', () => {
  const known = [...ROOMS.flat(), ...SIDE_ROOMS];
  const unknown = SOURCES.filter(({ path }) => !known.some((room) => room === roomOf(path))).map(({ path }) => path);
  assert.deepEqual(unknown, []);
});

test('imports in src/ go one way, the core does no input or output, store and observe import types only', () => {
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
