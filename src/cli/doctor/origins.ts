// The doctor's look at the origins of listeners: their certificates and their names.

import { X509Certificate } from 'node:crypto';
import { covers } from '../../config/compile/pem.ts';
import { ANY_HOST } from '../../http/host-pattern.ts';
import { hostOf } from '../../http/uri.ts';
import type { Listener, ListenerOrigin } from '../../policy/policy.ts';
import { endOf, type DoctorFinding, findingsOf, type Terms } from './finding.ts';
import { lookAtName } from './upstreams.ts';

/**
 * Looks at every origin of a listener: whether a certificate covers its host, and whether the host has an address.
 * NOT checked: whether the address leads here, which only its clients can see.
 */
export async function lookAtOrigins(listener: Listener, terms: Terms): Promise<readonly DoctorFinding[]> {
  const certificates = (listener.tls?.certificates ?? []).map(({ cert, certFile }) => ({
    leaf: new X509Certificate(cert),
    certFile,
  }));
  const subject = `listener ${listener.name}`;
  const next = 'Put a renewed one in its place: it is loaded without a restart.';
  const ends = certificates.map(({ leaf, certFile }) => {
    const end = endOf({ subject, check: 'certificate end', next }, Date.parse(leaf.validTo) / 1000, terms.now());
    return { ...end, found: `${end.found} (${certFile})` };
  });
  const leaves = certificates.map(({ leaf }) => leaf);
  const origins = await Promise.all(
    listener.origins.map(async (origin) => [
      ...lookAtCertificates(listener, origin, leaves),
      ...(await lookAtAddress(listener, origin, terms)),
    ]),
  );
  return [...ends, ...origins.flat()];
}

function subjectOf({ name }: Listener, { scheme, authority }: ListenerOrigin): string {
  return `listener ${name} ${scheme}://${authority}`;
}

/** Behind trusted peers clients may meet the peer's certificate, and never one of this listener. */
function lookAtCertificates(
  listener: Listener,
  origin: ListenerOrigin,
  leaves: readonly X509Certificate[],
): readonly DoctorFinding[] {
  if (leaves.length === 0) return [];
  const of = findingsOf(subjectOf(listener, origin));
  const host = hostOf(origin.authority).replace('**', '*');
  if (host === ANY_HOST) return [];
  const covering = leaves.find((leaf) => covers(leaf, host));
  if (covering !== undefined) return [of.ok('certificate', `names ${namesOf(covering)}`)];
  const verdict = listener.trustedPeers.length === 0 ? of.fault : of.warning;
  const found = `the certificates name ${leaves.map(namesOf).join('; ')}`;
  const next = `Add a certificate for ${host} to tls.certificates of the listener, or mend the origin.`;
  return [verdict('certificate', found, next, `a certificate for ${host}`)];
}

function namesOf(leaf: X509Certificate): string {
  return (leaf.subjectAltName ?? 'no host').replaceAll(/(?:DNS|IP Address):/g, '');
}

/** The name may be known only outside, so its absence here is no fault. */
async function lookAtAddress(
  listener: Listener,
  origin: ListenerOrigin,
  terms: Terms,
): Promise<readonly DoctorFinding[]> {
  if (origin.wildcard) return [];
  const findings = await lookAtName(subjectOf(listener, origin), hostOf(origin.authority), terms);
  return findings.map((one) => {
    if (one.verdict !== 'fault') return one;
    const next =
      'If clients elsewhere do not know the name either, publish it in DNS; if this machine alone does not, nothing is wrong.';
    return { ...one, verdict: 'warning', next };
  });
}
