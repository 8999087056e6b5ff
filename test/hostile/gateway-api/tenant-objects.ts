// The objects that a tenant writes, and how its requests are told.

import type { RequestWishes } from '../../support/gateway.ts';
import { GATEWAY_API } from './shared-world.ts';

/** What becomes of a request: a backend that got it, or the status and reason of the refusal. */
export type Fate = 'shop' | 'evil' | `${number}` | `${number} ${string}`;

/** A request for the host of the tenant, unless it says another one. */
export interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly host?: string;
  /** SNI of the connection, where it is not the host. */
  readonly servername?: string;
  /** Who asks: somebody without credentials; the holder of a token with a proof, whose claims are these too. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Seconds since the proof was made. */
  readonly age?: number;
  /** An unbound token as Bearer. */
  readonly bearer?: true;
  readonly fields?: RequestWishes['fields'];
  readonly body?: string;
  readonly fate: Fate;
  /** In lines `name: value` of what the backend got, in small letters: what must not be there. */
  readonly without?: RegExp;
}

export interface TenantAttack {
  readonly what: string;
  /** Objects as YAML. HOST stands for a host of this attack alone, NAME for a name. */
  readonly objects: string;
  readonly asked: readonly Asked[];
}

/** A route of the tenant for its host. @param rest of the spec, with its rules */
export const route = (rest: string, kind = 'HTTPRoute') => `
apiVersion: ${GATEWAY_API}/v1
kind: ${kind}
metadata: { name: NAME, namespace: evil }
spec: { parentRefs: [{ name: shared, namespace: infra }], ${rest} }
---`;
export const own = (rule = '') => route(`hostnames: [HOST], rules: [{ ${rule}${rule === '' ? '' : ', '}${OWN} }]`);
export const OWN = 'backendRefs: [{ name: evil, port: 80 }]';
export const filter = (text: string) => own(`filters: [${text}]`);
export const policy = (keys: string, target = 'kind: HTTPRoute, name: NAME') => `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: NAME, namespace: evil }
spec: { targetRefs: [{ group: ${GATEWAY_API}, ${target} }], ${keys} }
---`;
export const grant = (namespace: string, spec: string) => `
apiVersion: ${GATEWAY_API}/v1beta1
kind: ReferenceGrant
metadata: { name: NAME, namespace: ${namespace} }
spec: ${spec}
---`;

/** The floor of the Gateway demands a proof of a token with the scope `api`. */
export const GOOD = { scope: 'api' };
export const anonymous: Asked = { fate: '401 credentials_missing' };
export const holder: Asked = { claims: GOOD, fate: 'evil' };
export const withheld: readonly Asked[] = [{ fate: '503' }, { claims: GOOD, fate: '503' }];
/** The floor, and no more: what all weaker policies come to. */
export const floor: readonly Asked[] = [
  anonymous,
  { bearer: true, fate: '401 binding_required' },
  { claims: { scope: 'else' }, fate: '403 scope_insufficient' },
  { claims: GOOD, age: 200, fate: '401 proof_stale' },
  { ...holder, without: /^(?:authorization|dpop):/ },
];
