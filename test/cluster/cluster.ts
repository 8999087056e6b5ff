// A whole cluster with a real control plane: started in seconds, gone without a trace.

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Api } from './api.ts';
import { ControlPlane } from './control-plane.ts';
import { Dns } from './dns.ts';
import { compileHoldfast, type Image, type Images, standardImages } from './images.ts';
import { Kubelet } from './kubelet.ts';
import { Margins } from './margins.ts';
import { Network, whyNoNetwork } from './network.ts';
import { build, buildControlPlane, findBuilt, gatewayApi, isCached, type Say, whyNoBuild } from './programs.ts';
import { run, warningsOf } from './shell.ts';
import { Services } from './services.ts';

export interface ClusterWishes {
  readonly say?: Say;
  /** The Gateway API's CRDs, and the echo server of its suite. */
  readonly gatewayApi?: 'standard' | 'experimental';
  /** More images, by the beginning of their names. */
  readonly images?: Readonly<Record<string, Image>>;
  /** Milliseconds between two looks of kubelet at what volumes are made of. */
  readonly refresh?: number;
}

/** Why there can be no cluster here; undefined: there can. @param cached none is built for it */
export async function whyNoCluster(cached: boolean): Promise<string | undefined> {
  const network = await whyNoNetwork();
  if (network !== undefined || isCached()) return network;
  return cached ? 'no control plane is built yet: npm run test:cluster builds one' : whyNoBuild();
}

export class Cluster {
  readonly folder: string;
  readonly network: Network;
  readonly dns: Dns;
  readonly plane: ControlPlane;
  readonly margins: Margins;
  readonly #services: Services;
  readonly #kubelet: Kubelet;
  readonly #kubectl: string;

  private constructor(folder: string, network: Network, plane: ControlPlane, kubectl: string, parts: Parts) {
    this.folder = folder;
    this.network = network;
    this.plane = plane;
    this.#kubectl = kubectl;
    this.dns = parts.dns;
    this.margins = parts.margins;
    this.#services = parts.services;
    this.#kubelet = parts.kubelet;
  }

  get api(): Api {
    return this.plane.api;
  }

  get kubeconfig(): string {
    return this.plane.kubeconfig;
  }

  /** Builds what is missing, and starts. Whatever ends this process ends the cluster. */
  static async start(wishes: ClusterWishes = {}): Promise<Cluster> {
    const say = wishes.say ?? ((text: string) => process.stderr.write(`holdfast: ${text}\n`));
    const binaries = await buildControlPlane(say);
    const echo = wishes.gatewayApi ? await build('echo-basic', say) : findBuilt('echo-basic');
    const network = await Network.open();
    const folder = join(tmpdir(), `holdfast-${network.name}`);
    const undo: (() => unknown)[] = [() => network.close(), () => remove(folder)];
    try {
      remove(folder);
      mkdirSync(folder, { mode: 0o700 });
      const compiled = compileHoldfast(join(folder, 'holdfast'));
      const plane = await ControlPlane.start(binaries, folder, network);
      undo.unshift(() => plane.close());
      await compiled;
      const standard = standardImages(join(folder, 'holdfast'), echo);
      const parts = await startParts(plane, network, folder, wishes, standard);
      undo.unshift(() => closeParts(parts));
      const cluster = new Cluster(folder, network, plane, binaries.kubectl, parts);
      if (wishes.gatewayApi) await cluster.#install(await gatewayApi(wishes.gatewayApi));
      cluster.#endWithSignals();
      return cluster;
    } catch (error) {
      for (const step of undo) await step();
      throw error;
    }
  }

  async #install(folder: string): Promise<void> {
    const files = readdirSync(folder).filter((name) => name !== 'kustomization.yaml');
    const named = files.flatMap((name) => ['-f', join(folder, name)]);
    await this.kubectl(['apply', '--server-side', ...named]);
    await this.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=180s']);
  }

  /** @returns standard output @throws with standard error */
  async kubectl(args: readonly string[], input = ''): Promise<string> {
    return await run(this.#kubectl, ['--kubeconfig', this.kubeconfig, ...args], input);
  }

  /** The same for what is more than its output: what was warned of. */
  async kubectlWarnings(args: readonly string[], input: string): Promise<string> {
    return await warningsOf(this.#kubectl, ['--kubeconfig', this.kubeconfig, ...args], input);
  }

  #endWithSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        void this.close().finally(() => process.kill(process.pid, signal));
      });
    }
  }

  #closing: Promise<void> | undefined;

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    await closeParts({ dns: this.dns, services: this.#services, kubelet: this.#kubelet });
    await this.plane.close();
    await this.network.close();
    remove(this.folder);
  }
}

interface Parts {
  readonly dns: Dns;
  readonly margins: Margins;
  readonly services: Services;
  readonly kubelet: Kubelet;
}

async function startParts(
  plane: ControlPlane,
  network: Network,
  folder: string,
  wishes: ClusterWishes,
  standard: Images,
): Promise<Parts> {
  const { api, identity } = plane;
  const margins = new Margins();
  const services = new Services(api, network, margins);
  const dns = new Dns((name) => services.lookUp(name));
  const images = new Map([...standard, ...Object.entries(wishes.images ?? {})]);
  const node = { name: network.name, api, images, network, margins, folder, refresh: wishes.refresh ?? 1000 };
  const kubelet = new Kubelet(node, { cert: identity.chain, key: identity.key });
  await dns.start(network.machine);
  services.start();
  await kubelet.start();
  return { dns, margins, services, kubelet };
}

async function closeParts({ dns, services, kubelet }: Omit<Parts, 'margins'>): Promise<void> {
  kubelet.close();
  await services.close();
  dns.close();
}

const remove = (folder: string) => rmSync(folder, { recursive: true, force: true });
