// PEM files that the configuration names: certificates, keys and CAs, read at load time.

import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readAuthorities } from '../../certificate/chain.ts';
import type { Compilation } from './compilation.ts';
import type { ConfigPath } from '../problem.ts';

const REVOCATIONS = /-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/;

/** Seconds before its end for which a certificate is warned of, or the last third of its time where that is shorter. */
const SOON = 30 * 24 * 60 * 60;
/** More certificates than this are a collection of others, not the operator's own. */
const FEW = 10;

/** A certificate with its private key, PEM texts, and where the certificate came from. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly leaf: X509Certificate;
}

/**
 * Reads the `cert` and `key_file` under `at`. Problems: no PEM, a key of another certificate, a certificate outside its
 * validity. Warning: one that ends soon. @returns undefined after a problem, and where the files are absent
 * NOT checked: the chain, revocation, key sizes, and names (see `covers`).
 */
export function keyPairAt(compilation: Compilation, at: ConfigPath): KeyPair | undefined {
  const [certAt, keyAt] = [
    [...at, 'cert'],
    [...at, 'key_file'],
  ];
  const [certFile, keyFile] = [compilation.fileAt(certAt), compilation.fileAt(keyAt)];
  if (certFile === undefined || keyFile === undefined) return undefined;
  const [cert, key] = [certFile.content.toString('latin1'), keyFile.content.toString('latin1')];
  const [leaf, privateKey] = [readAuthorities(cert)?.[0], readPrivateKey(key)];
  if (leaf === undefined) compilation.problem(certAt, 'is not a readable certificate, expected a PEM file');
  if (privateKey === undefined)
    compilation.problem(keyAt, 'is not a readable private key, expected a PEM file without password');
  if (leaf === undefined || privateKey === undefined) return undefined;
  if (!leaf.checkPrivateKey(privateKey)) compilation.problem(keyAt, 'is not the key of cert, expected its private key');
  const [from, to] = [leaf.validFromDate.getTime() / 1000, leaf.validToDate.getTime() / 1000];
  if (compilation.now > to)
    compilation.problem(certAt, `expired on ${day(to)}, expected a certificate that is valid now`);
  if (compilation.now < from)
    compilation.problem(certAt, `is not valid before ${day(from)}, expected one that is valid now`);
  warnOfEnd(compilation, certAt, readAuthorities(cert) ?? []);
  return { cert, key, certFile: certFile.path, leaf };
}

/** Renewals come in the last third of a certificate's time: one that is later has probably been forgotten. */
function warnOfEnd(compilation: Compilation, at: ConfigPath, chain: readonly X509Certificate[]): void {
  for (const [index, { validFromDate, validToDate }] of chain.entries()) {
    const [from, to] = [validFromDate.getTime() / 1000, validToDate.getTime() / 1000];
    const left = to - compilation.now;
    if (left < 0 || left > Math.min(SOON, (to - from) / 3)) continue;
    const which = index === 0 ? 'ends' : `has a certificate further on (number ${index + 1}) that ends`;
    const days = Math.floor(left / (24 * 60 * 60));
    const when = days === 0 ? 'today' : days === 1 ? 'tomorrow' : `in ${days} days`;
    return compilation.warning(
      at,
      `${which} on ${day(to)}, ${when}: put a renewed one in its place; it is loaded without a restart`,
    );
  }
}

/** The CA certificates of the file that `at` names, as PEM text; undefined where absent, and after a problem. */
export function authoritiesAt(compilation: Compilation, at: ConfigPath): string | undefined {
  const text = compilation.fileAt(at)?.content.toString('latin1');
  if (text !== undefined && readAuthorities(text) === undefined) {
    compilation.problem(at, 'has no readable certificates, expected a PEM file with CA certificates');
    return undefined;
  }
  const authorities = readAuthorities(text ?? '') ?? [];
  if (authorities.length <= FEW) warnOfEnd(compilation, at, authorities);
  return text;
}

/** The revocation lists of the file that `at` names, as PEM text; undefined where absent. Their dates and signatures are NOT checked. */
export function revocationsAt(compilation: Compilation, at: ConfigPath): string | undefined {
  const text = compilation.fileAt(at)?.content.toString('latin1');
  if (text !== undefined && !REVOCATIONS.test(text)) {
    compilation.problem(at, 'has no revocation list, expected a PEM file with X509 CRL blocks');
  }
  return text;
}

/**
 * Whether a certificate names a host as TLS clients compare it (RFC 9525 §6.3): by its subject alternative names alone.
 * @param host without port, IPv6 in brackets; `*.example.com` asks whether every one-label name below is covered
 */
export function covers(leaf: X509Certificate, host: string): boolean {
  const address = host.startsWith('[') ? host.slice(1, -1) : host;
  if (/^[0-9.]+$|:/.test(address)) return leaf.checkIP(address) !== undefined;
  const name = host.startsWith('*.') ? `any-one-label${host.slice(1)}` : host;
  return leaf.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
}

function readPrivateKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined; // reported by the caller: no word about the content of a key may leave here
  }
}

function day(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}
