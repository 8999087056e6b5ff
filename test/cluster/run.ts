// `npm run test:cluster`: builds, says what is skipped, runs the tests of the cluster.
//
// With --short only some of them, and only where a control plane is built already: a build takes longer than a check of every change may.

import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { whyNoCluster } from './cluster.ts';
import { buildControlPlane } from './programs.ts';

const ROOT = join(import.meta.dirname, '../..');
const SHORT = ['test/cluster/values.cluster.ts', 'test/cluster/edge.cluster.ts'];

const say = (text: string) => process.stderr.write(`holdfast: ${text}\n`);
const short = process.argv.includes('--short');
const named = process.argv.slice(2).filter((word) => !word.startsWith('--'));

const why = await whyNoCluster(short);
if (why === undefined) {
  if (!short) await buildControlPlane(say);
  const all = globSync('test/**/*.cluster.ts', { cwd: ROOT }).toSorted();
  const files = named.length > 0 ? named : short ? SHORT : all;
  say(`a cluster for ${files.length} of ${all.length} files: ${files.join(', ')}`);
  const args = ['--test', '--test-isolation=none', '--test-timeout=600000', ...files];
  const env = { ...process.env, CLUSTER: short ? 'cached' : 'built' };
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: 'inherit' });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('close', (code) => resolve(code ?? 1)).once('error', reject);
  });
} else say(`skipped, all of it: ${why}`);
