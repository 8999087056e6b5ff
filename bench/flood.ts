// The latency of good requests while others flood the gateway with bad ones.

import type { Reason } from '../src/rejection/rejection.ts';
import type { Contender, Plan, Setting } from './contenders.ts';
import { fileOfLoad, measure, prepareWrk, sendRaw, writeRequests } from './loading.ts';
import { treeUsage } from './machine.ts';
import type { Program } from './peers.ts';
import { type Case, REQUESTS } from './refusal-requests.ts';
import { startRig } from './refusal-rig.ts';
import { warmUp, warmUpWithAll } from './warming.ts';

/** Of what the gateway can answer: the good ones, and as many of each flood. */
const PART = 0.25;
const CONNECTIONS = 16;
const ROUNDS = 3;
const SECONDS = 2;

/** The first two are what the floods are compared with. */
const KINDS = [
  'none',
  'as many good requests',
  'proof_signature_invalid',
  'proof_replayed',
  'token_key_unknown',
  'proof_malformed',
  'credentials_missing',
] as const satisfies readonly (Reason | 'none' | 'as many good requests')[];

type Kind = (typeof KINDS)[number];

export interface Flood {
  /** Good requests per second that were aimed at, and as many of the flood. */
  readonly rate: number;
  /** Seconds of load until good requests were warm, and bad ones. */
  readonly warm: readonly number[];
  readonly kinds: readonly {
    readonly kind: Kind;
    /** Milliseconds, of the good requests, in each round. */
    readonly p50: readonly number[];
    readonly p99: readonly number[];
    /** Of one core, by the gateway, in each round. */
    readonly busy: readonly number[];
  }[];
}

/** The good requests, and how long their connections rest. */
interface Steady {
  readonly good: Contender;
  readonly delay: number;
  readonly rate: number;
}

/** Makes a flood, and gives what sends it for as long as the good requests are measured. */
type Prepare = () => Promise<() => Promise<unknown>>;

async function measureOne({ good, delay, rate }: Steady, setting: Setting, prepare: Prepare) {
  const send = await prepareWrk(good, setting, SECONDS, { delay, proofs: rate * 2 });
  const pour = await prepare();
  const before = treeUsage(good.program.pid).cpu;
  const [{ p50, p99 }] = await Promise.all([send(), pour()]);
  const busy = (treeUsage(good.program.pid).cpu - before) / (SECONDS * 1e6);
  return { p50: p50 / 1000, p99: p99 / 1000, busy };
}

/** In a smoke test one round of two kinds. */
export async function measureFlood(setting: Setting, plan: Plan): Promise<Flood> {
  const started: Program[] = [];
  try {
    const { program, kit, urls } = await startRig(setting, started);
    const more = {
      program,
      url: `${kit.origin}/dpop/x`,
      host: kit.host,
      load: 'dpop',
      connections: CONNECTIONS,
    } as const;
    const good: Contender = { id: 'good', title: 'good requests', ...more };
    const warm = [await warmUp(good, setting, plan)];
    const rate = (await measure(good, setting, SECONDS)).rate * PART;
    const delay = (CONNECTIONS / rate) * 1000;
    const bad: string[] = [];
    const floods = new Map<Kind, Prepare>([
      ['none', async () => async () => undefined],
      [
        'as many good requests',
        () => prepareWrk({ ...good, id: 'flood' }, setting, SECONDS, { delay, proofs: rate * 2 }),
      ],
    ]);
    for (const kind of KINDS) {
      if (kind === 'none' || kind === 'as many good requests') continue;
      const { make } = REQUESTS[kind] as Case;
      const file = fileOfLoad(setting.folder, `flood-${kind}.txt`);
      const requests: string[] = [];
      for (let nth = 0; nth < 200; nth++) requests.push(await make(kit, nth));
      writeRequests(file, requests);
      bad.push(...requests.slice(0, 100));
      const load = { url: urls.listener, file, connections: CONNECTIONS, seconds: SECONDS, delay };
      floods.set(kind, async () => () => sendRaw(load));
    }
    warm.push(await warmUpWithAll({ program, url: urls.listener }, bad, setting, plan));
    const found = new Map<Kind, Awaited<ReturnType<typeof measureOne>>[]>();
    for (let round = 0; round < (setting.smoke ? 1 : ROUNDS); round++) {
      for (const kind of setting.smoke ? KINDS.slice(1, 3) : KINDS) {
        const one = await measureOne({ good, delay, rate }, setting, floods.get(kind)!);
        found.set(kind, [...(found.get(kind) ?? []), one]);
        console.error(`flood  ${kind}: p99 ${one.p99.toFixed(1)} ms`);
      }
    }
    const kinds = [...found].map(([kind, rounds]) => ({
      kind,
      p50: rounds.map((one) => one.p50),
      p99: rounds.map((one) => one.p99),
      busy: rounds.map((one) => one.busy),
    }));
    return { rate, warm, kinds };
  } finally {
    for (const program of started.toReversed()) await program.stop();
  }
}
