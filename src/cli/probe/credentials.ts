// The credentials of a probe: a token, what it is bound to, and what shows the binding.

import { createPublicKey, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { readPem } from '../../certificate/encoding.ts';
import { readCertificate } from '../../certificate/leaf.ts';
import { type CompactJws, isJsonObject, readCompactJws, readJsonObject } from '../../jose/jws.ts';
import { readKeySet, type VerificationKey } from '../../jose/key-set.ts';
import { readSigningKey, SIGNING_KEY_EXPECTED, type SigningKey } from '../../jose/signing-key.ts';
import type { CertificateFacts } from '../../request-facts.ts';
import { UsageError } from '../arguments.ts';
import type { ProbeKey } from './forgery.ts';
import { readNamedFile, type ProbeOption, type ProbeOptions } from './settings.ts';
import type { ShownCertificate } from './wire.ts';

/** A token as the probe got it; nothing of it is verified. */
export interface ProbeToken {
  readonly text: string;
  /** undefined: opaque. */
  readonly jws: CompactJws | undefined;
}

/** The client's certificate with its key. */
export interface ProbeCertificate {
  readonly shown: ShownCertificate;
  readonly facts: CertificateFacts;
}

export interface Credentials {
  readonly token: ProbeToken;
  /** The key to which the token is bound; undefined: to none. */
  readonly key: ProbeKey | undefined;
  /** The certificate to which the token is bound; undefined: to none. */
  readonly bound: ProbeCertificate | undefined;
  /** The certificate that is shown on connections, bound or not. */
  readonly certificate: ProbeCertificate | undefined;
  /** The public key by which the token is verified. */
  readonly issuerKey: KeyObject | undefined;
  /** Further tokens, for attacks that need them. */
  readonly others: { readonly [K in OtherToken]: ProbeToken | undefined };
}

/** Of no binding, out of date, and for another API. */
export type OtherToken = 'unbound' | 'expired' | 'foreign';

/** What options give without a token endpoint. */
export interface GivenCredentials {
  readonly key: SigningKey | undefined;
  readonly certificate: ProbeCertificate | undefined;
}

/** The key and the certificate that options name. @throws UsageError */
export function readGiven(options: ProbeOptions): GivenCredentials {
  const keyFile = options['dpop-key-file'];
  return {
    key: keyFile === undefined ? undefined : readKeyFile('dpop-key-file', keyFile),
    certificate: readCertificateFiles(options['cert-file'], options['key-file']),
  };
}

/** @throws UsageError */
export function readKeyFile(option: ProbeOption, file: string): SigningKey {
  const key = readSigningKey(readNamedFile(option, file));
  if (key === undefined) throw new UsageError(`--${option} ${file} holds no usable key, ${SIGNING_KEY_EXPECTED}`);
  return key;
}

function readCertificateFiles(cert: string | undefined, key: string | undefined): ProbeCertificate | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new UsageError('--cert-file and --key-file belong together');
  const shown = { cert: `${readNamedFile('cert-file', cert)}\n`, key: readNamedFile('key-file', key) };
  const [leaf] = readPem(shown.cert) ?? [];
  const facts = leaf && readCertificate(leaf);
  if (facts === undefined) throw new UsageError(`--cert-file ${cert} is not PEM of certificates, the client's first`);
  try {
    createSecureContext(shown);
  } catch (error) {
    throw new UsageError(`--key-file ${key} is not the key of --cert-file, in PEM without a passphrase`, {
      cause: error,
    });
  }
  return { shown, facts };
}

/** @param text alone or after its scheme @returns undefined: not a token (RFC 6750 §2.1) */
export function readToken(text: string): ProbeToken | undefined {
  const alone = text.replace(/^(?:DPoP|Bearer) +/i, '');
  return /^[A-Za-z0-9\-._~+/]+=*$/.test(alone) ? { text: alone, jws: readCompactJws(alone) } : undefined;
}

