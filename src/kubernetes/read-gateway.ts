// Readers of GatewayClasses, Gateways, ListenerSets, ReferenceGrants and BackendTLSPolicies.

import { everyPart, integer, type Json, mapping, mappings, asText, textMap } from './json.ts';
import type {
  BackendTlsPolicy,
  FrontendValidation,
  GatewayObject,
  GatewayClass,
  ListenerSet,
  ListenerSpec,
  ReferenceGrant,
} from './objects.ts';
import {
  GATEWAY_GROUP,
  readAllowedNamespaces,
  readMeta,
  readParentReference,
  readReference,
  readReferences,
  readReporters,
} from './read-common.ts';

const SECRET = { group: '', kind: 'Secret' };
const CONFIG_MAP = { group: '', kind: 'ConfigMap' };

export function readGatewayClass(object: Json): GatewayClass | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  const parameters = mapping(spec?.parametersRef);
  return (
    meta && {
      meta,
      controllerName: asText(spec?.controllerName) ?? '',
      parametersRef: parameters && readReference(parameters, { group: '', kind: '' }),
    }
  );
}

export function readGateway(object: Json): GatewayObject | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined || spec === undefined) return undefined;
  const [tls, infrastructure] = [mapping(spec.tls), mapping(spec.infrastructure)];
  const allowed = mapping(spec.allowedListeners);
  const parameters = mapping(infrastructure?.parametersRef);
  const backend = mapping(mapping(tls?.backend)?.clientCertificateRef);
  return {
    meta,
    className: asText(spec.gatewayClassName) ?? '',
    listeners: mappings(spec.listeners).map(readListener),
    allowedListeners: allowed && readAllowedNamespaces(allowed.namespaces, 'None'),
    addresses: mappings(spec.addresses).map((one) => ({
      type: asText(one.type) ?? 'IPAddress',
      value: asText(one.value) ?? '',
    })),
    infrastructure: {
      labels: textMap(infrastructure?.labels),
      annotations: textMap(infrastructure?.annotations),
      parametersRef: parameters && readReference(parameters, { group: '', kind: '' }),
    },
    frontend: readFrontend(mapping(tls?.frontend) ?? {}),
    backendCertificate: backend && readReference(backend, SECRET),
  };
}

function readFrontend(frontend: Json): GatewayObject['frontend'] {
  const perPort = mappings(frontend.perPort).flatMap((entry) => {
    const port = integer(entry.port);
    return port === undefined ? [] : [[port, readValidation(mapping(entry.tls) ?? {})] as const];
  });
  return { default: readValidation(mapping(frontend.default) ?? {}), perPort: new Map(perPort) };
}

function readValidation(tls: Json): FrontendValidation | undefined {
  const validation = mapping(tls.validation);
  return (
    validation && {
      mode: asText(validation.mode) ?? 'AllowValidOnly',
      caCertificateRefs: readReferences(validation.caCertificateRefs, CONFIG_MAP),
    }
  );
}

function readListener(spec: Json): ListenerSpec {
  const [tls, allowed] = [mapping(spec.tls), mapping(spec.allowedRoutes)];
  const hostname = asText(spec.hostname);
  return {
    name: asText(spec.name) ?? '',
    hostname: hostname === '' ? undefined : hostname?.toLowerCase(),
    port: integer(spec.port) ?? 0,
    protocol: asText(spec.protocol) ?? '',
    tls: tls && {
      mode: asText(tls.mode) ?? 'Terminate',
      certificateRefs: readReferences(tls.certificateRefs, SECRET),
      options: Object.keys(textMap(tls.options)),
    },
    allowedNamespaces: readAllowedNamespaces(allowed?.namespaces, 'Same'),
    allowedKinds: Array.isArray(allowed?.kinds)
      ? mappings(allowed.kinds).map((one) => ({
          group: asText(one.group) ?? GATEWAY_GROUP,
          kind: asText(one.kind) ?? '',
        }))
      : undefined,
  };
}

export function readListenerSet(object: Json): ListenerSet | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined || spec === undefined) return undefined;
  return {
    meta,
    parentRef: readParentReference(mapping(spec.parentRef) ?? {}),
    listeners: mappings(spec.listeners).map(readListener),
  };
}

/** An entry that cannot be read permits nothing. */
export function readReferenceGrant(object: Json): ReferenceGrant | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined || spec === undefined) return undefined;
  const from = mappings(spec.from).flatMap(({ group, kind, namespace }) =>
    typeof group === 'string' && typeof kind === 'string' && typeof namespace === 'string' && namespace !== ''
      ? [{ group, kind, namespace }]
      : [],
  );
  const to = mappings(spec.to).flatMap(({ group, kind, name }) =>
    typeof group === 'string' && typeof kind === 'string' && (name === undefined || typeof name === 'string')
      ? [{ group, kind, name: name === '' ? undefined : name }]
      : [],
  );
  return { meta, from, to };
}

export function readBackendTlsPolicy(object: Json): BackendTlsPolicy | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined || spec === undefined) return undefined;
  const validation = mapping(spec.validation) ?? {};
  return {
    meta,
    targetRefs: mappings(spec.targetRefs).map((one) => ({
      ...readReference(one, { group: '', kind: '' }),
      sectionName: asText(one.sectionName),
    })),
    hostname: asText(validation.hostname) ?? '',
    caCertificateRefs: readReferences(validation.caCertificateRefs, { group: '', kind: '' }),
    wellKnown: asText(validation.wellKnownCACertificates),
    subjectAltNames: everyPart(validation.subjectAltNames).map(({ type, hostname, uri }) => ({
      type: asText(type) ?? '',
      value: asText(type === 'URI' ? uri : hostname) ?? '',
    })),
    reporters: readReporters(object, 'ancestors'),
  };
}
