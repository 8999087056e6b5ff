// A kubeconfig that is not there, cannot be read or names no cluster.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectCluster } from '../../src/controller/api.ts';

async function said(t: { after: (end: () => void) => void }, content: string | undefined): Promise<unknown> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-kubeconfig-'));
  const before = process.env['KUBECONFIG'];
  t.after(() => {
    if (before === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = before;
    rmSync(folder, { recursive: true, force: true });
  });
  const file = join(folder, 'config');
  if (content !== undefined) writeFileSync(file, content);
  process.env['KUBECONFIG'] = file;
  return await connectCluster();
}

test('a kubeconfig that is not there is said with its code', async (t) => {
  assert.match(String(await said(t, undefined)), /^the file that KUBECONFIG names, .* cannot be read \(ENOENT\)/);
});

test('one that is not YAML is said without a word of it', async (t) => {
  const text = String(await said(t, 'users: [{ name: a, user: { token: s3cret }'));
  assert.match(text, /cannot be read; expected one that "kubectl config view" takes$/);
  assert.ok(!text.includes('s3cret'));
});

test('one without a cluster in use says how one is chosen', async (t) => {
  assert.match(
    String(await said(t, 'apiVersion: v1\nkind: Config\nclusters: []\n')),
    /^the kubeconfig names no cluster in use; kubectl config use-context NAME/,
  );
});

test('one with a cluster in use is taken, with the namespace of its context', async (t) => {
  const cluster = 'clusters: [{ name: c, cluster: { server: "https://127.0.0.1:1" } }]\nusers: [{ name: u, user: {} }]';
  const context = 'contexts: [{ name: x, context: { cluster: c, user: u, namespace: shop } }]\ncurrent-context: x';
  const connected = await said(t, `apiVersion: v1\nkind: Config\n${cluster}\n${context}\n`);
  assert.ok(typeof connected === 'object' && connected !== null && 'namespace' in connected);
  assert.equal(connected.namespace, 'shop');
});
