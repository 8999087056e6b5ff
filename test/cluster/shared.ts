// The one cluster that all tests of a run share, and namespaces in it that are theirs alone.

import { after } from 'node:test';
import { APPLICATION } from './application.ts';
import { Cluster, whyNoCluster } from './cluster.ts';
import type { Image } from './images.ts';

/** Redis of this machine. */
const REDIS: Image = {
  entrypoint: ['redis-server', '--save', '', '--bind', '0.0.0.0', '--protected-mode', 'no'],
  mounts: [],
  user: 10_002,
};

const images = { 'registry.example.com/orders': APPLICATION, redis: REDIS };

/** For the `skip` of every test that needs a cluster. */
export const skip = (await whyNoCluster(process.env['CLUSTER'] === 'cached')) ?? false;

let started: Promise<Cluster> | undefined;

/** Starts it when it is first wanted. */
export async function sharedCluster(): Promise<Cluster> {
  started ??= Cluster.start({ gatewayApi: 'experimental', images });
  return await started;
}

after(async () => {
  await (await started)?.close();
});

/** A namespace in which restricted pods alone are let in. */
export async function restricted(cluster: Cluster, name: string): Promise<string> {
  const labels = Object.fromEntries(
    ['enforce', 'warn'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
  );
  await cluster.api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  return name;
}
