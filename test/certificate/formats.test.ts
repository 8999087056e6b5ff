// The certificate formats of proxies: what each sends is read, and near misses refused.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatClientCert, readClientCert } from '../../src/certificate/client-cert.ts';
import { formatBase64 } from '../../src/certificate/encoding.ts';
import {
  CERTIFICATE_FORMATS,
  type CertificateFormat,
  KNOWN_CERTIFICATE_FIELDS,
} from '../../src/certificate/formats.ts';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { formatEscapedPem, readEscapedPem } from '../../src/certificate/pem-escaped.ts';
import { formatXfcc, readXfcc } from '../../src/certificate/xfcc.ts';
import type { CertificateFacts } from '../../src/request-facts.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';

const ca = await makeCa();
const { der, cert } = await makeCertificate({ ca });
const facts = readCertificate(der);
assert.ok(facts);
const PEM = `${cert.trim()}\n`;
const CHAIN = `${PEM}${ca.cert.trim()}\n`;
const BASE64 = der.toString('base64');
const formats = Object.keys(CERTIFICATE_FORMATS) as CertificateFormat[];
const read = (format: CertificateFormat, value: string) => CERTIFICATE_FORMATS[format].read(value);
/** AWS leaves `+=/` as they are. */
const escapeAws = (pem: string) =>
  encodeURIComponent(pem).replaceAll('%2B', '+').replaceAll('%3D', '=').replaceAll('%2F', '/');

const SENT: Record<CertificateFormat, string> = {
  rfc9440: `:${BASE64}:`,
  xfcc: `Hash=${Buffer.from(facts.thumbprint, 'base64url').toString('hex')};Cert="${encodeURIComponent(PEM)}"`,
  'pem-escaped': encodeURIComponent(PEM),
  'alb-passthrough': escapeAws(CHAIN),
  'alb-verify': escapeAws(PEM),
  traefik: BASE64,
  'envoy-attribute': encodeURIComponent(PEM),
  cloudflare: BASE64,
};

describe('every format', () => {
  for (const format of formats) {
    test(`${format}: what the product sends is read`, () => {
      assert.deepEqual(read(format, SENT[format]), der);
    });

    test(`${format}: two values joined by a comma are refused`, () => {
      assert.equal(read(format, `${SENT[format]}, ${SENT[format]}`), undefined);
      assert.equal(read(format, `${SENT[format]},${SENT[format]}`), undefined);
    });

    test(`${format}: something before or after the value is refused`, () => {
      for (const extra of ['x', '%00', '%20', '%0A%0A', ',', ';', '\0', '-----BEGIN%20CERTIFICATE-----']) {
        for (const value of [`${SENT[format]}${extra}`, `${extra}${SENT[format]}`]) {
          const found = read(format, value);
          if (format === 'xfcc' && value === `${SENT.xfcc};`) continue; // as Azure Container Apps has it (xfcc.test.ts)
          // Base64 without padding goes on with a letter: then the DER does not end where the bytes do.
          if (found !== undefined) assert.equal(readCertificate(found), undefined, JSON.stringify(value));
        }
      }
    });

    test(`${format}: over 64 KiB is refused before anything else`, () => {
      assert.equal(read(format, SENT[format].padEnd(65_537, ' ')), undefined);
      assert.equal(read(format, 'A'.repeat(65_540)), undefined);
      assert.equal(read(format, `:${'A'.repeat(65_540)}:`), undefined);
    });

    test(`${format}: nothing makes the reader throw, and nothing but the certificate passes for one`, () => {
      const piece = fc.oneof(
        fc.constantFrom(
          ...Object.values(SENT),
          'Cert=',
          'Hash=',
          '"',
          '\\',
          ';',
          ',',
          ':',
          '%',
          '%4',
          '%ff',
          '%0A',
          '=',
          '+',
        ),
        fc.string(),
      );
      fc.assert(
        fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
          const found = read(format, pieces.join(''));
          const certificate = found && readCertificate(found);
          if (certificate !== undefined) assert.deepEqual(certificate.der, der);
        }),
      );
    });
  }

  test('what is written is read back, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 4000 }), (bytes) => {
        const any: CertificateFacts = { ...facts, der: bytes };
        for (const back of [
          readClientCert(formatClientCert(any) ?? ''),
          readEscapedPem(formatEscapedPem(any) ?? ''),
          readXfcc(formatXfcc(any, 'possession')),
          read('cloudflare', formatBase64(bytes)),
        ]) {
          assert.ok(back && Buffer.from(bytes).equals(back));
        }
      }),
    );
  });
});

describe('percent-encoded PEM', () => {
  test('is written as nginx writes $ssl_client_escaped_cert', () => {
    assert.equal(formatEscapedPem(facts), encodeURIComponent(PEM));
  });

  test('may lack the last newline, and end lines with CR LF', () => {
    assert.deepEqual(readEscapedPem(encodeURIComponent(PEM.trimEnd())), der);
    assert.deepEqual(readEscapedPem(encodeURIComponent(PEM.replaceAll('\n', '\r\n'))), der);
  });

  for (const [what, value] of [
    ['+ for a space', encodeURIComponent(PEM).replaceAll('%20', '+')],
    ['% without two hex digits', `${encodeURIComponent(PEM)}%`],
    ['% with one hex digit', encodeURIComponent(PEM).replace('%0A', '%A')],
    ['encoded twice', encodeURIComponent(encodeURIComponent(PEM))],
    ['no UTF-8', `${encodeURIComponent(PEM)}%FF`],
    ['two certificates', encodeURIComponent(CHAIN)],
    ['another kind of block', encodeURIComponent(PEM.replaceAll('CERTIFICATE', 'X509 CRL'))],
    ['kinds that differ', encodeURIComponent(PEM.replace('END CERTIFICATE', 'END X509 CRL'))],
    ['no begin', encodeURIComponent(PEM.replace('-----BEGIN CERTIFICATE-----\n', ''))],
    ['no end', encodeURIComponent(PEM.replace('-----END CERTIFICATE-----\n', ''))],
    ['no newlines', encodeURIComponent(PEM.replaceAll('\n', ''))],
    ['an empty line', encodeURIComponent(PEM.replace('\n', '\n\n'))],
    ['an empty block', encodeURIComponent('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n')],
    ['a space in a line', encodeURIComponent(PEM.replace('MII', 'M II'))],
    ['padding in the middle', encodeURIComponent(PEM.replace('MII', 'MI='))],
    ['attributes', encodeURIComponent(PEM.replace('\n', '\nsubject: x\n'))],
  ] as const) {
    test(`is refused: ${what}`, () => {
      assert.equal(readEscapedPem(value), undefined);
    });
  }
});

