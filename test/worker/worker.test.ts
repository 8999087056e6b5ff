// A worker: orders that come while it still obeys another one.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLog } from '../../src/observe/log.ts';
import { compilePolicy } from '../../src/config/compile/compile.ts';
import { readPolicyFile } from '../../src/config/read/read.ts';
import type { Bind, Policy } from '../../src/policy/policy.ts';
import { createRateMemory } from '../../src/rate/limiter.ts';
import { createReplayMemory } from '../../src/memory/process-replay-store.ts';
import { createArrivalsMemory } from '../../src/observe/arrivals.ts';
import { createChallengedMemory } from '../../src/observe/challenged.ts';
import type { Order, Report, StartOrder } from '../../src/worker/messages.ts';
import { changeOf } from '../../src/worker/policy-change.ts';
import { Worker } from '../../src/worker/worker.ts';
import { claimBind } from '../../src/edge/listen/claim.ts';
import { sendRequest, startUpstream, portOf, writePolicy, type PolicyWishes } from '../support/gateway.ts';

const now = () => Date.now() / 1000;
const ROUTES =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';

function compile(t: TestContext, wishes: PolicyWishes, upstream: string): Policy {
  const read = readPolicyFile(writePolicy(t, { routes: ROUTES, ...wishes }, upstream), { env: {} });
  const compiled = 'problems' in read ? read : compilePolicy(read, now());
  if ('policy' in compiled) return compiled.policy;
  throw new Error('the policy of the test is wrong');
}

/** A worker that was not told to start yet, and what it says. */
function makeWorker(t: TestContext) {
  const reports: Report[] = [];
  const log = createLog({ level: 'fatal', sampleSuccesses: 0 }, { write() {} });
  const worker = new Worker({ report: (report) => reports.push(report), log: () => log, now, ended: () => {} });
  t.after(() => worker.obey({ type: 'close' }));
  return { worker, reports };
}

function startOrder(policy: Policy, bind: Bind): StartOrder {
  return {
    type: 'start',
    worker: 0,
    epoch: 0,
    policy,
    keys: new Map(),
    shorterMemories: [],
    shared: {
      replay: createReplayMemory({ capacity: 10, since: now() }),
      rates: createRateMemory(now()),
      challenged: createChallengedMemory(),
      arrivals: createArrivalsMemory(),
      nonceSecret: new Uint8Array(32),
      logSecret: new Uint8Array(32),
      ticketSecret: new Uint8Array(32),
    },
    binds: new Map([['public', bind]]),
    reusePort: false,
    draining: undefined,
  };
}

test('a policy that comes while a worker starts counts for its listeners, too', async (t) => {
  const upstream = await startUpstream(t);
  const bind = await claimBind({ host: '127.0.0.1', port: 0 }, 'listener "public"');
  const before = compile(t, {}, upstream.origin);
  const after = compile(t, { listener: 'limits: { header_size: 1KiB }' }, upstream.origin);
  const { worker, reports } = makeWorker(t);
  const binds = new Map([['public', bind]]);
  const next: Order = {
    type: 'policy',
    epoch: 1,
    change: changeOf(before, after),
    keys: new Map(),
    shorterMemories: [],
    binds,
  };
  await Promise.all([worker.obey(startOrder(before, bind)), worker.obey(next)]);
  assert.deepEqual(
    reports.map(({ type }) => type),
    ['serving', 'adopted'],
  );
  const large = await sendRequest(portOf(bind), 'GET', '/', { fields: [['X-Large', 'x'.repeat(2000)]] });
  assert.equal(large.reason, 'header_too_large');
});

test('a worker that is closed while it starts leaves nothing open', async (t) => {
  const upstream = await startUpstream(t);
  const bind = await claimBind({ host: '127.0.0.1', port: 0 }, 'listener "public"');
  const { worker } = makeWorker(t);
  await Promise.all([worker.obey(startOrder(compile(t, {}, upstream.origin), bind)), worker.obey({ type: 'close' })]);
  await claimBind(bind, 'listener "public"');
});
