// TLS of a listener: certificates by name, profiles, and how clients are asked for theirs.

import { constants, hash, hkdfSync, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls';
import { readAuthorities } from '../../certificate/chain.ts';
import { readCertificate } from '../../certificate/leaf.ts';
import type {
  CertificateFiles,
  ClientCertificatePolicy,
  Listener,
  ListenerTls,
  TlsProfile,
} from '../../policy/policy.ts';

const TLS_1_3 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
/** RFC 9325 §4.2 recommends these four; the two of RSA are also those of FAPI 1.0 Advanced §8.5 with ECDHE. */
const AES_GCM = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
];

/** Suites in the order in which they are preferred; all of TLS 1.2 have forward secrecy and are AEAD. */
const SUITES: Readonly<Record<TlsProfile, readonly string[]>> = {
  modern: TLS_1_3,
  intermediate: [...TLS_1_3, ...AES_GCM, 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
  fapi: [...TLS_1_3, ...AES_GCM],
};

export interface TlsMaterial {
  /** For the server. */
  readonly options: TlsOptions;
  /** The CAs of clients under `verify: chain`, for building chains. */
  readonly authorities: readonly X509Certificate[];
}

/**
 * Turns PEM texts into what a TLS server needs. SNI picks the certificate by the names that it is given, then by the certificates' own
 * names, exact before wildcard, the first where none fits.
 * Throws an Error that names listener and file for a certificate, key, CA or CRL that cannot be used, and for `chain`
 * without a CA: Node would take the public ones.
 * NOT checked: dates of our certificates, and that they cover the listener's origins.
 */
export function compileTlsMaterial(listener: Listener, tls: ListenerTls): TlsMaterial {
  const { certificates, minVersion, profile = 'intermediate' } = tls;
  const [first, ...others] = certificates;
  if (first === undefined) throw new Error(`listener "${listener.name}": tls.certificates is empty`);
  const clients = compileClients(listener);
  const ciphers = SUITES[profile].join(':');
  const shared: SecureContextOptions = { ...clients.context, minVersion, ciphers, honorCipherOrder: true };
  const contextOf = (files: CertificateFiles) => compileContext(listener, files, shared);
  contextOf(first);
  const names = compileNames(
    listener,
    first,
    others.map((files) => ({ files, context: contextOf(files) })),
  );
  return {
    authorities: clients.authorities,
    options: {
      ...shared,
      cert: first.cert,
      key: first.key,
      ALPNProtocols: listener.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      SNICallback: (name, done) => done(null, chooseContext(names, name.toLowerCase())),
      handshakeTimeout: listener.limits.headerTimeout * 1000,
      ...clients.request,
    },
  };
}

/** Bytes: a name, an AES key and an HMAC key (Node's `ticketKeys`). */
const TICKET_KEYS = 48;

/**
 * Keys of session tickets (RFC 5077 §4), different ones for each listener and each `client_certificate`: tickets cross neither
 * (C0.36), and a reload that changes CA or CRL rotates them (C5.4). The same secret derives the same keys.
 */
export function compileTicketKeys(secret: Uint8Array, { name, clientCertificate }: Listener): Buffer {
  const info = JSON.stringify(['holdfast session tickets', name, clientCertificate]);
  return Buffer.from(hkdfSync('sha256', secret, '', hash('sha256', info, 'buffer'), TICKET_KEYS));
}

/**
 * `rejectUnauthorized` only where a missing certificate must fail the handshake and the alert says so. Everywhere else the
 * handshake goes through, so that an answer can say what is wrong with the certificate.
 * Resumption is off: a resumed session was not verified itself (C5.2). SSL_OP_NO_TICKET ends tickets; Node
 * keeps no sessions of its own, so the stateful ones of TLS 1.3 are never found again.
 */
function compileClients({ name, clientCertificate: policy }: Listener) {
  if (policy.request === 'none') return { request: {}, context: {}, authorities: [] };
  const chain = policy.verify === 'chain';
  const authorities = chain ? readAuthorities(policy.ca ?? '') : [];
  if (authorities === undefined) throw new Error(`listener "${name}": client_certificate.ca_file holds no certificate`);
  return {
    request: { requestCert: true, rejectUnauthorized: chain && policy.request === 'required' },
    context: { secureOptions: constants.SSL_OP_NO_TICKET, ...(chain ? compileTrust(name, policy, authorities) : {}) },
    authorities,
  };
}

/**
 * Each CA and CRL is handed over alone: Node reads one CRL of a text, and no CA that follows another without a line break.
 * OpenSSL then asks for a list of every CA of a chain.
 */
function compileTrust(
  name: string,
  { crl }: ClientCertificatePolicy,
  authorities: readonly X509Certificate[],
): SecureContextOptions {
  const ca = authorities.map(String);
  if (crl === undefined) return { ca };
  const lists = crl.match(/-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----/g) ?? [];
  if (lists.length === 0) throw new Error(`listener "${name}": client_certificate.crl_file holds no CRL`);
  return { ca, crl: lists };
}

function compileContext(listener: Listener, files: CertificateFiles, shared: SecureContextOptions): SecureContext {
  try {
    return createSecureContext({ ...shared, cert: files.cert, key: files.key });
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^error:[^:]*:[^:]*:[^:]*:/, '') : 'unusable';
    throw new Error(`listener "${listener.name}": TLS with certificate ${files.certFile} and its key: ${why}`, {
      cause: error,
    });
  }
}

/** Names, `*.` and `**.` names → context; undefined as value: the server's own, which has the first certificate. */
type Names = ReadonlyMap<string, SecureContext | undefined>;

/** Given names come first: who writes a host into a certificate does not thereby get it from the one who was given it. */
interface NamedContexts {
  readonly given: Names;
  readonly own: Names;
}

function compileNames(
  listener: Listener,
  first: CertificateFiles,
  others: readonly { files: CertificateFiles; context: SecureContext }[],
): NamedContexts {
  const [given, own] = [new Map<string, SecureContext | undefined>(), new Map<string, SecureContext | undefined>()];
  for (const { files, context } of [{ files: first, context: undefined }, ...others]) {
    const facts = readCertificate(new X509Certificate(files.cert).raw);
    if (facts === undefined)
      throw new Error(`listener "${listener.name}": ${files.certFile} is not a readable certificate`);
    const [to, names] = files.names === undefined ? [own, facts.dnsNames] : [given, files.names];
    for (const name of names) if (!to.has(name.toLowerCase())) to.set(name.toLowerCase(), context);
  }
  return { given, own };
}

function chooseContext({ given, own }: NamedContexts, name: string): SecureContext | undefined {
  const key = fittingName(given, name);
  if (key !== undefined) return given.get(key);
  return own.get(fittingName(own, name) ?? '');
}

/** Exact, then with one label, then the longest one with any number of them. */
function fittingName(names: Names, name: string): string | undefined {
  if (names.has(name)) return name;
  const dots = [...name.matchAll(/\./g)].map(({ index }) => index);
  const wider = [...dots.slice(0, 1).map((at) => `*${name.slice(at)}`), ...dots.map((at) => `**${name.slice(at)}`)];
  return wider.find((one) => names.has(one));
}
