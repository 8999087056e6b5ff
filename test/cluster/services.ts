// Services and load balancers as rules of nftables, in step with the API server.

import type { Api, Change } from './api.ts';
import type { Margins, Target } from './margins.ts';
import type { Network } from './network.ts';
import type { EndpointSlice, Service, ServicePort } from './objects.ts';

/** Changes that come within so many milliseconds are written at once. */
const TOGETHER = 5;

export class Services {
  readonly #api: Api;
  readonly #network: Network;
  readonly #margins: Margins;
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, EndpointSlice>();
  /** Addresses of load balancers, by the Service's uid. */
  readonly #balancers = new Map<string, string>();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  #written = '';
  #next = 1;

  constructor(api: Api, network: Network, margins: Margins) {
    this.#api = api;
    this.#network = network;
    this.#margins = margins;
  }

  start(): void {
    const { signal } = this.#stop;
    void this.#api.follow<Service>('/api/v1/services', signal, (change) => this.#take(this.#services, change));
    const slices = '/apis/discovery.k8s.io/v1/endpointslices';
    void this.#api.follow<EndpointSlice>(slices, signal, (change) => this.#take(this.#slices, change));
  }

  #take<T extends Service | EndpointSlice>(all: Map<string, T>, change: Change<T>): void {
    const keyOf = ({ metadata }: T) => `${metadata.namespace}/${metadata.name}`;
    if (change.type === 'LIST') {
      all.clear();
      for (const object of change.objects) all.set(keyOf(object), object);
    } else if (change.type === 'DELETED') all.delete(keyOf(change.object));
    else all.set(keyOf(change.object), change.object);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#writing.then(async () => await this.#write());
    }, TOGETHER);
  }

  async #write(): Promise<void> {
    const led = new Map<string, readonly Target[]>();
    const lines = [...this.#services].flatMap(([key, service]) => {
      const { spec } = service;
      if (spec.clusterIP === undefined || spec.clusterIP === '' || spec.clusterIP === 'None') return [];
      const balancer = spec.type === 'LoadBalancer' ? this.#balancer(service) : undefined;
      return (spec.ports ?? []).flatMap((port) => {
        const targets = this.targets(key, port.name);
        led.set(`${key} ${port.port}`, targets);
        return this.#rules(port, targets, [spec.clusterIP!, balancer]);
      });
    });
    const rules = lines.map((line) => `add rule ip holdfast services ${line}\n`).join('');
    if (rules === this.#written) return;
    await this.#network.inside(['nft', '-f', '-'], `flush chain ip holdfast services\n${rules}`);
    this.#written = rules;
    this.#margins.lead(led);
  }

  /**
   * In turn, and without a map: for a packet on its way rules are exchanged as a whole and elements of a map are not, so that under the rules of
   * before it would find an empty map, and be refused.
   */
  #rules(port: ServicePort, targets: readonly Target[], addresses: readonly (string | undefined)[]): string[] {
    if (targets.length === 0) return [];
    const protocol = (port.protocol ?? 'TCP').toLowerCase();
    const turns = [
      `meta mark set numgen inc mod ${targets.length}`,
      ...targets.map(({ address, port: at }, turn) => `meta mark ${turn} dnat to ${address}:${at}`),
    ];
    const places = addresses.filter((one) => one !== undefined).map((one) => [one, port.port] as const);
    if (port.nodePort !== undefined) places.push([`${this.#network.prefix}.64.1`, port.nodePort]);
    return places.flatMap(([address, at]) =>
      turns.map((turn) => `ip daddr ${address} ${protocol} dport ${at} ${turn}`),
    );
  }

  /** The one that a Service has, or a new one, which is written into its status. */
  #balancer(service: Service): string {
    const { uid, namespace, name } = service.metadata;
    let address = this.#balancers.get(uid);
    if (address === undefined) {
      address = this.#network.address(192, this.#next);
      this.#next += 1;
      this.#balancers.set(uid, address);
    }
    if (service.status?.loadBalancer?.ingress?.[0]?.ip !== address) {
      const status = { loadBalancer: { ingress: [{ ip: address, ipMode: 'VIP' }] } };
      void this.#api.patch(`/api/v1/namespaces/${namespace}/services/${name}/status`, { status }).catch(() => {});
    }
    return address;
  }

  /** Ready pods of a Service; where there is none, those that end and still serve. @param key namespace/name */
  targets(key: string, portName: string | undefined): readonly Target[] {
    const found: (Target & { readonly ready: boolean })[] = [];
    const always = this.#services.get(key)?.spec.publishNotReadyAddresses;
    for (const { metadata, ports, endpoints, addressType } of this.#slices.values()) {
      if (`${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name']}` !== key) continue;
      const port = ports?.find(({ name }) => (name ?? '') === (portName ?? ''))?.port;
      if (port === undefined || addressType !== 'IPv4') continue;
      for (const { addresses, hostname, conditions = {} } of endpoints ?? []) {
        const ready = always === true || conditions.ready !== false;
        if (!ready && conditions.serving !== true) continue;
        for (const address of addresses) found.push({ address, port, hostname, ready });
      }
    }
    const ready = found.filter((one) => one.ready);
    return ready.length > 0 ? ready : found;
  }

  /** Addresses of a name; undefined: there is no such name. */
  lookUp(name: string): readonly string[] | undefined {
    const [, host, service, namespace] = /^(?:([^.]+)\.)?([^.]+)\.([^.]+)\.svc\.cluster\.local$/.exec(name) ?? [];
    const found = this.#services.get(`${namespace}/${service}`);
    if (found === undefined) return undefined;
    if (found.spec.clusterIP !== 'None') return host === undefined ? [found.spec.clusterIP ?? ''] : undefined;
    const all = (found.spec.ports ?? [{ port: 0 }]).flatMap((port) =>
      this.targets(`${namespace}/${service}`, 'name' in port ? port.name : undefined),
    );
    const fitting = all.filter(({ hostname }) => host === undefined || host === hostname);
    return [...new Set(fitting.map(({ address }) => address))];
  }

  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#writing;
  }
}
