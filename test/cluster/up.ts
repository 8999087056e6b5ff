// A cluster at hand: node test/cluster/up.ts [--gateway-api standard|experimental].
//
// Prints `export KUBECONFIG=…` when it is ready, and stays until Ctrl-C. Several may be up at once.

import { parseArgs } from 'node:util';
import { Cluster, whyNoCluster } from './cluster.ts';

const { values } = parseArgs({ options: { 'gateway-api': { type: 'string', default: 'experimental' } } });
const channel = values['gateway-api'] === 'standard' ? 'standard' : 'experimental';
const why = await whyNoCluster(false);
if (why !== undefined) {
  process.stderr.write(`holdfast: there can be no cluster here: ${why}\n`);
  process.exitCode = 1;
} else {
  const started = Date.now();
  const cluster = await Cluster.start({ gatewayApi: channel });
  const { machine, prefix } = cluster.network;
  process.stderr.write(`holdfast: the cluster is ready after ${((Date.now() - started) / 1000).toFixed(1)} s.
This machine is ${machine} there; pods have ${prefix}.0.0/18, Services ${prefix}.128.0/18, load balancers ${prefix}.192.0/18, all reachable
from here. Logs: ${cluster.folder}. Ctrl-C ends it.
`);
  process.stdout.write(`export KUBECONFIG=${cluster.kubeconfig}\n`);
}
