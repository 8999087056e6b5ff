// A pod at work: volumes, network, containers in their order, status, and its end.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from './api.ts';
import type { Node } from './node.ts';
import type { Container, Pod } from './objects.ts';
import { logFile, PodContainer, seconds } from './pod-container.ts';
import { settle } from './settle.ts';
import { Volumes } from './volumes.ts';

export class PodAtWork {
  readonly key: string;
  readonly folder: string;
  readonly #node: Node;
  #pod: Pod;
  readonly #volumes: Volumes;
  readonly #containers = new Map<string, PodContainer>();
  readonly #id: string;
  #network: { readonly file: string; readonly address: string } | undefined;
  #phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' = 'Pending';
  readonly #since = new Date();
  #ready = false;
  #readySince = new Date();
  #initialized = false;
  #ending: Promise<void> | undefined;
  #over = false;
  #reporting: Promise<void> = Promise.resolve();
  #reported = '';

  constructor(node: Node, pod: Pod) {
    const { namespace, name, uid } = pod.metadata;
    this.#node = node;
    this.#pod = pod;
    this.#id = uid.slice(0, 8);
    this.key = `${namespace}/${name}`;
    this.folder = join(node.folder, 'pods', uid);
    mkdirSync(join(this.folder, 'volumes'), { recursive: true });
    this.#volumes = new Volumes(node.api, pod, join(this.folder, 'volumes'), (path) => this.#field(path));
    void this.#run().catch((error: unknown) => this.event('Warning', 'FailedCreatePodSandBox', String(error)));
  }

  get address(): string {
    return this.#network?.address ?? '';
  }

  /** A newer state of the object. */
  update(pod: Pod): void {
    this.#pod = { ...pod, spec: this.#pod.spec };
    if (pod.metadata.deletionTimestamp !== undefined) this.end();
  }

