// Readers of Services, EndpointSlices, Secrets, ConfigMaps, Namespaces and Ingresses.

import { integer, items, type Json, mapping, mappings, asText, texts } from './json.ts';
import type { Content, EndpointSlice, Ingress, IngressClass, IngressPath, Namespace, Service } from './objects.ts';
import { readMeta, readReference } from './read-common.ts';

const SERVICE_LABEL = 'kubernetes.io/service-name';
const DEFAULT_CLASS = 'ingressclass.kubernetes.io/is-default-class';

export function readService(object: Json): Service | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined || spec === undefined) return undefined;
  const ports = mappings(spec.ports).flatMap((port) => {
    const number = integer(port.port);
    const protocol = asText(port.protocol) ?? 'TCP';
    if (number === undefined || protocol !== 'TCP') return [];
    return [{ name: asText(port.name) ?? '', port: number, appProtocol: asText(port.appProtocol) }];
  });
  return { meta, type: asText(spec.type) ?? 'ClusterIP', ports };
}

/** Addresses of pods that are ready, or serve while they end. */
export function readEndpointSlice(object: Json): EndpointSlice | undefined {
  const meta = readMeta(object);
  if (meta === undefined || asText(object.addressType) === 'FQDN') return undefined;
  const ports = mappings(object.ports).flatMap((port) => {
    const number = integer(port.port);
    return number === undefined || (asText(port.protocol) ?? 'TCP') !== 'TCP'
      ? []
      : [{ name: asText(port.name) ?? '', port: number }];
  });
  const addresses = mappings(object.endpoints).flatMap((endpoint) =>
    mapping(endpoint.conditions)?.ready === false ? [] : texts(endpoint.addresses).slice(0, 1),
  );
  return { meta, service: meta.labels[SERVICE_LABEL] ?? '', ports, addresses };
}

/** `data` is base64. */
export function readSecret(object: Json): Content | undefined {
  const meta = readMeta(object);
  const data = Object.entries(mapping(object.data) ?? {}).flatMap(([key, value]) =>
    typeof value === 'string' ? [[key, Buffer.from(value, 'base64').toString('latin1')] as const] : [],
  );
  return meta && { meta, type: asText(object.type) ?? '', data: new Map(data) };
}

export function readConfigMap(object: Json): Content | undefined {
  const meta = readMeta(object);
  const data = Object.entries(mapping(object.data) ?? {}).flatMap(([key, value]) =>
    typeof value === 'string' ? [[key, Buffer.from(value, 'utf8').toString('latin1')] as const] : [],
  );
  return meta && { meta, type: '', data: new Map(data) };
}

export function readNamespace(object: Json): Namespace | undefined {
  const meta = readMeta(object);
  return meta && { meta };
}

export function readIngress(object: Json): Ingress | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  if (meta === undefined || spec === undefined) return undefined;
  const fallback = mapping(spec.defaultBackend);
  const paths = mappings(spec.rules).flatMap((rule) => {
    const host = asText(rule.host)?.toLowerCase();
    return items(mapping(rule.http)?.paths).flatMap((item) => {
      const path = mapping(item) ?? {};
      const backend = mapping(path.backend) ?? {};
      return [readIngressPath(host === '' ? undefined : host, path, backend)];
    });
  });
  return {
    meta,
    className: asText(spec.ingressClassName) ?? meta.annotations['kubernetes.io/ingress.class'],
    tls: mappings(spec.tls).map((one) => ({
      hosts: texts(one.hosts).map((host) => host.toLowerCase()),
      secretName: asText(one.secretName) ?? '',
    })),
    paths:
      fallback === undefined
        ? paths
        : [...paths, readIngressPath(undefined, { path: '/', pathType: 'Prefix' }, fallback)],
  };
}

function readIngressPath(host: string | undefined, path: Json, backend: Json): IngressPath {
  const service = mapping(backend.service);
  const port = mapping(service?.port);
  return {
    host,
    path: asText(path.path) ?? '/',
    pathType: asText(path.pathType) ?? '',
    service: { name: asText(service?.name) ?? '', port: integer(port?.number), portName: asText(port?.name) },
  };
}

export function readIngressClass(object: Json): IngressClass | undefined {
  const [meta, spec] = [readMeta(object), mapping(object.spec)];
  const parameters = mapping(spec?.parameters);
  return (
    meta && {
      meta,
      controller: asText(spec?.controller) ?? '',
      parametersRef: parameters && {
        ...readReference(parameters, { group: '', kind: '' }),
        group: asText(parameters.apiGroup) ?? '',
      },
      isDefault: meta.annotations[DEFAULT_CLASS] === 'true',
    }
  );
}