/** @throws UsageError */
export function readTokenFile(option: ProbeOption, file: string): ProbeToken {
  const token = readToken(readNamedFile(option, file));
  if (token === undefined) throw new UsageError(`--${option} ${file} holds no access token`);
  return token;
}

/** Is the token bound to this thumbprint; undefined: it is opaque, and does not say. */
function isBoundTo({ jws }: ProbeToken, method: 'jkt' | 'x5t#S256', thumbprint: string | undefined) {
  if (jws === undefined) return undefined;
  const cnf = jws.payload.cnf;
  const bound = isJsonObject(cnf) ? cnf[method] : undefined;
  if (bound === undefined) return false;
  if (bound === thumbprint) return true;
  const [what, options] =
    method === 'jkt' ? ['DPoP key', '--dpop-key-file'] : ['client certificate', '--cert-file and --key-file'];
  throw new UsageError(
    thumbprint === undefined
      ? `the token is bound to a ${what}; ${options} must name it`
      : `the token is bound to another ${what} than that of ${options} (its thumbprint is ${thumbprint})`,
  );
}

/**
 * Puts together what was given or issued. An opaque token counts as bound to the key that was given, else to the certificate.
 * @param key that was given, or made for the token
 * @throws UsageError where the token is bound to something that is not there
 */
export function gatherCredentials(
  token: ProbeToken,
  key: ProbeKey | undefined,
  certificate: ProbeCertificate | undefined,
  options: ProbeOptions,
): Credentials {
  const toKey = isBoundTo(token, 'jkt', key?.thumbprint) ?? key !== undefined;
  const toCertificate = isBoundTo(token, 'x5t#S256', certificate?.facts.thumbprint) ?? !toKey;
  return {
    token,
    key: toKey ? key : undefined,
    bound: toCertificate ? certificate : undefined,
    certificate,
    issuerKey: readIssuerKey(options['jwks-file'], token),
    others: {
      unbound: readOther('unbound', options),
      expired: readOther('expired', options),
      foreign: readOther('foreign', options),
    },
  };
}

/** A second token that is refused for another reason than the one that is tried would show nothing. @throws UsageError */
function readOther(kind: OtherToken, options: ProbeOptions): ProbeToken | undefined {
  const option = `${kind}-token-file` as const;
  const file = options[option];
  if (file === undefined) return undefined;
  const token = readTokenFile(option, file);
  const { exp, cnf } = token.jws?.payload ?? {};
  const expired = typeof exp === 'number' && exp < Date.now() / 1000;
  if (kind === 'expired' ? typeof exp === 'number' && !expired : expired) {
    throw new UsageError(
      `--${option} ${file}: the token has ${expired ? '' : 'not '}expired, which is not what is tried`,
    );
  }
  if (kind === 'unbound' && cnf !== undefined) throw new UsageError(`--${option} ${file}: the token is bound (cnf)`);
  return token;
}

function readIssuerKey(file: string | undefined, { jws }: ProbeToken): KeyObject | undefined {
  if (file === undefined) return undefined;
  const set = readKeySet(readJsonObject(readNamedFile('jwks-file', file)));
  if (set === 'malformed') throw new UsageError(`--jwks-file ${file} is not a JWK set (RFC 7517 §5)`);
  const named = (one: VerificationKey) => one.kid === jws?.header.kid;
  const found = set.keys.find(named) ?? set.keys[0];
  return found && createPublicKey(found.key.export({ type: 'spki', format: 'pem' }));
}

/** The key that a second token is bound to, of those that are there; undefined: it is sent as Bearer. */
export function keyFor(token: ProbeToken, { key }: Credentials): ProbeKey | undefined {
  const cnf = token.jws?.payload.cnf;
  const jkt = isJsonObject(cnf) ? cnf['jkt'] : undefined;
  return token.jws === undefined || jkt === key?.thumbprint ? key : undefined;
}
