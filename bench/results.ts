// The last measurements in docs/performance.json, of which the pages are made.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Budget } from './budget.ts';
import type { Cores } from './cores.ts';
import type { Flood } from './flood.ts';
import type { Growth } from './growth.ts';
import type { Refusing } from './refusing.ts';
import type { Rounds } from './rounds.ts';

/** Parts that were never measured are absent. */
export interface Results {
  readonly rounds?: Rounds;
  readonly budgets?: readonly Budget[];
  readonly flood?: Flood;
  readonly cores?: Cores;
  readonly growth?: Growth;
  readonly refusing?: Refusing;
}

const FILE = join(import.meta.dirname, '../docs/performance.json');

/** The last results of every part; undefined: nothing was measured yet. */
export function readResults(): Results | undefined {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Results) : undefined;
}

/** Parts that were not measured again stay as they were. */
export function keepResults(measured: Results): void {
  const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);
  writeFileSync(FILE, `${JSON.stringify({ ...readResults(), ...measured }, rounded, 1)}\n`);
}
