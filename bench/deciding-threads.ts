// Decisions in one thread and in two, without sockets, with the replay store they share.

import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createReplayMemory, type ReplayMemory } from '../src/memory/process-replay-store.ts';

import { Decider } from './deciding.ts';

const CLIENTS = 50;

type Work = 'decisions' | 'verifications';

interface Plan {
  readonly work: Work;
  /** Of each thread. */
  readonly calls: number;
  readonly memory: ReplayMemory;
  /** [0]: 1 when all begin. */
  readonly gate: Int32Array;
}

/** Calls per second of wall time in all threads, and CPU µs of each; one of both for each round. */
interface Measured {
  readonly rate: readonly number[];
  readonly cpu: readonly number[];
}

/** By number of threads. */
export type Threads = Readonly<Record<Work, Readonly<Record<'1' | '2', Measured>>>>;

async function runThreads(work: Work, threads: number, calls: number): Promise<{ rate: number; cpu: number }> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const plan: Plan = { work, calls, memory: createReplayMemory({ capacity: 100_000, since: 0 }), gate };
  const workers = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url), { workerData: plan }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const ended = Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as number));
  const before = performance.now();
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  const cpu = await ended;
  const seconds = (performance.now() - before) / 1000;
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { rate: (calls * threads) / seconds, cpu: cpu.reduce((all, one) => all + one, 0) / threads };
}

/** One thread and two, in turn. @param calls of each thread in each round */
export async function measureThreads(rounds: number, calls: number): Promise<Threads> {
  const measureWork = async (work: Work) => {
    const all: Record<'1' | '2', { rate: number[]; cpu: number[] }> = {
      1: { rate: [], cpu: [] },
      2: { rate: [], cpu: [] },
    };
    for (let round = 0; round < rounds; round++) {
      for (const threads of [1, 2] as const) {
        const { rate, cpu } = await runThreads(work, threads, calls);
        all[threads].rate.push(rate);
        all[threads].cpu.push(cpu);
      }
    }
    return all;
  };
  return { decisions: await measureWork('decisions'), verifications: await measureWork('verifications') };
}

/** What this thread does again and again. */
async function prepare({ work, calls, memory }: Plan): Promise<() => unknown> {
  if (work === 'verifications') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const data = Buffer.alloc(400, 'x');
    const signature = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return () => verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
  }
  const decider = await Decider.make({ memory });
  const senders = Array.from({ length: CLIENTS }, () => decider.sender());
  const asked = Array.from({ length: calls + calls / 4 }, (_, at) => {
    const { bound, proof } = senders[at % CLIENTS]!;
    return { authorization: [`DPoP ${bound}`], dpop: [proof()] };
  });
  let at = 0;
  return async () => {
    if ((await decider.decide('dpop', asked[at++]!)) !== 'permit') throw new Error('a good request was refused');
  };
}

if (!isMainThread) {
  const plan = workerData as Plan;
  const call = await prepare(plan);
  for (let nth = 0; nth < plan.calls / 4; nth++) await call();
  parentPort!.postMessage('ready');
  Atomics.wait(plan.gate, 0, 0);
  const before = process.threadCpuUsage();
  for (let nth = 0; nth < plan.calls; nth++) await call();
  const { user, system } = process.threadCpuUsage(before);
  parentPort!.postMessage((user + system) / plan.calls);
}
