// The network of one cluster: a router, pods, and addresses by a free index.

import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './shell.ts';

/** Who has which index: folders, because making one is atomic. */
const CLAIMS = '/run/holdfast-cluster';
/** So many clusters at once on one machine. */
const MOST = 40;
/** 10.200.0.0/16 to 10.239.0.0/16; each has pods, a link to this machine, Services and load balancers. */
const FIRST = 200;

/** Why there can be no network here; undefined: there can. */
export async function whyNoNetwork(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `network namespaces need Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    await run('unshare', ['--net', '--mount', '--pid', '--uts', '--fork', 'true']);
    await run('ip', ['netns', 'list']);
    return undefined;
  } catch (error) {
    return `network namespaces cannot be made here: ${String(error)}`;
  }
}

export class Network {
  /** The router's namespace, and the beginning of the pods' names. */
  readonly name: string;
  readonly prefix: string;
  /** This machine, as pods see it. */
  readonly machine: string;
  readonly #claim: string;
  readonly #addresses = new Set<string>();
  #last = 9;

  private constructor(index: number) {
    this.name = `hf${index}`;
    this.prefix = `10.${FIRST + index}`;
    this.machine = `${this.prefix}.64.2`;
    this.#claim = join(CLAIMS, String(index));
  }

  get services(): string {
    return `${this.prefix}.128.0/18`;
  }

  get pods(): string {
    return `${this.prefix}.0.0/18`;
  }

  /** An address of a Service or load balancer. @param block 128: Services; 192: load balancers */
  address(block: 128 | 192, number: number): string {
    return `${this.prefix}.${block + (number >> 8)}.${number & 255}`;
  }

  static async open(): Promise<Network> {
    const network = new Network(claim());
    try {
      await network.#make();
      return network;
    } catch (error) {
      await network.close();
      throw error;
    }
  }

  async #make(): Promise<void> {
    const { name, prefix } = this;
    await sweep(name); // of one that was killed
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'machine', 'netns', name]);
    const there = [
      'link set lo up',
      'link add pods type bridge',
      `addr add ${prefix}.0.1/18 dev pods`,
      'link set pods up',
      `addr add ${prefix}.64.1/30 dev machine`,
      'link set machine up',
      // So that what no rule knows gets as far as the rule that refuses it.
      `route add ${prefix}.128.0/17 dev pods`,
    ];
    const here = [
      `addr add ${this.machine}/30 dev ${name}`,
      `link set ${name} up`,
      `route add ${this.pods} via ${prefix}.64.1`,
      `route add ${prefix}.128.0/17 via ${prefix}.64.1`,
    ];
    await run('ip', ['-n', name, '-batch', '-'], `${there.join('\n')}\n`);
    await run('ip', ['-batch', '-'], `${here.join('\n')}\n`);
    await this.inside(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    // A client on this machine keeps its address; a pod that reaches itself through a Service needs another one.
    const table = `
      table ip holdfast {
        chain services { type nat hook prerouting priority dstnat; }
        chain own { type nat hook postrouting priority srcnat; ip saddr ${this.pods} ct status dnat masquerade; }
        chain closed { type filter hook forward priority filter; ip daddr ${prefix}.128.0/17 counter reject; }
      }`;
    await this.inside(['nft', '-f', '-'], table);
  }

  /** Runs a program in the router. */
  async inside(words: readonly string[], input = ''): Promise<string> {
    return await run('nsenter', [`--net=/run/netns/${this.name}`, '--', ...words], input);
  }

  /** How many packets to Services and load balancers no rule knew, and the router refused. */
  async refused(): Promise<number> {
    const chain = await this.inside(['nft', 'list', 'chain', 'ip', 'holdfast', 'closed']);
    return Number(/counter packets (\d+)/.exec(chain)?.[1]);
  }

  /** Gives a pod a namespace and an address. @param id at most 8 characters */
  async addPod(id: string): Promise<{ readonly file: string; readonly address: string }> {
    const name = `${this.name}-${id}`;
    const address = this.#freeAddress();
    await run('ip', ['netns', 'add', name]);
    const outer = [`link add v${id} type veth peer name eth0 netns ${name}`, `link set v${id} master pods up`];
    const inner = [
      'link set lo up',
      `addr add ${address}/18 dev eth0`,
      'link set eth0 up',
      `route add default via ${this.prefix}.0.1`,
    ];
    await run('ip', ['-n', this.name, '-batch', '-'], `${outer.join('\n')}\n`);
    await run('ip', ['-n', name, '-batch', '-'], `${inner.join('\n')}\n`);
    // As container runtimes have it.
    const open = 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start';
    await run('nsenter', [`--net=/run/netns/${name}`, 'sh', '-c', open]);
    return { file: `/run/netns/${name}`, address };
  }

  async removePod(id: string, address: string): Promise<void> {
    await run('ip', ['netns', 'del', `${this.name}-${id}`]);
    this.#addresses.delete(address);
  }

  /** The next one, so that an address of a pod that went is not at once another's. */
  #freeAddress(): string {
    for (;;) {
      this.#last = this.#last >= 16_000 ? 10 : this.#last + 1;
      const address = `${this.prefix}.${this.#last >> 8}.${this.#last & 255}`;
      if (this.#last % 256 === 0 || this.#last % 256 === 255 || this.#addresses.has(address)) continue;
      this.#addresses.add(address);
      return address;
    }
  }

  /** Takes all of it away. */
  async close(): Promise<void> {
    await sweep(this.name);
    rmSync(this.#claim, { recursive: true, force: true });
  }
}

async function sweep(name: string): Promise<void> {
  const list = (await run('ip', ['netns', 'list'])).split('\n').map((line) => line.split(' ')[0] ?? '');
  const mine = list.filter((one) => one === name || one.startsWith(`${name}-`));
  await Promise.all(mine.map(async (one) => await run('ip', ['netns', 'del', one]).catch(() => '')));
  // The other end went with the router; the kernel is not always done with this one.
  await run('ip', ['link', 'del', name]).catch(() => '');
}

function claim(): number {
  mkdirSync(CLAIMS, { recursive: true });
  for (let index = 0; index < MOST; index += 1) {
    const folder = join(CLAIMS, String(index));
    if (take(folder)) return index;
    if (isHeld(folder)) continue;
    try {
      renameSync(folder, `${folder}.left.${process.pid}`);
    } catch {
      continue; // another one was quicker
    }
    rmSync(`${folder}.left.${process.pid}`, { recursive: true });
    if (take(folder)) return index;
  }
  throw new Error(`${MOST} clusters are up already: ${CLAIMS}`);
}

function take(folder: string): boolean {
  try {
    mkdirSync(folder);
  } catch {
    return false;
  }
  writeFileSync(join(folder, 'owner'), `${process.pid} ${startOf(process.pid)}`);
  return true;
}

/** Is the process that took it still there? One that has just taken it may not have signed yet. */
function isHeld(folder: string): boolean {
  try {
    const [pid = '', start] = readFileSync(join(folder, 'owner'), 'utf8').split(' ');
    return start !== undefined && startOf(Number(pid)) === start;
  } catch {
    try {
      return Date.now() - statSync(folder).mtimeMs < 5000;
    } catch {
      return false;
    }
  }
}

/** When a process was started, in ticks since the machine's start: a number of a process is used again. */
function startOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19];
  } catch {
    return undefined;
  }
}
