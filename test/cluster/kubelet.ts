// A kubelet whose pods are processes: the node, its pods, and their logs for kubectl.

import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { ApiError, type Change } from './api.ts';
import type { Node } from './node.ts';
import type { Metadata, Pod } from './objects.ts';
import { PodAtWork } from './pod.ts';
import { seconds } from './pod-container.ts';

const PORT = 10_250;
/** As kubelet: a node that is silent for 40 s counts as away. */
const HEARTBEAT = 10_000;

/** Certificate and key that the API server shows as well. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export class Kubelet {
  readonly #node: Node;
  readonly #pods = new Map<string, PodAtWork>();
  readonly #server: Server;
  readonly #stop = new AbortController();
  #beat: NodeJS.Timeout | undefined;

  constructor(node: Node, identity: Identity) {
    this.#node = node;
    this.#server = createServer(identity, (request, response) => this.#answer(request, response));
  }

  async start(): Promise<void> {
    const { api, folder, name, network } = this.#node;
    mkdirSync(join(folder, 'pods'), { recursive: true });
    mkdirSync(join(folder, 'resolv'), { recursive: true });
    this.#server.listen(PORT, network.machine);
    const labels = {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
      'topology.kubernetes.io/zone': 'here',
    };
    const body = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} };
    await api.post('/api/v1/nodes', body).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.code !== 409) throw error;
    });
    await this.#tell();
    this.#beat = setInterval(() => void this.#tell().catch(() => {}), HEARTBEAT);
    const { signal } = this.#stop;
    void api.follow<{ metadata: Metadata }>('/api/v1/namespaces', signal, (change) => this.#resolve(change));
    const path = `/api/v1/pods?fieldSelector=spec.nodeName%3D${name}`;
    void api.follow<Pod>(path, signal, (change) => this.#take(change));
  }

  /** Names are looked up in the pod's namespace first. */
  #resolve(change: Change<{ readonly metadata: Metadata }>): void {
    const objects = change.type === 'LIST' ? change.objects : [change.object];
    for (const { metadata } of objects) {
      const domains = `${metadata.name}.svc.cluster.local svc.cluster.local cluster.local`;
      const text = `nameserver ${this.#node.network.machine}\nsearch ${domains}\noptions ndots:5\n`;
      writeFileSync(join(this.#node.folder, 'resolv', metadata.name), text);
    }
  }

  async #tell(): Promise<void> {
    const { api, name, network } = this.#node;
    const now = seconds(new Date());
    const capacity = { cpu: '64', memory: '64Gi', pods: '500', 'ephemeral-storage': '100Gi' };
    const ready = { type: 'Ready', status: 'True', reason: 'Here', message: 'pods are processes' };
    await api.patch(`/api/v1/nodes/${name}/status`, {
      status: {
        capacity,
        allocatable: capacity,
        daemonEndpoints: { kubeletEndpoint: { Port: PORT } },
        addresses: [
          {
            type: 'InternalIP',
            address: network.machine,
          },
        ],
        conditions: [
          {
            ...ready,
            lastHeartbeatTime: now,
            lastTransitionTime: now,
          },
        ],
      },
    });
  }

  #take(change: Change<Pod>): void {
    if (change.type === 'LIST') {
      for (const pod of change.objects) this.#see(pod);
      const there = new Set(change.objects.map(({ metadata }) => metadata.uid));
      for (const [uid, one] of this.#pods) if (!there.has(uid)) this.#end(uid, one);
      return;
    }
    const { uid } = change.object.metadata;
    const one = this.#pods.get(uid);
    if (change.type !== 'DELETED') this.#see(change.object);
    else if (one !== undefined) this.#end(uid, one);
  }

  #see(pod: Pod): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const known = this.#pods.get(uid);
    if (known !== undefined) return known.update(pod);
    const done = ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '');
    if (done && deletionTimestamp === undefined) return;
    const one = new PodAtWork(this.#node, pod);
    this.#pods.set(uid, one);
    if (deletionTimestamp !== undefined) one.end();
  }

  #end(uid: string, one: PodAtWork): void {
    one.end();
    this.#pods.delete(uid);
  }

  /** `kubectl logs` */
  #answer({ url = '' }: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(url, 'https://kubelet');
    const [, what, namespace, name, container = ''] = pathname.split('/');
    const pod = [...this.#pods.values()].find(({ key }) => key === `${namespace}/${name}`);
    const file = pod?.logOf(container);
    if (what !== 'containerLogs' || file === undefined || !existsSync(file)) {
      response.writeHead(404).end('this kubelet knows logs of pods alone: no exec, no port-forward\n');
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/plain' });
    const lines = searchParams.get('tailLines');
    if (lines === null) return void createReadStream(file).pipe(response);
    const text = readFileSync(file, 'utf8').trimEnd().split('\n');
    response.end(`${text.slice(-Number(lines)).join('\n')}\n`);
  }

  /** Ends all pods at once; their namespaces go with the network. */
  close(): void {
    this.#stop.abort();
    clearInterval(this.#beat);
    this.#server.close();
    this.#server.closeAllConnections();
    for (const one of this.#pods.values()) one.kill();
  }
}
