// Helm (two of them) and kustomize: from the PATH, or built from their Go modules.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/holdfast');

/** Exact versions; the newest that Go 1.26 builds. */
const MODULES = {
  helm: 'helm.sh/helm/v3/cmd/helm@v3.22.0',
  helm4: 'helm.sh/helm/v4/cmd/helm@v4.3.2',
  kustomize: 'sigs.k8s.io/kustomize/kustomize/v5@v5.7.1',
} as const;

export type Found = { readonly file: string } | { readonly skip: string };

/** Path of a program of that minor version, or why there is none. The first time it takes Go and some minutes. */
export function findTool(name: keyof typeof MODULES): Found {
  const module = MODULES[name];
  const wanted = module.slice(module.indexOf('@') + 1);
  const folder = join(CACHE, `${name}@${wanted}`);
  const [minor = wanted] = /^v\d+\.\d+/.exec(wanted) ?? [];
  const program = name.replace(/\d$/, '');
  const places = [folder, ...(process.env['PATH'] ?? '').split(delimiter)].map((path) => join(path, program));
  const there = places.find(
    (file) => existsSync(file) && spawnSync(file, ['version'], { encoding: 'utf8' }).stdout.includes(minor),
  );
  if (there !== undefined) return { file: there };
  process.stderr.write(`holdfast: building ${module} with Go, once …\n`);
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' };
  const built = spawnSync('go', ['install', '-trimpath', module], { encoding: 'utf8', env });
  if (built.error)
    return {
      skip: `${name} ${wanted} is not on the PATH, and Go, which builds it, could not be started: ${built.error.message}`,
    };
  if (built.status !== 0) return { skip: `Go could not build ${module}: ${built.stderr.trim().split('\n').at(-1)}` };
  return { file: join(folder, program) };
}
