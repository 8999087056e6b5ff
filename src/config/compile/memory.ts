// The number of connections that fit into the memory of the machine or container.

import type { Listener } from '../../policy/policy.ts';
import type { Compilation } from './compilation.ts';

/** What the process may use. */
export interface Machine {
  readonly cores: number;
  /** Bytes, of the container where it has a limit; undefined: unknown. */
  readonly memory?: number | undefined;
}

const MIB = 2 ** 20;
/** Bytes, as measured (docs/kubernetes.md), rounded up: the process, each worker under load, a proof that is remembered. */
const PROCESS = 96 * MIB;
const WORKER = 64 * MIB;
const PROOF = 24;
/** A route, or an upstream with three targets, after reloads: in the process, and in each worker (docs/decisions/0142). */
const PART = { process: 12 * 1024, worker: 10 * 1024 };
/** Bytes that an idle TLS connection takes, after waves of them as well. */
const CONNECTION = 80 * 1024;
/** Of what is left, for connections; the rest is for requests under way, tokens and keys. */
const SHARE = 0.5;
/** `connections: auto`: no fewer, whatever the memory, and no more. */
const AUTO = { least: 100, most: 10_000 };

export interface Sizes {
  readonly workers: number;
  /** Proofs that can be remembered. */
  readonly capacity: number;
  /** Routes and upstreams. */
  readonly parts: number;
}

/**
 * The listeners with numbers for `connections: auto`, so that all of them full, in all workers, take half of what the rest leaves of the
 * memory. Warns where a number that is written takes more than there is.
 * NOT counted: bodies and answers under way, and what upstreams cost.
 */
export function fitConnections(
  compilation: Compilation,
  listeners: readonly Listener[],
  sizes: Sizes,
  memory: number | undefined,
): readonly Listener[] {
  const rest = Math.max(0, (memory ?? Number.POSITIVE_INFINITY) - basicMemory(sizes));
  const each = Math.floor((rest * SHARE) / CONNECTION / sizes.workers / listeners.length);
  const auto = Math.min(AUTO.most, Math.max(AUTO.least, each));
  return listeners.map((listener, index) => {
    const { connections } = compilation.read.config.listeners[index]?.limits ?? {};
    if (connections === 'auto') return { ...listener, limits: { ...listener.limits, connections: auto } };
    warnOfMemory(compilation, listener, { index, rest, memory, auto, workers: sizes.workers });
    return listener;
  });
}

/** Bytes without any connection. */
function basicMemory({ workers, capacity, parts }: Sizes): number {
  return PROCESS + parts * PART.process + workers * (WORKER + parts * PART.worker) + capacity * PROOF;
}

interface Fit {
  readonly index: number;
  readonly rest: number;
  readonly memory: number | undefined;
  readonly auto: number;
  readonly workers: number;
}

function warnOfMemory(
  compilation: Compilation,
  { limits }: Listener,
  { index, rest, memory, auto, workers }: Fit,
): void {
  const needed = limits.connections * workers * CONNECTION;
  if (memory === undefined || needed <= rest) return;
  const mib = (bytes: number) => Math.ceil(bytes / MIB);
  compilation.warning(
    ['listeners', index, 'limits', 'connections'],
    `can take ${mib(needed)} MiB with ${workers} workers, and of the ${mib(memory)} MiB that this process may use ${mib(rest)} are left for ` +
      `connections and requests; expected auto, which is ${auto} here, or more memory`,
  );
}
