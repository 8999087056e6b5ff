// The start of worker threads.

import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Order, Report } from '../worker/messages.ts';

/** A worker thread as its supervisor sees it. */
export interface WorkerThread {
  post(order: Order): void;
  /** Ends it at once, whatever it does. */
  terminate(): void;
  /** Share of the time since the last call in which its event loop was busy, 0 to 1. */
  utilization(): number;
}

export interface WorkerEvents {
  readonly report: (report: Report) => void;
  /** It is gone, as it was told to or not; `error` is what nobody caught. */
  readonly gone: (error: unknown) => void;
}

export type Spawn = (index: number, events: WorkerEvents) => WorkerThread;

/** A worker loads one function of the C library by node:ffi (worker/spare-memory.ts), which Node still calls experimental. */
const EXEC_ARGV = ['--disable-warning=ExperimentalWarning'];

/** The first thread, where it was started ahead. */
let ahead: Worker | undefined;

/**
 * Starts the first thread before anybody asks for it: it loads its code while this one reads the configuration. Without a
 * configuration that is good the process ends, and the thread with it.
 */
export function spawnAhead(): void {
  ahead = openThread(0);
}

/** Starts a thread, or takes the one that was started ahead; it waits for its first order. */
export const spawnThread: Spawn = (index, { report, gone }) => {
  const worker = (index === 0 ? ahead : undefined) ?? openThread(index);
  if (index === 0) ahead = undefined;
  let failure: unknown;
  let before = worker.performance.eventLoopUtilization();
  worker.on('message', report);
  worker.on('error', (error) => (failure = error));
  worker.on('exit', () => gone(failure));
  return {
    post: (order) => worker.postMessage(order),
    terminate: () => void worker.terminate(),
    utilization() {
      const now = worker.performance.eventLoopUtilization();
      const { utilization } = worker.performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
  };
};

function openThread(index: number): Worker {
  // The same file, as it is run: TypeScript in development, JavaScript from dist/.
  const file = new URL(`../worker/thread${extname(import.meta.url)}`, import.meta.url);
  return new Worker(file, { name: `worker ${index}`, stdin: false, execArgv: EXEC_ARGV });
}
