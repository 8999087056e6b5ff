// The Secrets and ConfigMaps to which objects refer.

import { contentOfParameters } from './shared-files.ts';
import type { GatewayObject, ListenerSpec, Reference } from './objects.ts';
import type { ClusterState, ContentName } from './state.ts';

/**
 * Secrets and ConfigMaps that Gateways, ListenerSets, BackendTLSPolicies, Ingresses and parameters name, each once.
 * NOT checked: whether a ReferenceGrant permits it: without one its content is read and not used.
 */
export function referencedContent(state: Omit<ClusterState, 'secrets' | 'configMaps'>): readonly ContentName[] {
  const named = [
    ...state.parameters.flatMap(contentOfParameters),
    ...state.gateways.flatMap(ofGateway),
    ...state.listenerSets.flatMap(({ meta, listeners }) => ofListeners(listeners, meta.namespace)),
    ...state.backendTlsPolicies.flatMap(({ meta, caCertificateRefs }) => located(caCertificateRefs, meta.namespace)),
    ...state.ingresses.flatMap(({ meta, tls }) =>
      tls.map(({ secretName }) => ({ kind: 'Secret', namespace: meta.namespace, name: secretName })),
    ),
  ];
  const known = named.filter((one): one is ContentName => one.kind === 'Secret' || one.kind === 'ConfigMap');
  return [...new Map(known.map((one) => [`${one.kind}/${one.namespace}/${one.name}`, one])).values()];
}

function ofGateway({ meta, listeners, frontend, backendCertificate }: GatewayObject) {
  const validations = [frontend.default, ...frontend.perPort.values()];
  return [
    ...ofListeners(listeners, meta.namespace),
    ...located(
      validations.flatMap((one) => one?.caCertificateRefs ?? []),
      meta.namespace,
    ),
    ...located(backendCertificate === undefined ? [] : [backendCertificate], meta.namespace),
  ];
}

function ofListeners(listeners: readonly ListenerSpec[], namespace: string) {
  return located(
    listeners.flatMap(({ tls }) => tls?.certificateRefs ?? []),
    namespace,
  );
}

function located(references: readonly Reference[], namespace: string) {
  return references
    .filter(({ group }) => group === '')
    .map((one) => ({ kind: one.kind, namespace: one.namespace ?? namespace, name: one.name }));
}
