// Programs of a control plane and of other gateways, built once from Go modules.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { findProgram } from '../support/programs.ts';
import type { Binaries } from './control-plane.ts';

/** One for all checkouts of this user, next to Go's own: a control plane is 370 MB and 22 minutes of a processor. */
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'holdfast');
const MODULES = join(import.meta.dirname, 'modules');
const VERSION = '1.37.2';
const GATEWAY_API = 'v1.6.3';
/** Newest that Go 1.26 builds. */
const ENVOY_GATEWAY = 'v1.9.1';
/** Istio tags no module versions: a state of the branch for 1.31. */
const ISTIO = 'v0.0.0-20260827124520-eed52ebb66ad';

/** Tells people what is going on. */
export type Say = (text: string) => void;

/** What is built: module, package, and what to expect the first time. */
interface Built {
  readonly module: 'control-plane' | 'conformance' | 'envoy-gateway' | 'istio';
  readonly package: string;
  readonly takes: string;
  readonly test?: boolean;
  readonly flags?: string;
}

const kubernetes = (name: string, takes: string): Built => ({
  module: 'control-plane',
  package: `k8s.io/kubernetes/cmd/${name}`,
  takes,
  flags: `-X k8s.io/component-base/version.gitVersion=v${VERSION}`,
});

const BUILT = {
  'kube-apiserver': kubernetes('kube-apiserver', 'about 12 minutes on two idle cores'),
  'kube-controller-manager': kubernetes('kube-controller-manager', 'about 4 minutes'),
  'kube-scheduler': kubernetes('kube-scheduler', 'about a minute'),
  kubectl: kubernetes('kubectl', 'about two minutes'),
  'echo-basic': {
    module: 'conformance',
    package: 'sigs.k8s.io/gateway-api/conformance/echo-basic',
    takes: 'about a minute',
  },
  'conformance.test': { module: 'conformance', package: '.', takes: 'about 5 minutes', test: true },
  'envoy-gateway': {
    module: 'envoy-gateway',
    package: 'github.com/envoyproxy/gateway/cmd/envoy-gateway',
    takes: 'about 10 minutes',
  },
  'pilot-discovery': {
    module: 'istio',
    package: 'istio.io/istio/pilot/cmd/pilot-discovery',
    takes: 'about 10 minutes',
  },
  'pilot-agent': { module: 'istio', package: 'istio.io/istio/pilot/cmd/pilot-agent', takes: 'about a minute' },
} as const satisfies Record<string, Built>;

export type BuiltName = keyof typeof BUILT;

/** Of these versions: another one is another folder. */
const FOLDERS = {
  'control-plane': `kubernetes-${VERSION}`,
  conformance: `gateway-api-${GATEWAY_API}`,
  'envoy-gateway': `envoy-gateway-${ENVOY_GATEWAY}`,
  istio: `istio-${ISTIO}`,
} as const;
const folderOf = ({ module }: Built) => join(CACHE, FOLDERS[module]);

/** Path of one that is there; undefined: it would have to be built. */
export function findBuilt(name: BuiltName): string | undefined {
  const file = join(folderOf(BUILT[name]), name);
  if (existsSync(file)) return file;
  if (BUILT[name].module !== 'control-plane') return undefined;
  const places = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
  return places.find((path) => existsSync(path) && isRight(path, name));
}

/** A program of the PATH may be of any version. */
function isRight(path: string, name: BuiltName): boolean {
  const args = name === 'kubectl' ? ['version', '--client'] : ['--version'];
  return spawnSync(path, args, { encoding: 'utf8' }).stdout.includes(`v${VERSION}`);
}

/** Why nothing can be built; undefined: Go is there. */
export function whyNoBuild(): string | undefined {
  const { error, stdout } = spawnSync('go', ['version'], { encoding: 'utf8' });
  if (error) return `Go, which builds it, could not be started: ${error.message}`;
  const minor = Number(/go1\.(\d+)/.exec(stdout)?.[1]);
  return minor >= 26 ? undefined : `Go 1.26 or later builds it, and this is ${stdout.trim()}`;
}

/** Builds one, unless it is there. Another process that builds it is waited for. @throws Go's words */
export async function build(name: BuiltName, say: Say): Promise<string> {
  const there = findBuilt(name);
  if (there !== undefined) return there;
  const built: Built = BUILT[name];
  const folder = folderOf(built);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  const part = `${file}.${process.pid}`;
  say(`building ${name} from ${built.package}, once: ${built.takes} …`);
  const what = built.test ? ['test', '-c'] : ['build'];
  const words = [
    'go',
    ...what,
    '-trimpath',
    '-ldflags',
    `-s -w ${built.flags ?? ''}`.trim(),
    '-o',
    part,
    built.package,
  ];
  const script = `[ -e "$0" ] || nice "$@"`;
  const started = Date.now();
  const beat = setInterval(() => say(`still building ${name}, ${minutes(started)}`), 60_000);
  try {
    await go(join(MODULES, built.module), [`${folder}.lock`, 'sh', '-c', script, file, ...words]);
  } finally {
    clearInterval(beat);
  }
  if (existsSync(part)) {
    renameSync(part, file);
    say(`built ${name} in ${minutes(started)}`);
  }
  return file;
}

const minutes = (since: number) => `${((Date.now() - since) / 60_000).toFixed(1)} min`;

async function go(cwd: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' };
  const child = spawn('flock', args, { cwd, env, stdio: ['ignore', 'inherit', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve).once('error', reject);
  });
  if (status !== 0) throw new Error(`go failed in ${cwd}:\n${text.trim().split('\n').slice(-10).join('\n')}`);
}

const CONTROL_PLANE = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'] as const;

/** Are all programs of a control plane there already? */
export const isCached = (): boolean => CONTROL_PLANE.every((name) => findBuilt(name) !== undefined);

/** All of them, built where they are missing, with etcd from Debian. */
export async function buildControlPlane(say: Say): Promise<Binaries & { readonly kubectl: string }> {
  const etcd = await findProgram('etcd');
  await findProgram('nft');
  const files: string[] = [];
  for (const name of CONTROL_PLANE) files.push(await build(name, say));
  const [api = '', manager = '', scheduler = '', kubectl = ''] = files;
  return { etcd, 'kube-apiserver': api, 'kube-controller-manager': manager, 'kube-scheduler': scheduler, kubectl };
}

/** The official CRDs, from the module. @param channel which of them */
export async function gatewayApi(channel: 'standard' | 'experimental'): Promise<string> {
  return join(folderOfModule('conformance', `sigs.k8s.io/gateway-api@${GATEWAY_API}`), 'config/crd', channel);
}

/** The sources of Envoy Gateway, with its chart. */
export const envoyGatewaySources = (): string =>
  folderOfModule('envoy-gateway', `github.com/envoyproxy/gateway@${ENVOY_GATEWAY}`);

/** The sources of Istio, with its charts. */
export const istioSources = (): string => folderOfModule('istio', `istio.io/istio@${ISTIO}`);

/** Where Go has a module, fetched the first time. @param from one of ours that knows its sum */
function folderOfModule(from: Built['module'], module: string): string {
  const { stdout, stderr, error } = spawnSync('go', ['mod', 'download', '-json', module], {
    cwd: join(MODULES, from),
    encoding: 'utf8',
  });
  if (error) throw error;
  const { Dir } = JSON.parse(stdout || '{}') as { Dir?: string };
  if (Dir === undefined) throw new Error(`${module}: ${stderr}`);
  return Dir;
}
