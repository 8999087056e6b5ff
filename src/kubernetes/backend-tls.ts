// BackendTLSPolicies: the one that counts for a port of a Service, and its demands.

import { authoritiesOf, type Unresolved } from './certificates.ts';
import { condition } from './condition.ts';
import { type ClusterIndex, inPrecedence, nameKey } from './index.ts';
import type { BackendTlsPolicy, ServicePort } from './objects.ts';
import { GATEWAY_GROUP } from './read-common.ts';
import type { StatusCondition } from './state.ts';

/** TLS to a backend. */
export interface BackendTls {
  /** By which it is called, and known where there are no `subjectAltNames`. */
  readonly serverName: string;
  readonly subjectAltNames: readonly string[];
  /** Undefined: the CAs of the system. */
  readonly ca: string | undefined;
}

/** By type: what the configuration takes for one (config/schema). */
const NAMES: ReadonlyMap<string, RegExp> = new Map([
  ['Hostname', /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})$/],
  ['URI', /^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$/],
]);

interface Judged {
  readonly policy: BackendTlsPolicy;
  readonly tls: BackendTls | undefined;
  readonly accepted: Unresolved | undefined;
  readonly resolved: Unresolved | undefined;
}

/** All BackendTLSPolicies of a cluster by their target; of several for the same target the first one counts. */
export class BackendTlsPolicies {
  /** In their order of precedence. */
  readonly #byTarget = new Map<string, Judged[]>();
  readonly #conflicted = new Map<BackendTlsPolicy, string>();
  readonly #judged = new Map<BackendTlsPolicy, Judged>();

  constructor(index: ClusterIndex) {
    for (const policy of inPrecedence(index.state.backendTlsPolicies)) {
      const judged = judgeOnce(index, policy);
      this.#judged.set(policy, judged);
      for (const target of policy.targetRefs) {
        if (target.group !== '' || target.kind !== 'Service') continue;
        const key = `${nameKey(policy.meta.namespace, target.name)}:${target.sectionName ?? ''}`;
        const known = this.#byTarget.get(key) ?? [];
        if (known[0] !== undefined) this.#conflicted.set(policy, known[0].policy.meta.name);
        known.push(judged);
        this.#byTarget.set(key, known);
      }
    }
  }

  /**
   * The policies for a port: the one that counts, first that for the port by name, and all others with the same target.
   * @returns an empty list: no TLS is demanded
   */
  of(namespace: string, service: string, port: ServicePort): readonly Pick<Judged, 'policy' | 'tls'>[] {
    const key = nameKey(namespace, service);
    const named = port.name === '' ? [] : (this.#byTarget.get(`${key}:${port.name}`) ?? []);
    return [...named, ...(this.#byTarget.get(`${key}:`) ?? [])];
  }

  /** Conditions of a policy as seen by a Gateway whose routes lead to a Service that it targets. */
  conditions(policy: BackendTlsPolicy): readonly StatusCondition[] {
    const judged = this.#judged.get(policy);
    const { generation } = policy.meta;
    const other = this.#conflicted.get(policy);
    const conflict = other === undefined ? undefined : conflictWith(other);
    const accepted = conflict ?? judged?.accepted ?? { reason: 'Accepted', message: 'TLS is used to these backends.' };
    const resolved = judged?.resolved ?? { reason: 'ResolvedRefs', message: 'All references are resolved.' };
    return [
      condition('Accepted', accepted.reason === 'Accepted', { ...accepted, generation }),
      condition('ResolvedRefs', judged?.resolved === undefined, { ...resolved, generation }),
    ];
  }
}

function conflictWith(other: string): Unresolved {
  return { reason: 'Conflicted', message: `BackendTLSPolicy ${other} came first for the same target, and counts.` };
}

/** A policy refers to ConfigMaps of its own namespace. */
function judgeOnce(index: ClusterIndex, policy: BackendTlsPolicy): Judged {
  const { namespace } = policy.meta;
  const read = policy.caCertificateRefs.map(({ name }) => index.configMap(namespace, name));
  return index.memory.keep(policy, 'judged', read, () => judgePolicy(index, policy));
}

function judgePolicy(index: ClusterIndex, policy: BackendTlsPolicy): Judged {
  const from = { group: GATEWAY_GROUP, kind: 'BackendTLSPolicy', namespace: policy.meta.namespace };
  const found = policy.caCertificateRefs.map((reference) =>
    authoritiesOf(index, from, { ...reference, namespace: undefined }),
  );
  const wrong = found.find((one) => 'reason' in one);
  const resolved = wrong && {
    ...wrong,
    reason: wrong.reason === 'InvalidCACertificateKind' ? 'InvalidKind' : wrong.reason,
  };
  const ca = found.flatMap((one) => ('ca' in one ? [one.ca] : []));
  const accepted = unacceptable(policy, ca);
  const tls = {
    serverName: policy.hostname,
    subjectAltNames: policy.subjectAltNames.map(({ value }) => value),
    ca: policy.wellKnown === undefined ? ca.join('\n') : undefined,
  };
  return { policy, tls: accepted === undefined ? tls : undefined, accepted, resolved };
}

function unacceptable(policy: BackendTlsPolicy, ca: readonly string[]): Unresolved | undefined {
  const odd = policy.subjectAltNames.find(({ type, value }) => !NAMES.get(type)?.test(value));
  if (odd !== undefined) {
    const message = `subjectAltNames has ${odd.type} "${odd.value}", expected a Hostname without "*", or a URI.`;
    return { reason: 'Invalid', message };
  }
  if (policy.hostname === '') return { reason: 'Invalid', message: 'The hostname is missing.' };
  if (policy.wellKnown === 'System' && policy.caCertificateRefs.length === 0) return undefined;
  if (policy.wellKnown !== undefined) {
    const message = `wellKnownCACertificates ${policy.wellKnown} is not supported here, expected System, or caCertificateRefs alone.`;
    return { reason: 'Invalid', message };
  }
  if (ca.length > 0) return undefined;
  return { reason: 'NoValidCACertificate', message: 'None of caCertificateRefs leads to CA certificates.' };
}
