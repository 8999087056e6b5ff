// The kinds of objects that the controller watches: their paths, and what is kept of them.

import { isDeepStrictEqual } from 'node:util';
import type { Kind } from '../kubernetes/kinds.ts';
import { GATEWAY_GROUP } from '../kubernetes/read-common.ts';
import { CONTROLLER_LABEL, MANAGED_BY, MANAGER, managedLabels } from './names.ts';

/** An object of the cluster: untrusted JSON of which only the name is known to be there. */
export interface ClusterObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly [member: string]: unknown;
}

/** A kind of objects. */
export interface WatchedKind {
  readonly kind: string;
  /** `v1` or `group/version`; the first that the API server knows. */
  readonly apiVersions: readonly string[];
  /** As in paths. */
  readonly resource: string;
  readonly namespaced: boolean;
  /** Where the API server does not know the kind: there are no such objects, or nothing is done until it does. */
  readonly whenUnknown: 'none' | 'wait';
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Changes of status count although a generation does. */
  readonly statusCounts?: true;
  /** What is kept of an object; undefined: all. */
  readonly keep?: (object: ClusterObject) => ClusterObject;
}

/** Only labels of namespaces count. */
const labelled = ({ metadata: { name, labels, resourceVersion, uid } }: ClusterObject): ClusterObject => ({
  metadata: { name, ...(labels && { labels }), ...(resourceVersion && { resourceVersion }), ...(uid && { uid }) },
});

/** Characters of one text that can be a certificate, a key, or a list of CAs. */
const TEXT = 262_144;

/** Data of a Secret or ConfigMap that is too large to be read is left out, and so is missing where it is referred to. */
function withoutLargeTexts({ data, ...object }: ClusterObject): ClusterObject {
  if (typeof data !== 'object' || data === null) return object;
  return {
    ...object,
    data: Object.fromEntries(
      Object.entries(data).filter(([, text]) => typeof text === 'string' && text.length <= TEXT),
    ),
  };
}

/** What the table of kinds does not say of some. Secrets that hold releases of Helm, or configurations of data planes, are never referred to. */
const MORE: Readonly<Record<string, Partial<WatchedKind>>> = {
  ReferenceGrant: { apiVersions: [`${GATEWAY_GROUP}/v1`, `${GATEWAY_GROUP}/v1beta1`] },
  Namespace: { keep: labelled },
  ConfigMap: { fieldSelector: 'metadata.name!=kube-root-ca.crt', keep: withoutLargeTexts },
  Secret: {
    fieldSelector: 'type!=helm.sh/release.v1',
    labelSelector: `${MANAGED_BY}!=${MANAGER}`,
    keep: withoutLargeTexts,
  },
};

/**
 * A kind of the translation as it is watched. Without the kinds of the Gateway API there are no such objects; a kind of ours that is unknown
 * is waited for, because policies that cannot be read are not the same as none.
 */
export function watched({ group, version, kind, plural, namespaced }: Kind): WatchedKind {
  return {
    kind,
    resource: plural,
    namespaced,
    apiVersions: [group === '' ? version : `${group}/${version}`],
    whenUnknown: group === GATEWAY_GROUP ? 'none' : 'wait',
    ...MORE[kind],
  };
}

const made = (kind: string, resource: string, apiVersion: string, more: Partial<WatchedKind> = {}) =>
  ({ kind, resource, apiVersions: [apiVersion], namespaced: true, whenUnknown: 'wait', ...more }) satisfies WatchedKind;

const withoutData = ({ metadata }: ClusterObject): ClusterObject => ({ metadata });
const RBAC = 'rbac.authorization.k8s.io/v1';

/** Kinds of what the controller makes, in the order in which it is taken away again. */
const MADE = [
  made('Deployment', 'deployments', 'apps/v1', { statusCounts: true }),
  made('Service', 'services', 'v1'),
  made('PodDisruptionBudget', 'poddisruptionbudgets', 'policy/v1', { keep: withoutData }),
  made('RoleBinding', 'rolebindings', RBAC, { keep: withoutData }),
  made('Role', 'roles', RBAC, { keep: withoutData }),
  made('ServiceAccount', 'serviceaccounts', 'v1', { keep: withoutData }),
  made('Secret', 'secrets', 'v1', { keep: withoutData }),
];

/** The kinds of what this controller made, as it watches them. */
export function madeKinds(controllerName: string): readonly WatchedKind[] {
  const labels = Object.entries(managedLabels(controllerName)).filter(([name]) => name === CONTROLLER_LABEL);
  const labelSelector = labels.map(([name, value]) => `${name}=${value}`).join(',');
  return MADE.map((kind) => ({ ...kind, labelSelector }));
}

/** Where the objects of a kind are. @param namespace undefined: of all */
export function objectsPath(
  { resource, namespaced }: Pick<WatchedKind, 'resource' | 'namespaced'>,
  apiVersion: string,
  namespace?: string,
): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const within = namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${within}/${resource}`;
}

export function keyOf({ metadata: { namespace = '', name } }: ClusterObject): string {
  return `${namespace}/${name}`;
}

/** An object with a name, without what servers note about its fields; undefined: it has no name. */
export function readObject(given: unknown): ClusterObject | undefined {
  if (typeof given !== 'object' || given === null || !('metadata' in given)) return undefined;
  const { metadata } = given;
  if (typeof metadata !== 'object' || metadata === null || !('name' in metadata)) return undefined;
  if (typeof metadata.name !== 'string' || ('namespace' in metadata && typeof metadata.namespace !== 'string')) {
    return undefined;
  }
  const { managedFields: _, ...kept } = metadata as Record<string, unknown>;
  return { ...given, metadata: kept } as unknown as ClusterObject;
}

/**
 * Whether two versions of an object mean the same to the translation. Of an object whose generation is counted only that, its name, labels
 * and annotations count: what stands in its status is written by controllers.
 */
export function meansTheSame({ statusCounts }: WatchedKind, before: ClusterObject, after: ClusterObject): boolean {
  const { generation } = after.metadata;
  const all = generation === undefined || statusCounts;
  const members = ({ metadata, ...rest }: ClusterObject) => {
    const { uid, labels, annotations, deletionTimestamp } = metadata;
    return { uid, labels, annotations, deletionTimestamp, ...(all && rest) };
  };
  return before.metadata.generation === generation && isDeepStrictEqual(members(before), members(after));
}
