// Access to the API server from inside a pod: where it is, and as whom.

import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';

/** Where kubelet puts the token of a pod, renewed in time, and the CA of the API server. */
const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Where the API server is, and where the credentials are. */
export interface Cluster {
  readonly host: string;
  readonly port: number;
  /** Holds `token` and `ca.crt`. */
  readonly folder: string;
}

/** The cluster of this pod; undefined: this process is in none. */
export function clusterOfPod(env: NodeJS.ProcessEnv): Cluster | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT_HTTPS: https, KUBERNETES_SERVICE_PORT: any } = env;
  if (host === undefined || host === '') return undefined;
  return { host, port: Number(https ?? any ?? 443), folder: FOLDER };
}

export interface Access {
  readonly agent: Agent;
  readonly authorization: string;
}

/** Both files are read each time: tokens live for an hour, and a CA may be another one tomorrow. @throws Error of the file system */
export async function readAccess({ folder }: Cluster): Promise<Access> {
  const [token, ca] = await Promise.all(['token', 'ca.crt'].map((name) => readFile(join(folder, name), 'utf8')));
  return {
    agent: new Agent({ ca, keepAlive: false, minVersion: 'TLSv1.2' }),
    authorization: `Bearer ${token?.trim()}`,
  };
}
