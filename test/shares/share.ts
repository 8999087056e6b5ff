// A share of the test files, for one of the processes of `npm test`.

import { globSync } from 'node:fs';
import { join } from 'node:path';
import { before } from 'node:test';

const TESTS = join(import.meta.dirname, '..');

/** How many processes share the files: they wait more than they compute, so two for each of two cores. */
export const SHARES = 4;

/** The files of a share, from 1 on, relative to `test/`. Neighbours in a folder, which cost about the same, go to different shares. */
export function filesOf(share: number): string[] {
  return globSync('**/*.test.ts', { cwd: TESTS })
    .toSorted()
    .filter((_, at) => at % SHARES === share - 1);
}

/** Imports them all before the first of their tests begins: loading takes the processor away from what it measures. */
export async function importShare(share: number): Promise<void> {
  const imported = importAll(filesOf(share));
  // A file that cannot be imported fails the process below, once, and not every test.
  before(() => imported.catch(() => {}), { timeout: 600_000 });
  await imported;
}

async function importAll(files: readonly string[]): Promise<void> {
  for (const file of files) await import(join(TESTS, file));
}
