// The file that a worker thread runs.

import { parentPort } from 'node:worker_threads';
import { createLog } from '../observe/log.ts';
import { sessionsWait } from '../edge/lasting-session.ts';
import type { Order } from './messages.ts';
import { giveBackMemory, spareAtRest, spareMemory } from './spare-memory.ts';
import { Worker } from './worker.ts';

const port = parentPort;
if (port === null) throw new Error('this file runs in a worker thread');

const worker = new Worker({
  report: (report) => {
    if (report.type === 'serving') spareAtRest();
    port.postMessage(report);
  },
  log: ({ policy, shared }) => createLog(policy.log, undefined, shared.logSecret),
  now: () => Date.now() / 1000,
  giveBack: giveBackMemory,
  ended: () => port.close(),
});
// An order that fails unexpectedly ends the thread, of which the supervisor hears.
port.on('message', (order: Order) => void worker.obey(order));
// What is not collected now is freed in the order in which Node finds it, which can end the process.
process.once('exit', () => {
  if (sessionsWait()) spareMemory();
});
