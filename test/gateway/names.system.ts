// A gateway with a resolv.conf as in a pod, and a name server that is partly silent.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { findProgram, INSTALLING } from '../support/programs.ts';

const RESOLV_CONF =
  'nameserver 127.0.0.1\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n';

before(async () => {
  await findProgram('ip');
  await findProgram('unshare');
}, INSTALLING);

test('names in a network of its own are found as in a pod, and silent ones harm no other', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-names-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'resolv.conf'), RESOLV_CONF);
  const inside = join(import.meta.dirname, 'names-in-namespace.ts');
  const script =
    'ip link set lo up && mount --bind "$1/resolv.conf" /etc/resolv.conf && exec "$2" --test-isolation=none --test "$3"';
  const namespaces = [
    '--map-root-user',
    '--mount',
    '--net',
    'sh',
    '-c',
    script,
    'sh',
    folder,
    process.execPath,
    inside,
  ];
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const child = spawn(await findProgram('unshare'), namespaces, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  t.after(() => child.kill('SIGKILL'));
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(code, 0, said);
  assert.match(said, /pass 1/);
});
