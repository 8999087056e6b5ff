// Workers in the thread of the test, with its clock and its log.

import type { LookupFunction } from 'node:net';
import { MessageChannel } from 'node:worker_threads';
import type { Log } from '../../src/observe/log.ts';
import type { Order, Report } from '../../src/worker/messages.ts';
import type { Spawn } from '../../src/supervisor/spawn.ts';
import { Worker } from '../../src/worker/worker.ts';

/** Their failures end the test run, as uncaught ones do. */
export function spawnHere(log: Log, now: () => number, lookup?: LookupFunction): Spawn {
  return (_index, { report, gone }) => {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker({
      report: (message) => port2.postMessage(message),
      log: () => log,
      now,
      lookup,
      ended: () => port2.close(),
    });
    port2.on('message', (order: Order) => void worker.obey(order));
    port1.on('message', (message: Report) => report(message));
    port1.once('close', () => gone(undefined));
    return {
      post: (order) => port1.postMessage(order),
      terminate: () => void worker.obey({ type: 'close' }),
      utilization: () => 0,
    };
  };
}
