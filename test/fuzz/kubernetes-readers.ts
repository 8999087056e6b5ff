// Readers of objects of the Kubernetes API, for the list of readers.

import { readApiFailure } from '../../src/controller/api-failure.ts';
import { madeKinds, readObject } from '../../src/controller/kinds.ts';
import { readKept } from '../../src/controller/listing.ts';
import { KINDS, readObjects } from '../../src/kubernetes/kinds.ts';
import { type Json, mapping } from '../../src/kubernetes/json.ts';
import {
  readAllowedNamespaces,
  readMeta,
  readParentReference,
  readReference,
  readReferences,
  readReporters,
} from '../../src/kubernetes/read-common.ts';
import {
  readConfigMap,
  readEndpointSlice,
  readIngress,
  readIngressClass,
  readNamespace,
  readSecret,
  readService,
} from '../../src/kubernetes/read-core.ts';
import {
  readBackendTlsPolicy,
  readGateway,
  readGatewayClass,
  readListenerSet,
  readReferenceGrant,
} from '../../src/kubernetes/read-gateway.ts';
import { readHoldfastParameters, readHoldfastPolicy } from '../../src/kubernetes/read-policy.ts';
import { readBackend, readFilter, readGrpcRoute, readHttpRoute } from '../../src/kubernetes/read-route.ts';
import type { Reader } from './reader.ts';

/** An object whose spec is the text's JSON, or has the text wherever a text may be. */
function objectOf(text: string): Json {
  const metadata = { name: 'a', namespace: 'b', labels: { [text]: text } };
  try {
    const value: unknown = JSON.parse(text);
    return { ...mapping(value), metadata, spec: value, data: value, targetRefs: value };
  } catch {
    const reference = { group: text, kind: text, name: text, namespace: text, sectionName: text, port: text };
    const lists = ['listeners', 'rules', 'parentRefs', 'targetRefs', 'hostnames', 'tls', 'ports', 'from', 'to'];
    return {
      metadata: { ...metadata, name: text, namespace: text },
      spec: Object.fromEntries(lists.map((name) => [name, [reference, text]])),
      data: { [text]: text },
    };
  }
}

const reader = (read: (object: Json) => unknown, ...specs: readonly object[]): Reader => ({
  read: (text) => read(objectOf(text)),
  samples: [...specs.map((spec) => JSON.stringify(spec)), 'name'],
});

const FALLBACK = { group: '', kind: 'Service' };
const RULES = [{ matches: [{ path: { value: '/' }, headers: [{ name: 'a', value: 'b' }] }], backendRefs: [{}] }];

export const KUBERNETES_READERS: Readonly<Record<string, Reader>> = {
  readObjects: reader((object) => KINDS.map((kind) => readObjects(kind, [object, object.spec])), { rules: RULES }),
  readObject: reader(readObject, {}),
  readKept: reader((object) => madeKinds('a.example/b').map((kind) => readKept(kind, object)), {}),
  readApiFailure: {
    read: (text) => readApiFailure(409, { reason: text }, 'GET /a'),
    samples: ['Conflict', '{"reason":"Conflict"}'],
  },
  readMeta: reader(readMeta, {}),
  readReference: reader((object) => readReference(object, FALLBACK), { name: 'a' }),
  readReferences: reader((object) => readReferences(object.spec, FALLBACK), [{ name: 'a' }]),
  readParentReference: reader(readParentReference, { name: 'a', port: 1 }),
  readAllowedNamespaces: reader((object) => readAllowedNamespaces(object.spec, 'Same'), {
    from: 'Selector',
    selector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] },
  }),
  readReporters: reader((object) => readReporters({ status: object.spec }, 'parents'), { parents: [{}] }),
  readGatewayClass: reader(readGatewayClass, { controllerName: 'a', parametersRef: { name: 'a' } }),
  readGateway: reader(readGateway, { listeners: [{ name: 'a', port: 1, tls: { certificateRefs: [{}] } }] }),
  readListenerSet: reader(readListenerSet, { parentRef: {}, listeners: [{}] }),
  readReferenceGrant: reader(readReferenceGrant, { from: [{ group: '', kind: 'a', namespace: 'b' }], to: [{}] }),
  readBackendTlsPolicy: reader(readBackendTlsPolicy, { targetRefs: [{}], validation: { subjectAltNames: [{}] } }),
  readHttpRoute: reader(readHttpRoute, { rules: RULES }),
  readGrpcRoute: reader(readGrpcRoute, { rules: [{ matches: [{ method: { service: 'a' } }] }] }),
  readFilter: reader(readFilter, { type: 'CORS' }),
  readBackend: reader(readBackend, { name: 'a', filters: [{ type: 'CORS' }] }),
  readService: reader(readService, { ports: [{ port: 1 }] }),
  readEndpointSlice: reader(readEndpointSlice, { endpoints: [{ addresses: ['10.0.0.1'] }], ports: [{ port: 1 }] }),
  readSecret: reader(readSecret, { 'tls.crt': 'AAAA' }),
  readConfigMap: reader(readConfigMap, { 'ca.crt': 'AAAA' }),
  readNamespace: reader(readNamespace, {}),
  readIngress: reader(readIngress, { rules: [{ host: 'a', http: { paths: [{ path: '/', backend: {} }] } }] }),
  readIngressClass: reader(readIngressClass, { parameters: { name: 'a' } }),
  readHoldfastPolicy: reader(readHoldfastPolicy, { targetRefs: [{ kind: 'Gateway', name: 'a' }], require: 'dpop' }),
  readHoldfastParameters: reader(readHoldfastParameters, { configuration: {}, floor: {} }),
};
