// Clusters for tests: the state that manifests describe, and its translation.

import { parseAllDocuments } from 'yaml';
import { compilePolicy } from '../../src/config/compile/compile.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { readPolicyFile } from '../../src/config/read/read.ts';
import { KINDS, readObjects } from '../../src/kubernetes/kinds.ts';
import type { ClusterState, RunningDataPlane, Settings, Translation } from '../../src/kubernetes/state.ts';
import { translate } from '../../src/kubernetes/translate.ts';

export const CONTROLLER = 'holdfast.internal/controller';
/** Certificates of tests are valid from the day of the run. */
export const NOW = Math.floor(Date.now() / 1000);

/** Data whose shape the test knows. */
export type Loose = ReturnType<typeof JSON.parse>;
type Manifest = Readonly<Record<string, Loose>>;

/** Objects of YAML texts. Those without a creation time are younger the further down they stand. */
export function manifests(...texts: readonly string[]): readonly Manifest[] {
  const objects = texts.flatMap((text) =>
    parseAllDocuments(text).flatMap((document) => (document as { toJS(): Manifest | null }).toJS() ?? []),
  );
  return objects.map((object, index) => ({
    ...object,
    metadata: {
      generation: 1,
      creationTimestamp: new Date(1_700_000_000_000 + index * 1000).toISOString(),
      ...object['metadata'],
    },
  }));
}

/** @param objects as the API server has them; the kinds that are not watched are left out */
export function clusterOf(objects: readonly Manifest[], running: readonly RunningDataPlane[] = []): ClusterState {
  const state: Record<string, object[]> = Object.fromEntries(KINDS.map(({ member }) => [member, []]));
  for (const kind of KINDS) {
    const own = objects.filter(
      ({ apiVersion, kind: name }) => name === kind.kind && String(apiVersion).replace(/\/?[^/]*$/, '') === kind.group,
    );
    state[kind.member]?.push(...readObjects(kind, own).read);
  }
  return { ...state, running } as unknown as ClusterState;
}

/** A class of ours whose Gateways serve public routes; `hf` is its name. */
export const CLASS = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: hf }
spec:
  controllerName: ${CONTROLLER}
  parametersRef: { group: holdfast.internal, kind: HoldfastParameters, namespace: system, name: open }
---
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastParameters
metadata: { name: open, namespace: system }
spec: { floor: { require: public }, withoutPolicy: public }
`;

/** A Secret of type kubernetes.io/tls. */
export function secretOf(
  namespace: string,
  name: string,
  pair: { readonly cert: string; readonly key: string },
): string {
  const data = { 'tls.crt': btoa(pair.cert), 'tls.key': btoa(pair.key) };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    type: 'kubernetes.io/tls',
    data,
  });
}

/** @param settings what is different from a good moment of our controller */
export function translated(settings: Partial<Settings> | string, ...texts: readonly string[]): Translation {
  const [given, all] = typeof settings === 'string' ? [{}, [settings, ...texts]] : [settings, texts];
  return translate(clusterOf(manifests(...all)), { controllerName: CONTROLLER, now: NOW, ...given });
}

/** A condition of an object's status, `STATUS REASON`; `at` finds the list of conditions. */
export function conditionOf(conditions: unknown, type: string): string | undefined {
  const found = (conditions as readonly Manifest[] | undefined)?.find((one) => one['type'] === type);
  return found && `${found['status']} ${found['reason']}`;
}

export function statusOf(translation: Translation, kind: string, name: string): Loose {
  return translation.statuses.find((one) => one.kind === kind && one.name === name)?.status;
}

/** The configuration of the only data plane. */
export function configurationOf({ dataPlanes, statuses }: Translation): Record<string, Loose> {
  const configuration = dataPlanes[0]?.configuration;
  if (configuration === undefined) throw new Error(`no configuration: ${JSON.stringify(statuses, undefined, 1)}`);
  assertServable(configuration);
  return configuration as Record<string, Loose>;
}

/** As the data plane reads it: text, with the environment put in. */
function assertServable(configuration: object): void {
  const read = readPolicyFile('-', { stdin: JSON.stringify(configuration), env: { HOME: 'secret' } });
  if ('problems' in read) throw new Error(read.problems.map(formatProblem).join('\n'));
  const compiled = compilePolicy(read, NOW);
  if ('problems' in compiled) throw new Error(compiled.problems.map(formatProblem).join('\n'));
  if (read.substitutions.some(({ variables }) => variables.size > 0)) throw new Error('the environment went in');
}

/** Routes of the configuration that come from objects. */
export function routesOf(translation: Translation): Loose[] {
  return configurationOf(translation)['routes'].filter(({ name }: { name: string }) => !/^none\b/.test(name));
}

export function pathsOf(translation: Translation): string[] {
  return routesOf(translation).map(({ match }) => match.path);
}
