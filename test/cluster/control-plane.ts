// etcd, API server, controller manager and scheduler of one cluster, as processes.

import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCa, makeCertificate, type TestCertificate } from '../support/pki.ts';
import { Api } from './api.ts';
import type { Network } from './network.ts';

/** Paths of what is started. */
export interface Binaries {
  readonly etcd: string;
  readonly 'kube-apiserver': string;
  readonly 'kube-controller-manager': string;
  readonly 'kube-scheduler': string;
}

type Name = keyof Binaries;

/** Seconds that the API server may take to be ready, on a machine that has other things to do. */
const PATIENCE = 180_000;

export class ControlPlane {
  readonly api: Api;
  readonly kubeconfig: string;
  readonly identity: TestCertificate;
  readonly #binaries: Binaries;
  readonly #folder: string;
  readonly #network: Network;
  readonly #processes = new Map<Name, ChildProcess>();

  private constructor(binaries: Binaries, folder: string, network: Network, identity: TestCertificate, api: Api) {
    this.#binaries = binaries;
    this.#folder = folder;
    this.#network = network;
    this.identity = identity;
    this.api = api;
    this.kubeconfig = join(folder, 'kubeconfig');
  }

  /** Starts all, and resolves when the API server is ready. */
  static async start(binaries: Binaries, folder: string, network: Network): Promise<ControlPlane> {
    const ca = await makeCa({ subject: 'CN=cluster' });
    const names = ['kubernetes.default.svc', 'kubernetes.default', 'localhost'];
    const addresses = [network.machine, network.address(128, 1)];
    const identity = await makeCertificate({ ca, names: [...names, ...addresses], subject: 'CN=kube-apiserver' });
    const token = randomBytes(24).toString('hex');
    const origin = `https://${network.machine}:6443`;
    const account = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const files: Readonly<Record<string, string>> = {
      'ca.pem': ca.cert,
      'api.pem': identity.chain,
      'api.key': identity.key,
      'accounts.key': account.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      'tokens.csv': `${token},admin,admin,system:masters\n`,
      kubeconfig: kubeconfig(origin, ca.cert, token),
    };
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
    const plane = new ControlPlane(binaries, folder, network, identity, new Api(origin, ca.cert, token));
    try {
      plane.#start('etcd');
      await plane.startApiServer();
      plane.#start('kube-controller-manager');
      plane.#start('kube-scheduler');
      return plane;
    } catch (error) {
      await plane.close();
      throw error;
    }
  }

  #words(name: Name): string[] {
    const { machine, services, pods } = this.#network;
    const file = (one: string) => join(this.#folder, one);
    const [client, peer] = [`http://${machine}:2379`, `http://${machine}:2380`];
    const local = [`--kubeconfig=${this.kubeconfig}`, '--leader-elect=false', `--bind-address=${machine}`];
    const words: Readonly<Record<Name, string[]>> = {
      etcd: [
        '--data-dir',
        file('etcd'),
        '--unsafe-no-fsync',
        '--listen-client-urls',
        client,
        '--advertise-client-urls',
        client,
        '--listen-peer-urls',
        peer,
        '--initial-advertise-peer-urls',
        peer,
        '--initial-cluster',
        `default=${peer}`,
        '--quota-backend-bytes',
        '4294967296',
      ],
      'kube-apiserver': [
        `--etcd-servers=${client}`,
        '--secure-port=6443',
        `--bind-address=${machine}`,
        `--advertise-address=${machine}`,
        `--tls-cert-file=${file('api.pem')}`,
        `--tls-private-key-file=${file('api.key')}`,
        `--client-ca-file=${file('ca.pem')}`,
        `--token-auth-file=${file('tokens.csv')}`,
        '--authorization-mode=RBAC',
        '--allow-privileged=true',
        '--service-account-issuer=https://kubernetes.default.svc',
        `--service-cluster-ip-range=${services}`,
        `--service-account-key-file=${file('accounts.key')}`,
        `--service-account-signing-key-file=${file('accounts.key')}`,
        '--kubelet-preferred-address-types=InternalIP',
        '--shutdown-delay-duration=0s',
      ],
      'kube-controller-manager': [
        ...local,
        `--service-account-private-key-file=${file('accounts.key')}`,
        `--root-ca-file=${file('ca.pem')}`,
        `--cluster-cidr=${pods}`,
        '--allocate-node-cidrs=false',
        '--controllers=*,-node-ipam-controller',
        '--use-service-account-credentials=true',
        '--concurrent-deployment-syncs=5',
      ],
      'kube-scheduler': local,
    };
    return words[name];
  }

  #start(name: Name): ChildProcess {
    const out = openSync(join(this.#folder, `${name}.log`), 'a');
    // Whatever ends this process ends them.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', this.#binaries[name], ...this.#words(name)], {
      stdio: ['ignore', out, out],
      detached: true,
    });
    closeSync(out);
    this.#processes.set(name, child);
    return child;
  }

  /** Ends one, as a failure would. */
  async kill(name: Name): Promise<void> {
    const child = this.#processes.get(name);
    this.#processes.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Starts it, again after `kill`, and resolves when it is ready. */
  async startApiServer(): Promise<void> {
    const child = this.#start('kube-apiserver');
    const until = Date.now() + PATIENCE;
    while (!(await this.#isReady())) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > until) throw new Error(`the API server is not ready:\n${this.log('kube-apiserver')}`);
      await pause(100);
    }
  }

  async #isReady(): Promise<boolean> {
    return await this.api.get<string>('/readyz').then(
      () => true,
      () => false,
    );
  }

  /** The end of what one has written. */
  log(name: Name): string {
    const text = readFileSync(join(this.#folder, `${name}.log`), 'utf8');
    return text.split('\n').slice(-20).join('\n');
  }

  async close(): Promise<void> {
    this.api.close();
    const names: readonly Name[] = ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd'];
    await Promise.all(names.map(async (name) => await this.kill(name)));
  }
}

function kubeconfig(server: string, ca: string, token: string): string {
  return `${JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
  })}\n`;
}
