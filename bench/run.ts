// The benchmark in one command: every part, and the pages from what it gave.
//
// npm run bench [-- --smoke | --only PART,… | --rounds N --seconds S --warm-up S] [--against DIR]   DIR: another checkout of Holdfast, with its node_modules and its build

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureBudgets } from './budget.ts';
import { makeCredentials, writeTokens } from './credentials.ts';
import type { Plan, Setting } from './contenders.ts';
import { measureCores } from './cores.ts';
import { measureFlood } from './flood.ts';
import { measureGrowth } from './growth.ts';
import { installPrograms, missingPrograms } from './machine.ts';
import { pagesOf } from './pages.ts';
import { type Program, startUpstream } from './peers.ts';
import { measureRefusing } from './refusing.ts';
import { keepResults, readResults, type Results } from './results.ts';
import { measureRounds } from './rounds.ts';

/** In the order in which they are measured: what is compared with others comes first, while the machine is as it was. */
const PARTS: Readonly<Record<keyof Results, (setting: Setting, plan: Plan) => Promise<Results[keyof Results]>>> = {
  rounds: measureRounds,
  budgets: measureBudgets,
  cores: measureCores,
  flood: measureFlood,
  refusing: measureRefusing,
  growth: measureGrowth,
};

const isPart = (name: string): name is keyof Results => name in PARTS;

interface Wishes {
  readonly parts: readonly (keyof Results)[];
  readonly plan: Plan;
  readonly against: string | undefined;
  readonly smoke: boolean;
}

/** Each part is kept as soon as it was measured, but for a smoke test. */
async function bench({ parts, plan, against, smoke }: Wishes): Promise<Results> {
  const results: Partial<Record<keyof Results, unknown>> = {};
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  let upstream: Program | undefined;
  try {
    const made = makeCredentials(folder);
    for (const kind of ['bearer', 'mtls', 'dpop'] as const) {
      writeTokens(join(folder, `${kind}.txt`), made.clients, kind);
    }
    upstream = await startUpstream(folder);
    const setting = { folder, made, upstream, against, smoke };
    for (const part of parts) {
      const started = performance.now();
      results[part] = await PARTS[part](setting, plan);
      console.error(`-- ${part}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
      if (!smoke) keepResults({ [part]: results[part] });
    }
    return results as Results;
  } finally {
    await upstream?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      only: { type: 'string', default: Object.keys(PARTS).join(',') },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string' },
      'warm-up': { type: 'string', default: '6' },
      against: { type: 'string' },
    },
  });
  const { smoke, against } = values;
  const parts = values.only.split(',').map((name) => {
    if (!isPart(name)) throw new Error(`${name} is not a part; expected some of ${Object.keys(PARTS).join(',')}`);
    return name;
  });
  const missing = smoke ? missingPrograms() : installPrograms();
  if (missing.length > 0) {
    console.error(`${smoke ? 'skipped' : 'cannot run'}: these Debian packages are not installed: ${missing.join(' ')}`);
    process.exitCode = smoke ? 0 : 1;
    return;
  }
  const plan = smoke
    ? { rounds: 1, seconds: Number(values.seconds ?? 1), warmUp: 0 }
    : { rounds: Number(values.rounds), seconds: Number(values.seconds ?? 4), warmUp: Number(values['warm-up']) };
  const measured = await bench({ parts, plan, against, smoke });
  if (smoke) {
    for (const [path, page] of Object.entries(pagesOf(measured))) {
      if (/NaN|undefined/.test(page)) throw new Error(`${path} would lack figures:\n${page}`);
    }
    console.log('smoke test: gateway and peers answered every request; figures of one second mean nothing');
    return;
  }
  for (const [path, page] of Object.entries(pagesOf(readResults() ?? measured))) {
    writeFileSync(join(import.meta.dirname, '..', path), page);
    console.log(path);
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
