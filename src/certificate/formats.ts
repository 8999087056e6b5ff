// The table of certificate header formats: what each proxy sends, and how it is read.

import { isOrderedChain } from './chain.ts';
import { readClientCert } from './client-cert.ts';
import { readBase64, readPercentEncoded } from './encoding.ts';
import { readEscapedPem, readEscapedPemChain } from './pem-escaped.ts';
import { readXfcc } from './xfcc.ts';

/** Stands for the attribute among fields: no client can send a field of this name. */
export const ATTRIBUTE_FIELD = ':source-certificate';

interface FormatRow {
  /** The product's own field name, lower-cased: the default of `client_certificate_from`. */
  readonly field: string;
  /** Value of one field line → DER of the leaf; undefined: not completely one such value. Never throws; at most 64 KiB. */
  readonly read: (value: string) => Uint8Array | undefined;
}

/**
 * What each `client_certificate_from.format` means. A reader gives bytes; that they are one certificate and nothing else is
 * readCertificate's to say. Whose field lines are believed, and that there is only one, is decided at the edge.
 */
export const CERTIFICATE_FORMATS = {
  /** RFC 9440: `:base64:`. Parameters are refused (client-cert.ts). */
  rfc9440: { field: 'client-cert', read: readClientCert },
  /** Envoy and Istio with `sanitize_set` and `set_current_client_cert_details: { cert: true }`: one element with `Cert`. */
  xfcc: { field: 'x-forwarded-client-cert', read: readXfcc },
  /** nginx: `proxy_set_header ssl-client-cert $ssl_client_escaped_cert` (ingress-nginx: auth-tls-pass-certificate-to-upstream). */
  'pem-escaped': { field: 'ssl-client-cert', read: readEscapedPem },
  /** AWS ALB, mutual TLS passthrough: the PEM chain as the client sent it, leaf first, percent-encoded except for `+=/`. */
  'alb-passthrough': { field: 'x-amzn-mtls-clientcert', read: readEscapedPemChain },
  /** AWS ALB, mutual TLS verify: the PEM leaf alone, percent-encoded except for `+=/`. */
  'alb-verify': { field: 'x-amzn-mtls-clientcert-leaf', read: readEscapedPem },
  /**
   * Traefik, passTLSClientCert with `pem: true`: PEM without its delimiters and newlines, which is base64 of the DER
   * (percent-encoded by old releases). Intermediates that a client sends follow after commas, each the issuer of the one before.
   */
  traefik: { field: 'x-forwarded-tls-client-cert', read: readEscapedBase64Chain },
  /** Envoy's ext_authz over gRPC with include_peer_certificate: the PEM leaf in the attributes, percent-encoded. No field at all. */
  'envoy-attribute': { field: ATTRIBUTE_FIELD, read: readEscapedPem },
  /** Cloudflare with client_certificate_forwarding: base64 of the DER. Also HAProxy's `%[ssl_c_der,base64]`. */
  cloudflare: { field: 'cf-client-cert-der-base64', read: readBase64 },
} as const satisfies Record<string, FormatRow>;

export type CertificateFormat = keyof typeof CERTIFICATE_FORMATS;

/** The first is the client's own; the others are dropped: no peer vouched for them. */
function readEscapedBase64Chain(value: string): Uint8Array | undefined {
  const ders = readPercentEncoded(value)?.split(',').map(readBase64) ?? [];
  const [leaf] = ders;
  if (ders.length === 1) return leaf;
  return ders.every((der) => der !== undefined) && isOrderedChain(ders) ? leaf : undefined;
}

/** `family('a', 'b c')` → `a-b`, `a-c`. */
const family = (prefix: string, names: string): readonly string[] =>
  names.split(' ').map((name) => `${prefix}-${name}`);

/**
 * Lower-cased names of all fields that some product uses to say something about a client's certificate. None of them is ever
 * taken from a client (C6.2). `X-Forwarded-*` is managed as a prefix; its names here are the formats' own.
 */
export const KNOWN_CERTIFICATE_FIELDS: readonly string[] = [
  ...Object.values(CERTIFICATE_FORMATS)
    .map(({ field }) => field)
    .filter((field) => field !== ATTRIBUTE_FIELD),
  'client-cert-chain',
  'x-forwarded-tls-client-cert-info',
  'x-client-cert',
  // nginx, HAProxy, Apache: by convention of their manuals and ingress controllers
  ...family('ssl-client', 'verify subject-dn issuer-dn s-dn i-dn dn serial fingerprint'),
  'x-ssl-client',
  ...family(
    'x-ssl-client',
    'cert verify subject-dn issuer-dn s-dn i-dn dn cn serial fingerprint sha1 notbefore notafter',
  ),
  'x-ssl-issuer',
  // AWS ALB and CloudFront
  ...family('x-amzn-mtls-clientcert', 'serial-number issuer subject validity'),
  ...family('cloudfront-viewer-cert', 'serial-number issuer subject present sha256 validity pem'),
  // Cloudflare: client_certificate_forwarding, then its managed transform
  'cf-client-cert-sha256',
  ...family('cf-cert', 'presented verified revoked serial issuer-serial ski issuer-ski not-before not-after'),
  ...family('cf-cert', 'subject-dn issuer-dn subject-dn-rfc2253 issuer-dn-rfc2253 subject-dn-legacy issuer-dn-legacy'),
  ...family('cf-cert', 'fingerprint-sha256 fingerprint-sha1'),
  // Google Cloud load balancers, as their manual names the custom fields
  ...family('x-client-cert', 'present chain-verified error hash serial-number leaf chain'),
  ...family('x-client-cert', 'spiffe uri-sans dnsname-sans issuer-dn subject-dn valid-not-before valid-not-after'),
  // Azure App Service
  'x-arr-clientcert',
];
