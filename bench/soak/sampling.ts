// One look at the gateway: its memory and files as Linux counts them, and its own metrics.

import { readdirSync, readFileSync } from 'node:fs';
import type { SoakedGateway } from './gateway.ts';

const KIB = 1024;

export interface Sample {
  /** Seconds since the load began. */
  readonly at: number;
  /** Resident bytes of the process. */
  readonly resident: number;
  /** Bytes in use of the heaps of all workers. */
  readonly heap: number;
  /** Open connections of clients. */
  readonly connections: number;
  /** Of the busiest worker, 0 to 1. */
  readonly utilization: number;
  readonly descriptors: number;
}

export async function takeSample(gateway: SoakedGateway, at: number): Promise<Sample> {
  const resident = residentOf(gateway.pid);
  const { body } = await gateway.page('/metrics');
  const utilizations = seriesOf(body, 'holdfast_worker_utilization_ratio');
  return {
    at,
    resident,
    heap: sum(seriesOf(body, 'holdfast_worker_heap_bytes', 'kind="used"')),
    connections: sum(seriesOf(body, 'holdfast_connections')),
    utilization: Math.max(0, ...utilizations),
    descriptors: countDescriptors(gateway.pid),
  };
}

function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * KIB;
}

function countDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Values of all series of a metric in the text format of Prometheus. @param label as it is spelled there; empty: any */
export function seriesOf(text: string, metric: string, label = ''): number[] {
  const series = text.matchAll(new RegExp(`^${metric}(?<labels>\\{.*\\})? (?<value>\\S+)$`, 'gm'));
  return [...series]
    .filter(({ groups }) => groups?.['labels']?.includes(label) ?? label === '')
    .map(({ groups }) => Number(groups?.['value']));
}

export const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
