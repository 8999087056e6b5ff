// Readers of the parts that many kinds share: names, references, namespaces that may attach.

import { integer, items, type Json, mapping, mappings, asText, textMap, texts } from './json.ts';
import type { AllowedNamespaces, Meta, ParentReference, Reference, Selector } from './objects.ts';

export const GATEWAY_GROUP = 'gateway.networking.k8s.io';
/** `.internal` is reserved for private use: no one else can register this name (docs/decisions/0124). */
export const HOLDFAST_GROUP = 'holdfast.internal';

/** What can be a name in Kubernetes, and in our own configuration a part of one. */
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/i;

/** Undefined: an object without a usable name, of which nothing can be said to anyone. */
export function readMeta(object: Json): Meta | undefined {
  const meta = mapping(object.metadata);
  const [name, namespace = ''] = [asText(meta?.name), asText(meta?.namespace)];
  if (meta === undefined || name === undefined || !NAME.test(name)) return undefined;
  if (namespace !== '' && !NAME.test(namespace)) return undefined;
  return {
    name,
    namespace,
    generation: integer(meta.generation) ?? 0,
    created: asText(meta.creationTimestamp) ?? '',
    labels: textMap(meta.labels),
    annotations: textMap(meta.annotations),
  };
}

/** @param fallback what stands in where the object leaves group or kind out */
export function readReference(value: Json, fallback: { readonly group: string; readonly kind: string }): Reference {
  return {
    group: asText(value.group) ?? fallback.group,
    kind: asText(value.kind) ?? fallback.kind,
    name: asText(value.name) ?? '',
    namespace: asText(value.namespace),
  };
}

export function readReferences(
  value: unknown,
  fallback: { readonly group: string; readonly kind: string },
): readonly Reference[] {
  return mappings(value).map((one) => readReference(one, fallback));
}

export function readParentReference(value: Json): ParentReference {
  return {
    ...readReference(value, { group: GATEWAY_GROUP, kind: 'Gateway' }),
    sectionName: asText(value.sectionName),
    port: integer(value.port),
    written: value,
  };
}

/** A selector that cannot be read selects nothing: `In` without values. */
function readSelector(value: Json): Selector {
  const expressions = items(value.matchExpressions).map((item) => {
    const one = mapping(item) ?? {};
    return { key: asText(one.key) ?? '', operator: asText(one.operator) ?? '', values: texts(one.values) };
  });
  return { matchLabels: textMap(value.matchLabels), matchExpressions: expressions };
}

/** @param otherwise where nothing is said: `Same` of routes, `None` of ListenerSets */
export function readAllowedNamespaces(value: unknown, otherwise: string): AllowedNamespaces {
  const namespaces = mapping(value);
  const selector = mapping(namespaces?.selector);
  return { from: asText(namespaces?.from) ?? otherwise, selector: selector && readSelector(selector) };
}

/** Controllers with an entry among `parents` or `ancestors` of a status. */
export function readReporters(object: Json, list: 'parents' | 'ancestors'): readonly string[] {
  return mappings(mapping(object.status)?.[list]).flatMap((entry) => asText(entry.controllerName) ?? []);
}
