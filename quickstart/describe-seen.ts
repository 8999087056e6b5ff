// The fields that the upstream of a scene saw, told in words.

import { X509Certificate } from 'node:crypto';
import { FORGED } from './demo-scenes.ts';
import type { Seen } from './echo-upstream.ts';

/** Whom the upstream takes the client for; and loudly, what should never have reached it. @param seen undefined: nothing came */
export function describeSeen(seen: Pick<Seen, 'fields'> | undefined): string {
  if (seen === undefined) return 'nothing';
  const fields = new Map(Object.entries(seen.fields).map(([name, value]) => [name.toLowerCase(), [value].flat()]));
  const one = (name: string) => fields.get(name)?.join(', ');
  const subject = readClientCert(one('client-cert'));
  const inner = [one('x-auth-binding'), subject].filter((part) => part !== undefined).join(', ');
  const leaked = [...fields]
    .filter(([name, values]) => name === 'authorization' || name === 'dpop' || values.includes(FORGED))
    .map(([name]) => `, ${name.toUpperCase()}!`);
  const client = one('x-auth-client');
  return (client === undefined && inner === '' ? 'no identity' : `${client} (${inner})`) + leaked.join('');
}

/** The subject in a Client-Cert field (RFC 9440 §2.1). */
function readClientCert(value: string | undefined): string | undefined {
  const der = /^:(.+):$/.exec(value ?? '')?.[1];
  return der === undefined ? value : new X509Certificate(Buffer.from(der, 'base64')).subject;
}
