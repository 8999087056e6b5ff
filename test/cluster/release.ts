// Helm at work on a cluster: one release of the chart.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';
import type { Ran } from '../helm/helm.ts';
import { findTool } from '../helm/tools.ts';
import type { Cluster } from './cluster.ts';
import type { Pod } from './objects.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-release-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

export class Release {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly #helm: string;
  readonly #chart: string;

  /** @param helm which Helm */
  constructor(cluster: Cluster, namespace: string, chart: string, helm: 'helm' | 'helm4' = 'helm') {
    const found = findTool(helm);
    if ('skip' in found) throw new Error(found.skip);
    this.cluster = cluster;
    this.namespace = namespace;
    this.#helm = found.file;
    this.#chart = chart;
  }

  /** Installs it, or upgrades it, and waits until all is ready. @throws Helm's words */
  async put(values: object, ...args: readonly string[]): Promise<void> {
    const { status, stderr } = await this.try(values, ...args);
    if (status !== 0) throw new Error(stderr);
  }

  /** The same, without a judgement. */
  async try(values: object, ...args: readonly string[]): Promise<Ran> {
    const file = join(folder, `${(files += 1)}.json`);
    writeFileSync(file, JSON.stringify(values));
    return await this.helm('upgrade', '--install', 'gw', this.#chart, '-f', file, '--wait', '--timeout=180s', ...args);
  }

  async helm(...args: readonly string[]): Promise<Ran> {
    const { kubeconfig } = this.cluster;
    // Nothing of the machine's own Helm.
    const env = { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: kubeconfig };
    const child = spawn(this.#helm, ['--namespace', this.namespace, ...args], { env });
    const said = Promise.all([text(child.stdout), text(child.stderr)]);
    const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
    const [stdout, stderr] = await said;
    return { status, stdout, stderr };
  }

  async kubectl(...args: readonly string[]): Promise<string> {
    return await this.cluster.kubectl(['--namespace', this.namespace, ...args]);
  }

  /** Names and uids of pods by a label, without those that are told to end. */
  async pods(selector: string): Promise<readonly string[]> {
    const path = `/api/v1/namespaces/${this.namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
    const { items } = await this.cluster.api.get<{ readonly items: readonly Pod[] }>(path);
    const staying = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    return staying.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted();
  }
}
