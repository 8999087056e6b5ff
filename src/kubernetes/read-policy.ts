// Readers of HoldfastPolicies and HoldfastParameters.

import { type Json, mapping, mappings, asText } from './json.ts';
import type { HoldfastParameters, HoldfastPolicy } from './objects.ts';
import { GATEWAY_GROUP, readMeta, readReference, readReporters } from './read-common.ts';

/** A policy that cannot be read is still one: it holds back what it may be meant for. */
export function readHoldfastPolicy(object: Json): HoldfastPolicy | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined) return undefined;
  const { targetRefs: _, ...demand } = spec ?? {};
  const targets = mappings(spec?.targetRefs).map((one) => ({
    ...readReference(one, { group: GATEWAY_GROUP, kind: '' }),
    sectionName: asText(one.sectionName),
  }));
  const readable =
    Array.isArray(spec?.targetRefs) && targets.length === spec.targetRefs.length && targets.every(isNamed);
  return { meta, targetRefs: readable ? targets : undefined, demand, reporters: readReporters(object, 'ancestors') };
}

function isNamed({ kind, name }: { readonly kind: string; readonly name: string }): boolean {
  return kind !== '' && name !== '';
}

export function readHoldfastParameters(object: Json): HoldfastParameters | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  return (
    meta && {
      meta,
      configuration: mapping(spec?.configuration) ?? {},
      floor: mapping(spec?.floor) ?? {},
      withoutPolicy: spec?.withoutPolicy === 'public' ? 'public' : 'refuse',
      service: mapping(spec?.service) ?? {},
      deployment: mapping(spec?.deployment) ?? {},
    }
  );
}
