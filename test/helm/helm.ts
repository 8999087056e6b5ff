// The real Helm at work on the chart: rendering, lint, and what it says where it refuses.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';
import { valuesFile } from './golden.ts';
import { findTool } from './tools.ts';

export const CHART = join(import.meta.dirname, '../../helm/holdfast');
const APPLICATION = join(import.meta.dirname, 'application');
/** The version for which is rendered: without a cluster Helm has to be told. */
export const KUBERNETES = ['--kube-version', '1.34.0'];

export const found = findTool('helm');
/** For the `skip` of every test that needs Helm. */
export const skip = 'skip' in found ? found.skip : false;

const folder = mkdtempSync(join(tmpdir(), 'holdfast-helm-'));
after(() => rmSync(folder, { recursive: true }));

/** The application's chart, with ours among its dependencies as `helm dependency build` puts it there. */
export function application(): string {
  const chart = join(folder, 'application');
  cpSync(APPLICATION, chart, { recursive: true });
  cpSync(CHART, join(chart, 'charts/holdfast'), { recursive: true });
  return chart;
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function helm(...args: readonly string[]): Ran {
  const file = 'file' in found ? found.file : 'helm';
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', env: environment() });
  return { status, stdout, stderr };
}

/** Nothing of the machine's own Helm: no cluster, no repositories, no plugins. */
function environment() {
  return { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: join(folder, 'none') };
}

/** Renders values as a page has them. @param over the case whose chart and files lie under them; undefined: nothing but the chart */
export function templateText(values: string, over: string | undefined): Ran {
  const { chart, files } = over === undefined ? { chart: CHART, files: [] } : partsOf(over);
  const page = join(folder, 'page.yaml');
  writeFileSync(page, values);
  return helm('template', 'gw', chart, '--namespace', 'edge', ...KUBERNETES, ...files, '-f', page);
}

/** The same as `template`, in its own time, with an API server to look things up at. */
export async function helmAt(server: string, name: string): Promise<Ran> {
  const { chart, files } = partsOf(name);
  const where = ['--dry-run=server', '--kube-apiserver', server, '--namespace', 'edge', ...KUBERNETES];
  const child = spawn('file' in found ? found.file : 'helm', ['template', 'gw', chart, ...where, ...files], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { status, stdout, stderr };
}

/** Chart and files of values of a case. */
function partsOf(name: string): { chart: string; files: readonly string[] } {
  if (name.startsWith('application')) return { chart: application(), files: ['-f', valuesFile(name)] };
  return { chart: CHART, files: ['-f', valuesFile('base'), '-f', valuesFile(name)] };
}

/** Renders a case. @param values on top of its files */
export function template(name: string, values: object = {}, ...args: readonly string[]): Ran {
  const { chart, files } = partsOf(name);
  const more = join(folder, 'more.json');
  writeFileSync(more, JSON.stringify(values));
  return helm('template', 'gw', chart, '--namespace', 'edge', ...KUBERNETES, ...files, '-f', more, ...args);
}

export function lint(name: string): Ran {
  const { chart, files } = partsOf(name);
  return helm('lint', '--strict', chart, ...KUBERNETES, ...files);
}

/** A rendering without what is random in it. */
export function withoutSecrets(text: string): string {
  return text.replaceAll(/^( {2}current: )[A-Za-z0-9+/=]+$/gm, '$1cmFuZG9t');
}