describe('chains', () => {
  test('alb-passthrough: the client’s own certificate is the first one, and may be the only one', () => {
    assert.deepEqual(read('alb-passthrough', escapeAws(PEM)), der);
    assert.deepEqual(read('alb-passthrough', escapeAws(`${ca.cert.trim()}\n${PEM}`)), ca.der);
  });

  test('alb-passthrough: every certificate must be complete, also those that are dropped', () => {
    assert.equal(read('alb-passthrough', escapeAws(`${PEM}-----BEGIN CERTIFICATE-----\nAAAA\n`)), undefined);
    assert.equal(read('alb-passthrough', escapeAws(`${PEM}junk`)), undefined);
    assert.equal(read('alb-passthrough', ''), undefined);
  });

  test('alb-verify: a chain is refused, because the product sends the leaf', () => {
    assert.equal(read('alb-verify', escapeAws(CHAIN)), undefined);
  });

  test('traefik: intermediates follow in the same line, and the client’s own certificate is the first one', async () => {
    const root = await makeCa();
    const intermediate = await makeCa({ ca: root, subject: 'CN=Intermediate' });
    const leaf = await makeCertificate({ ca: intermediate });
    const line = [leaf, intermediate, root].map((one) => one.der.toString('base64'));
    for (const length of [1, 2, 3]) assert.deepEqual(read('traefik', line.slice(0, length).join(',')), leaf.der);
    assert.deepEqual(read('traefik', encodeURIComponent(line.join(','))), leaf.der, 'of old releases');
    assert.deepEqual(read('traefik', line.map(encodeURIComponent).join(',')), leaf.der, 'of old releases');
  });

  test('traefik: what is not the chain of the first certificate looks like joined field lines, and is refused', async () => {
    const other = await makeCertificate({ ca });
    const otherCa = await makeCa();
    const [leaf, authority, stranger, strange] = [der, ca.der, other.der, otherCa.der].map((one) =>
      one.toString('base64'),
    );
    for (const value of [
      `${leaf},${stranger}`, // two leaves: whichever came first would be believed
      `${leaf},${leaf}`,
      `${leaf},${authority},${stranger}`, // a forged chain in front of what the balancer wrote
      `${leaf},${strange}`,
      `${authority},${leaf}`,
      `${leaf}, ${authority}`, // as lines are joined
      `${leaf},`,
      `,${leaf}`,
      `${leaf},,${authority}`,
      `${leaf},AAAA`,
      `${leaf},junk`,
      `${leaf};${authority}`,
    ]) {
      assert.equal(read('traefik', value), undefined, value.replaceAll(/[A-Za-z0-9+/]{50,}/g, '…'));
    }
  });

  test('traefik: ten certificates at most are looked at', () => {
    const authority = ca.der.toString('base64');
    assert.deepEqual(read('traefik', [BASE64, ...Array<string>(9).fill(authority)].join(',')), der);
    assert.equal(read('traefik', [BASE64, ...Array<string>(10).fill(authority)].join(',')), undefined);
  });
});

test('traefik: base64 that old releases percent-encoded is read, PEM delimiters and base64url are not', () => {
  assert.deepEqual(read('traefik', encodeURIComponent(BASE64)), der);
  assert.equal(read('traefik', encodeURIComponent(PEM)), undefined);
  assert.equal(read('traefik', '_-Ah'), undefined);
  assert.equal(read('cloudflare', encodeURIComponent('ab+/')), undefined);
});

describe('names of certificate fields', () => {
  test('are lower-cased tokens, each listed once', () => {
    for (const name of KNOWN_CERTIFICATE_FIELDS) assert.match(name, /^[a-z0-9]+(?:-[a-z0-9]+)*$/);
    assert.equal(new Set(KNOWN_CERTIFICATE_FIELDS).size, KNOWN_CERTIFICATE_FIELDS.length);
  });

  test('include the field of every format that is read, and the companions that speak of the same certificate', () => {
    const known = new Set(KNOWN_CERTIFICATE_FIELDS);
    for (const format of formats.filter((one) => one !== 'envoy-attribute'))
      assert.ok(known.has(CERTIFICATE_FORMATS[format].field));
    for (const name of [
      'client-cert-chain',
      'x-client-cert',
      'x-arr-clientcert',
      'x-ssl-client-cert',
      'x-ssl-client-dn',
      'x-ssl-client-verify',
      'ssl-client-verify',
      'x-amzn-mtls-clientcert-subject',
      'x-forwarded-tls-client-cert-info',
      'cf-client-cert-sha256',
      'cf-cert-verified',
    ]) {
      assert.ok(known.has(name), name);
    }
  });
});
