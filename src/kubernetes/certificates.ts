// Certificates, keys and CAs of Secrets and ConfigMaps: PEM texts, or reasons against them.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readAuthorities } from '../certificate/chain.ts';
import type { ClusterIndex, Crossing } from './index.ts';
import type { GatewayObject, Reference } from './objects.ts';
import { GATEWAY_GROUP } from './read-common.ts';

/** Why a reference cannot be used, in the words of conditions. */
export interface Unresolved {
  readonly reason: string;
  readonly message: string;
}

export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

export type Owner = Crossing['from'];

/** What messages call a reference. */
function shown({ kind, name, namespace }: Reference, owner: Owner): string {
  return `${kind} ${namespace ?? owner.namespace}/${name}`;
}

function isPermitted(index: ClusterIndex, owner: Owner, reference: Reference): boolean {
  const { group, kind, name, namespace = owner.namespace } = reference;
  return index.permits({ from: owner, to: { group, kind, namespace, name } });
}

/**
 * The certificate and key of a Secret of type kubernetes.io/tls.
 * @param now seconds since the epoch
 * NOT checked: names in the certificate, and its chain.
 */
export function pairOf(index: ClusterIndex, owner: Owner, reference: Reference, now: number): PemPair | Unresolved {
  const invalid = (message: string): Unresolved => ({
    reason: 'InvalidCertificateRef',
    message: `${shown(reference, owner)} ${message}`,
  });
  if (reference.group !== '' || reference.kind !== 'Secret') return invalid('is not a Secret, expected one');
  if (!isPermitted(index, owner, reference)) {
    const message = `${shown(reference, owner)} is in another namespace, expected a ReferenceGrant there for ${owner.kind}s of ${owner.namespace}`;
    return { reason: 'RefNotPermitted', message };
  }
  const secret = index.secret(reference.namespace ?? owner.namespace, reference.name);
  if (secret === undefined) return invalid('does not exist, or the controller may not read it');
  const [cert, key] = [secret.data.get('tls.crt'), secret.data.get('tls.key')];
  if (cert === undefined || key === undefined) return invalid('has no tls.crt or no tls.key, expected both');
  const pair = index.memory.keep(secret, 'pair', [], () => readPair(cert, key));
  const trouble = troubleWith(pair, now);
  return trouble === undefined ? { cert, key } : invalid(trouble);
}

/**
 * What a Gateway shows to backends that ask for a certificate (`spec.tls.backend`); undefined: none is wanted.
 * @param now seconds since the epoch
 */
export function backendCertificateOf(
  index: ClusterIndex,
  { meta, backendCertificate }: GatewayObject,
  now: number,
): PemPair | Unresolved | undefined {
  if (backendCertificate === undefined) return undefined;
  const owner = { group: GATEWAY_GROUP, kind: 'Gateway', namespace: meta.namespace };
  const found = pairOf(index, owner, backendCertificate, now);
  if (!('reason' in found) || found.reason === 'RefNotPermitted') return found;
  return { ...found, reason: 'InvalidClientCertificateRef' };
}

/** What does not change about a pair. */
interface ReadPair {
  readonly trouble: string | undefined;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

function readPair(cert: string, key: string): ReadPair {
  const [leaf, privateKey] = [readAuthorities(cert)?.[0], keyOfPem(key)];
  const from = leaf?.validFromDate.getTime() ?? 0;
  const to = leaf?.validToDate.getTime() ?? 0;
  if (leaf === undefined) return { trouble: 'has no readable certificate in tls.crt, expected PEM', from, to };
  if (privateKey === undefined) {
    return { trouble: 'has no readable private key in tls.key, expected PEM without a password', from, to };
  }
  const isOwn = leaf.checkPrivateKey(privateKey);
  return { trouble: isOwn ? undefined : 'has the key of another certificate in tls.key', from, to };
}

function troubleWith({ trouble, from, to }: ReadPair, now: number): string | undefined {
  if (trouble !== undefined) return trouble;
  if (now > to / 1000) return 'has a certificate that has expired';
  return now < from / 1000 ? 'has a certificate that is not valid yet' : undefined;
}

function keyOfPem(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined; // no word about the content of a key may leave here
  }
}

/** The CA certificates of a ConfigMap: its `ca.crt`. NOT checked: their validity. */
export function authoritiesOf(
  index: ClusterIndex,
  owner: Owner,
  reference: Reference,
): { readonly ca: string } | Unresolved {
  const { group, kind, name, namespace = owner.namespace } = reference;
  if (group !== '' || kind !== 'ConfigMap') {
    const message = `${shown(reference, owner)} is not a ConfigMap, expected one with CA certificates in ca.crt`;
    return { reason: 'InvalidCACertificateKind', message };
  }
  if (!isPermitted(index, owner, reference)) {
    const message = `${shown(reference, owner)} is in another namespace, expected a ReferenceGrant there for ${owner.kind}s of ${owner.namespace}`;
    return { reason: 'RefNotPermitted', message };
  }
  const ca = index.configMap(namespace, name)?.data.get('ca.crt');
  const found = ca === undefined ? undefined : readAuthorities(ca);
  // What else is in the text would only fill the Secret in which all have their certificates.
  if (found !== undefined && found.length > 0) return { ca: found.map(String).join('') };
  const message = `${shown(reference, owner)} has no readable CA certificates in ca.crt, or does not exist`;
  return { reason: 'InvalidCACertificateRef', message };
}