  #field(path: string): string {
    const { metadata, spec } = this.#pod;
    const key = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
    if (key) return (key[1] === 'labels' ? metadata.labels : metadata.annotations)?.[key[2] ?? ''] ?? '';
    const fields: Readonly<Record<string, string>> = {
      'metadata.name': metadata.name,
      'metadata.labels': linesOf(metadata.labels),
      'metadata.annotations': linesOf(metadata.annotations),
      'metadata.namespace': metadata.namespace,
      'metadata.uid': metadata.uid,
      'spec.nodeName': this.#node.name,
      'spec.serviceAccountName': spec.serviceAccountName ?? 'default',
      'status.podIP': this.address,
      'status.podIPs': this.address,
      'status.hostIP': this.#node.network.machine,
    };
    const value = fields[path];
    if (value === undefined) throw new Error(`the harness does not know the field ${path}`);
    return value;
  }

  async #run(): Promise<void> {
    this.report();
    if (!(await this.#mounted())) return;
    this.#network = await this.#node.network.addPod(this.#id);
    void this.#refresh();
    this.report();
    for (const container of this.#pod.spec.initContainers ?? []) {
      if (this.#ending !== undefined) return;
      const one = this.#start(container);
      if (container.restartPolicy === 'Always') await this.#untilStarted(one);
      else if ((await one.done) !== 0) {
        this.#phase = 'Failed';
        return this.report();
      }
    }
    if (this.#ending !== undefined) return;
    this.#initialized = true;
    this.#phase = 'Running';
    const all = this.#pod.spec.containers.map((container) => this.#start(container));
    this.report();
    const codes = await Promise.all(all.map(async ({ done }) => await done));
    if (this.#ending !== undefined) return;
    // A Job's gateway next to it ends with it.
    await this.#stop([], Date.now() + this.#grace());
    this.#phase = codes.every((code) => code === 0) ? 'Succeeded' : 'Failed';
    this.report();
  }

  async #untilStarted(one: PodContainer): Promise<void> {
    while (this.#ending === undefined && !(one.running && one.started)) await pause(20);
  }

  /** @returns false: the pod was deleted before all was there */
  async #mounted(): Promise<boolean> {
    for (let said = ''; this.#ending === undefined; await pause(300)) {
      try {
        await this.#volumes.write();
        return true;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (message !== said) this.event('Warning', 'FailedMount', message);
        said = message;
      }
    }
    return false;
  }

  async #refresh(): Promise<void> {
    while (!this.#over) {
      await pause(this.#node.refresh, undefined, { ref: false });
      // What is gone from the API server stays in the pod, as with kubelet.
      if (!this.#over) await this.#volumes.write().catch(() => {});
    }
  }

  #start(container: Container): PodContainer {
    const one = new PodContainer(container, {
      address: this.address,
      settle: async (what) =>
        await settle({
          node: this.#node,
          pod: this.#pod,
          container: what,
          folder: this.folder,
          network: this.#network?.file ?? '',
          volumes: this.#volumes,
          field: (path) => this.#field(path),
        }),
      restarts: (what, code) => this.#restarts(what, code),
      report: () => this.report(),
      event: (type, reason, message) => this.event(type, reason, message),
    });
    this.#containers.set(container.name, one);
    void one.run();
    return one;
  }

  #restarts(container: Container, code: number): boolean {
    if (this.#ending !== undefined || this.#over) return false;
    if (container.restartPolicy === 'Always') return this.#phase !== 'Succeeded' && this.#phase !== 'Failed';
    const { restartPolicy } = this.#pod.spec;
    if ((this.#pod.spec.initContainers ?? []).includes(container)) return code !== 0 && restartPolicy !== 'Never';
    return restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && code !== 0);
  }

  #grace(): number {
    const { deletionGracePeriodSeconds } = this.#pod.metadata;
    return (deletionGracePeriodSeconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  /** Ends it as the API server wants, and then takes the object away. */
  end(): void {
    this.#ending ??= this.#finish();
  }

  async #finish(): Promise<void> {
    this.#node.margins.end(this.address);
    this.report();
    const main = this.#pod.spec.containers.map(({ name }) => this.#containers.get(name)).filter((one) => !!one);
    await this.#stop(main, Date.now() + this.#grace());
    await this.#gone();
    const { namespace, name, uid } = this.#pod.metadata;
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    await this.#node.api.remove(`/api/v1/namespaces/${namespace}/pods/${name}`, options).catch(isAway);
  }

  async #gone(): Promise<void> {
    this.#over = true;
    await this.#reporting;
    if (this.#network === undefined) return;
    await this.#node.network.removePod(this.#id, this.address).catch(() => {});
    this.#network = undefined;
  }

  /** preStop of all at once; then the application ends, and then the sidecars, the last of them first. */
  async #stop(main: readonly PodContainer[], until: number): Promise<void> {
    const now = Promise.resolve();
    let turn: Promise<unknown> = Promise.all(main.map(async (one) => await one.stop(until, now)));
    const all = [turn];
    const sidecars = (this.#pod.spec.initContainers ?? []).toReversed();
    for (const { name } of sidecars) {
      const one = this.#containers.get(name);
      if (one === undefined) continue;
      turn = one.stop(until, turn);
      all.push(turn);
    }
    await Promise.all(all);
  }

  /** At once, when the whole harness ends. */
  kill(): void {
    this.#over = true;
    this.#ending ??= Promise.resolve();
    for (const one of this.#containers.values()) one.kill();
  }

  event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    const { namespace, name, uid } = this.#pod.metadata;
    const now = seconds(new Date());
    const body = {
      metadata: {
        generateName: `${name}.`,
        namespace,
      },
      involvedObject: {
        apiVersion: 'v1',
        kind: 'Pod',
        name,
        namespace,
        uid,
      },
      type,
      reason,
      message,
      source: {
        component: 'kubelet',
        host: this.#node.name,
      },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    void this.#node.api.post(`/api/v1/namespaces/${namespace}/events`, body).catch(() => {});
  }

  report(): void {
    this.#reporting = this.#reporting.then(async () => {
      const status = this.#status();
      const text = JSON.stringify(status);
      if (text === this.#reported) return;
      this.#reported = text;
      const { namespace, name, uid } = this.#pod.metadata;
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
      await this.#node.api.patch(path, { metadata: { uid }, status }).catch(isAway);
    });
  }

  #status(): object {
    const { containers, initContainers = [] } = this.#pod.spec;
    const running = containers.every(({ name }) => this.#containers.get(name)?.ready);
    const aside = initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always');
    const ready = this.#phase === 'Running' && running && aside.every(({ name }) => this.#containers.get(name)?.ready);
    if (ready !== this.#ready) [this.#ready, this.#readySince] = [ready, new Date()];
    const condition = (type: string, on: boolean) => ({
      type,
      status: on ? 'True' : 'False',
      lastTransitionTime: seconds(this.#readySince),
    });
    const { machine } = this.#node.network;
    const addresses = this.address === '' ? {} : { podIP: this.address, podIPs: [{ ip: this.address }] };
    return {
      phase: this.#phase,
      startTime: seconds(this.#since),
      hostIP: machine,
      hostIPs: [{ ip: machine }],
      ...addresses,
      conditions: [
        condition('PodScheduled', true),
        condition('Initialized', this.#initialized),
        condition('ContainersReady', ready),
        condition('Ready', ready),
      ],
      containerStatuses: containers.map((one) => this.#statusOf(one)),
      ...(initContainers.length > 0 && { initContainerStatuses: initContainers.map((one) => this.#statusOf(one)) }),
    };
  }

  #statusOf({ name, image }: Container): object {
    const waiting = { state: { waiting: { reason: 'PodInitializing' } }, ready: false, started: false };
    return this.#containers.get(name)?.status() ?? { name, image, imageID: '', restartCount: 0, ...waiting };
  }

  /** Path of what a container has written. */
  logOf(container: string): string {
    return logFile(this.folder, container);
  }
}

/** As in a file of the downward API. */
const linesOf = (map: Readonly<Record<string, string>> = {}) =>
  Object.entries(map)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');

/** The object may be gone, or another one by now. */
function isAway(error: unknown): void {
  if (error instanceof ApiError && [404, 409].includes(error.code)) return;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return; // the API server is away
  throw error;
}
