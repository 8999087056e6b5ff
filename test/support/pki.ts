// A certification authority for tests: real certificates and CRLs, in memory.

import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RSA = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: Buffer.from([1, 0, 1]), hash: 'SHA-256' };
const DAY = 24 * 60 * 60;

/** A certificate with its key, in the forms that servers, clients and the code under test take. */
export interface TestCertificate {
  /** PEM of this certificate alone. */
  readonly cert: string;
  /** PEM of this certificate and the intermediate CAs up to the root, which is left out: what a server or client presents. */
  readonly chain: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly der: Buffer;
  /** `x5t#S256`: base64url SHA-256 of the DER. */
  readonly thumbprint: string;
  readonly signer: webcrypto.CryptoKeyPair;
  readonly issuer: TestCertificate | undefined;
}

/** A certificate that signs others. */
export type TestCa = TestCertificate;

export interface CertificateWishes {
  /** DNS names, IP addresses and URIs for subjectAltName; empty: no such extension. */
  readonly names?: readonly string[];
  /** Distinguished name; the default is made from the first of `names`. */
  readonly subject?: string;
  /** Who signs it, even if that is no CA; absent: itself. */
  readonly ca?: TestCertificate;
  /** Seconds since the epoch; the default is an hour ago. */
  readonly notBefore?: number;
  /** Seconds since the epoch; the default is in a day. */
  readonly notAfter?: number;
  /** Absent: EC P-256; an RSA one, of 2048 bits, needs a `ca`. */
  readonly key?: 'RSA';
  /** Object identifiers for extKeyUsage; absent: no such extension. */
  readonly purposes?: readonly string[];
}

/** A CA; with `ca` an intermediate one. */
export async function makeCa(wishes: CertificateWishes = {}): Promise<TestCa> {
  const extensions = [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
  return await make({ subject: 'CN=Test CA', ...wishes }, extensions);
}

/** A leaf certificate for a server or a client. */
export async function makeCertificate(wishes: CertificateWishes = {}): Promise<TestCertificate> {
  return await make(wishes, [new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true)]);
}

/** PEM of a revocation list of `ca`. @param nextUpdate seconds since the epoch; the default is in a day */
export async function makeCrl(
  ca: TestCertificate,
  revoked: readonly TestCertificate[],
  nextUpdate?: number,
): Promise<string> {
  const crl = await X509CrlGenerator.create({
    issuer: new X509Certificate(ca.cert).subject,
    thisUpdate: at(now() - 2 * DAY),
    nextUpdate: at(nextUpdate ?? now() + DAY),
    entries: revoked.map(({ cert }) => ({ serialNumber: new X509Certificate(cert).serialNumber })),
    signingAlgorithm: ALGORITHM,
    signingKey: ca.signer.privateKey,
  });
  return pem('X509 CRL', crl.rawData);
}

async function make(wishes: CertificateWishes, extensions: readonly Extension[]): Promise<TestCertificate> {
  const { names = [], ca, purposes } = wishes;
  const signer = await webcrypto.subtle.generateKey(wishes.key === 'RSA' ? RSA : ALGORITHM, true, ['sign', 'verify']);
  const subject = wishes.subject ?? `CN=${(names[0] ?? 'nameless').replaceAll(/[^A-Za-z0-9.-]/g, ' ').trim()}`;
  const certificate = await X509CertificateGenerator.create({
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8)))
      .toString('hex')
      .replace(/^./, '1'),
    subject,
    issuer: ca === undefined ? subject : new X509Certificate(ca.cert).subject,
    notBefore: at(wishes.notBefore ?? now() - 60 * 60),
    notAfter: at(wishes.notAfter ?? now() + DAY),
    publicKey: signer.publicKey,
    signingKey: (ca?.signer ?? signer).privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      ...extensions,
      ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names.map(generalName))]),
      ...(purposes === undefined ? [] : [new ExtendedKeyUsageExtension([...purposes])]),
      await SubjectKeyIdentifierExtension.create(signer.publicKey),
      await AuthorityKeyIdentifierExtension.create((ca?.signer ?? signer).publicKey),
    ],
  });
  const cert = certificate.toString('pem');
  const der = Buffer.from(certificate.rawData);
  return {
    cert,
    chain: [cert, ...intermediates(ca)].join('\n'),
    key: pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', signer.privateKey)),
    der,
    thumbprint: createHash('sha256').update(der).digest('base64url'),
    signer,
    issuer: ca,
  };
}

function intermediates(ca: TestCertificate | undefined): string[] {
  return ca?.issuer === undefined ? [] : [ca.cert, ...intermediates(ca.issuer)];
}

function generalName(name: string): { type: 'ip' | 'url' | 'dns'; value: string } {
  if (isIP(name) !== 0) return { type: 'ip', value: name };
  return { type: /^[a-z]+:/.test(name) ? 'url' : 'dns', value: name };
}

/** RFC 7468; the label of a CRL is `X509 CRL`, which the library does not write. */
function pem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

function now(): number {
  return Date.now() / 1000;
}

function at(seconds: number): Date {
  return new Date(seconds * 1000);
}
