// A load process of a soak run: its group of clients, reported every second.
//
// node bench/soak/load.ts GROUP SETTING, with an IPC channel

import { setTimeout as pause } from 'node:timers/promises';
import { Clients } from './clients.ts';
import type { Kind, Load } from './kind.ts';
import { GROUPS } from './kinds.ts';
import { readSetting, type Report } from './setting.ts';

const [group, file] = process.argv.slice(2) as [keyof typeof GROUPS, string];
const setting = readSetting(file);
let turn = 0;
const load: Load = {
  setting,
  clients: new Clients(setting),
  someone: () => setting.clients[turn++ % setting.clients.length]!,
};
const stopping = new AbortController();
const running = new Set<Promise<void>>();
let report = emptyReport();

function emptyReport() {
  return { latencies: {} as Record<string, number[]>, unexpected: [] as string[], late: 0 } satisfies Report;
}

async function runOne({ name, run }: Kind): Promise<void> {
  const started = performance.now();
  try {
    await run(load);
    (report.latencies[name] ??= []).push(performance.now() - started);
  } catch (error) {
    const { message, code = '' } = error as NodeJS.ErrnoException;
    report.unexpected.push(`${name}: ${message} ${code}`.trim());
  }
}

/** Starts exchanges of one kind evenly, whatever became of those before. */
async function pace(kind: Kind): Promise<void> {
  const interval = 1000 / kind.perSecond;
  let under = 0;
  let due = performance.now() + Math.random() * interval;
  while (!stopping.signal.aborted) {
    await pause(Math.max(0, due - performance.now()), undefined, { signal: stopping.signal }).catch(() => {});
    if (stopping.signal.aborted) return;
    due = Math.max(due + interval, performance.now() - 1000);
    if (under >= kind.atOnce) {
      report.late += 1;
      continue;
    }
    under += 1;
    const one = runOne(kind).finally(() => {
      under -= 1;
      running.delete(one);
    });
    running.add(one);
  }
}

function tell(): void {
  process.send?.(report);
  report = emptyReport();
}

process.on('SIGINT', () => {}); // Ctrl-C is the parent's, which ends us when it has looked at everything
process.once('message', () => stopping.abort());
process.once('disconnect', () => process.exit());
const timer = setInterval(tell, 1000);
await Promise.all(GROUPS[group]().map(pace));
await Promise.all(running);
clearInterval(timer);
load.clients.close();
tell();
process.disconnect?.();
