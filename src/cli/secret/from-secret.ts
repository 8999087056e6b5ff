// The option --from-secret: which Secret, and from which cluster.

import { type CommandLine, UsageError } from '../arguments.ts';
import { type Cluster, clusterOfPod } from './access.ts';
import type { SecretName } from './api.ts';

/** As Kubernetes has names: a label for the namespace, labels with dots for the Secret. */
const NAME = /^([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?)$/;

/** Reads the option. @throws UsageError where it is not NAMESPACE/NAME, or this process is in no cluster */
export function secretOf(
  line: CommandLine,
  written: string,
): { readonly cluster: Cluster; readonly secret: SecretName } {
  const about = line.command === 'help' ? {} : { command: line.command };
  if (line.options.config !== undefined) throw new UsageError('--from-secret takes the place of a file', about);
  const [, namespace, name] = NAME.exec(written) ?? [];
  if (namespace === undefined || name === undefined) {
    throw new UsageError('--from-secret must be NAMESPACE/NAME, such as gateways/public', about);
  }
  const cluster = clusterOfPod(process.env);
  if (cluster === undefined) {
    throw new UsageError('--from-secret works in a pod of a cluster: KUBERNETES_SERVICE_HOST is not set', about);
  }
  return { cluster, secret: { namespace, name } };
}
