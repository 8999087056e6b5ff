// The cost of the replay store alone, with many live proofs and four threads.
//
// node bench/replay.ts [--json] [--most 10000000] [--contest 2500000]

import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type Fingerprint, ReplayTable } from '../src/memory/replay-table.ts';
import { createReplayMemory, ProcessReplayStore } from '../src/memory/process-replay-store.ts';
import type { ThreadPlan } from '../test/support/replay-thread.ts';

const START = 1_800_000_000;
const LASTS = 60;
const MEASURED = 100_000;
const JKT = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';

/** CPU nanoseconds per call, of all threads: what the collector of garbage does counts. */
function time(calls: number, call: (nth: number) => void): number {
  const before = process.cpuUsage();
  for (let nth = 0; nth < calls; nth++) call(nth);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / calls;
}

const word = () => (Math.random() * 2 ** 32) | 0;
const anyFingerprint = (): Fingerprint => [word(), word(), word(), word()];

/** Words of a full bucket: as many tags are read in a row for each proof, and five words as far from each other written (decision 22). */
const BUCKET = 5 * 1024;

/** What the machine's memory alone takes for that, at places as random as a proof's. */
function touchOf(memory: SharedArrayBuffer): () => void {
  const words = new Int32Array(memory.slice(0));
  const size = Math.min(BUCKET, words.length);
  let seen = 0;
  return () => {
    const start = Math.floor(Math.random() * (words.length - size));
    for (let at = start; at < start + size / 5; at++) if (words[at] === seen) seen += 1;
    for (let nth = 0; nth < 5; nth++) Atomics.store(words, start + Math.floor((nth * size) / 5), seen);
  };
}

/** A memory in which `live` proofs are always live: as new ones come in, as many expire. Times in ns. */
export function measureAt(live: number) {
  const memory = createReplayMemory({ capacity: Math.ceil(live * 1.05), since: START });
  const table = new ReplayTable(memory.table, memory.capacity);
  const store = new ProcessReplayStore(memory);
  const tick = (nth: number) => START + Math.floor((nth * LASTS) / live);
  let full = 0;
  let nth = 0;
  const insert = () => {
    if (table.insert(anyFingerprint(), tick(nth) + LASTS - 1, tick(nth)) === 'full') full++;
    nth++;
  };
  for (let filling = live * 1.5; filling > 0; filling--) insert();
  const ofTable = time(MEASURED, insert);
  const ofStore = time(MEASURED, () => {
    if (store.remember(JKT, `${nth}-e1ca3bf4-f8a2-4bb0-92bf`, tick(nth) + LASTS - 1, tick(nth)) === 'full') full++;
    nth++;
  });
  const ofMemory = time(MEASURED, touchOf(memory.table));
  const counting = time(1, () => table.count(tick(nth))) / 1e6;
  return { live, bytes: memory.table.byteLength / memory.capacity, ofStore, ofTable, ofMemory, counting, full };
}

function measureMac(): number {
  const secret = createSecretKey(randomBytes(32));
  const mac = (nth: number) => createHmac('sha256', secret).update(`43:${JKT}${nth}-e1ca3bf4-f8a2-4bb0`).digest();
  time(20_000, mac);
  return time(MEASURED, mac);
}

const shared = (length: number) => new Int32Array(new SharedArrayBuffer(4 * length));

/** Threads that all remember the same proofs; each proof must have one winner. */
async function contest(threads: number, proofs: number) {
  const plan: ThreadPlan = {
    memory: createReplayMemory({ capacity: proofs, since: START }),
    wins: shared(proofs),
    place: shared(1),
    ready: shared(1),
    answered: shared(1),
    full: shared(1),
    threads,
    start: START,
    perSecond: Infinity,
    lasts: LASTS,
    again: 0,
  };
  const before = performance.now();
  const thread = new URL('../test/support/replay-thread.ts', import.meta.url);
  const workers = Array.from({ length: threads }, () => new Worker(thread, { workerData: plan }));
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  const seconds = (performance.now() - before) / 1000;
  const oneWinner = plan.wins.every((wins) => wins === 1);
  return { threads, calls: plan.answered[0]!, perSecond: Math.round(plan.answered[0]! / seconds), oneWinner };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      most: { type: 'string', default: '10000000' },
      contest: { type: 'string', default: '2500000' },
    },
  });
  const mac = measureMac();
  measureAt(1000); // warms up
  const sizes = [];
  for (let live = 1000; live <= Number(values.most); live *= 10) sizes.push(measureAt(live));
  const contests = [];
  for (const threads of [1, 2, 4]) contests.push(await contest(threads, Number(values.contest)));

  if (values.json) console.log(JSON.stringify({ mac, sizes, contests }));
  else {
    const ns = (value: number) => `${value.toFixed(0).padStart(7)} ns`;
    console.log(`HMAC-SHA-256 alone: ${ns(mac).trim()}\n`);
    console.log(
      'live proofs   remember   without HMAC   memory alone   bytes per proof of capacity   counting all   refused as full',
    );
    for (const { live, ofStore, ofTable, ofMemory, bytes, counting, full } of sizes) {
      console.log(
        `${String(live).padStart(11)} ${ns(ofStore)} ${ns(ofTable).padStart(14)} ${ns(ofMemory).padStart(14)} ${bytes.toFixed(2).padStart(29)} ` +
          `${`${counting.toFixed(1)} ms`.padStart(14)} ${String(full).padStart(17)}`,
      );
    }
    console.log('\nthreads with the same proofs   calls   calls per second   one winner each');
    for (const { threads, calls, perSecond, oneWinner } of contests) {
      console.log(
        `${String(threads).padStart(28)} ${String(calls).padStart(9)} ${String(perSecond).padStart(16)}   ${oneWinner}`,
      );
    }
  }
  if (contests.some(({ oneWinner }) => !oneWinner)) process.exitCode = 1;
}

if (import.meta.main) await main();
