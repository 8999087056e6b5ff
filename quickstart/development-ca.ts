// The development CA, and its certificates for the server and two clients.

// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 wants it loaded before itself
import 'reflect-metadata';
import { createPrivateKey, KeyObject, type webcrypto, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { openFolder, writePrivate } from './settings.ts';

/** PEM texts. */
export interface Credential {
  readonly cert: string;
  readonly key: string;
}

export interface DevelopmentCertificates {
  /** PEM text of the CA's certificate; its private key was never written down. */
  readonly ca: string;
  /** For localhost, 127.0.0.1 and ::1. */
  readonly server: Credential;
  /** The rightful client. */
  readonly alice: Credential;
  /** Another client of the same CA. */
  readonly mallory: Credential;
}

const DAY = 86_400;
const LIFETIME = 90 * DAY;
/** A certificate that ends sooner is made anew. */
const MARGIN = DAY;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOLDERS = ['server', 'alice', 'mallory'] as const;

interface Authority {
  readonly cert: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

/**
 * Makes a CA and its three certificates, all for 90 days around `now` (seconds). The private key of the CA is forgotten:
 * nobody can issue more in its name. Nothing here is meant for anything but a development machine.
 */
export async function makeDevelopmentCertificates(now: number): Promise<DevelopmentCertificates> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Holdfast development CA',
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(now),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const authority = { cert, key: keys.privateKey };
  const local = ['localhost', '127.0.0.1', '::1'];
  return {
    ca: cert.toString('pem'),
    server: await issue(authority, now, 'CN=localhost', local, x509.ExtendedKeyUsage.serverAuth),
    alice: await issue(authority, now, 'CN=alice', ['alice.example.com'], x509.ExtendedKeyUsage.clientAuth),
    mallory: await issue(authority, now, 'CN=mallory', ['mallory.example.com'], x509.ExtendedKeyUsage.clientAuth),
  };
}

/** Issues one end-entity certificate; a name with no letter in it, or with a colon, is an IP address. */
async function issue(
  authority: Authority,
  now: number,
  subject: string,
  names: readonly string[],
  usage: x509.ExtendedKeyUsage,
): Promise<Credential> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const cert = await x509.X509CertificateGenerator.create({
    subject,
    issuer: authority.cert.subject,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    signingAlgorithm: ALGORITHM,
    ...validity(now),
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: /:|^[\d.]+$/.test(value) ? 'ip' : 'dns', value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(authority.cert),
    ],
  });
  return { cert: cert.toString('pem'), key: pemOf(keys.privateKey) };
}

function validity(now: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date((now - 3600) * 1000), notAfter: new Date((now + LIFETIME) * 1000) };
}

function pemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ format: 'pem', type: 'pkcs8' });
}

/**
 * The certificates in `folder` (`ca.pem`, `server.pem` and `.key`, `alice.…`, `mallory.…`), made anew and written
 * together when one is missing, does not fit the others or ends within a day of `now` (seconds).
 */
export async function keepDevelopmentCertificates(folder: string, now: number): Promise<DevelopmentCertificates> {
  const kept = await readCertificates(folder);
  if (kept && isUsable(kept, now)) return kept;
  const made = await makeDevelopmentCertificates(now);
  await openFolder(folder);
  await writePrivate(join(folder, 'ca.pem'), made.ca);
  for (const holder of HOLDERS) {
    await writePrivate(join(folder, `${holder}.pem`), made[holder].cert);
    await writePrivate(join(folder, `${holder}.key`), made[holder].key);
  }
  return made;
}

/** `undefined` where a file is missing. */
async function readCertificates(folder: string): Promise<DevelopmentCertificates | undefined> {
  const read = (name: string) => readFile(join(folder, name), 'utf8').catch(() => '');
  const credential = async (holder: string): Promise<Credential> => ({
    cert: await read(`${holder}.pem`),
    key: await read(`${holder}.key`),
  });
  const found = {
    ca: await read('ca.pem'),
    server: await credential('server'),
    alice: await credential('alice'),
    mallory: await credential('mallory'),
  };
  const whole = found.ca !== '' && HOLDERS.every((holder) => found[holder].cert !== '' && found[holder].key !== '');
  return whole ? found : undefined;
}

function isUsable(kept: DevelopmentCertificates, now: number): boolean {
  try {
    const ca = new X509Certificate(kept.ca);
    return HOLDERS.every((holder) => {
      const cert = new X509Certificate(kept[holder].cert);
      return (
        cert.validToDate.getTime() / 1000 > now + MARGIN &&
        cert.validFromDate.getTime() / 1000 <= now &&
        cert.verify(ca.publicKey) &&
        cert.checkPrivateKey(createPrivateKey(kept[holder].key))
      );
    });
  } catch {
    return false; // a file that does not parse: replaced like one that is missing
  }
}
