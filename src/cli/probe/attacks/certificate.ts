// Attacks on certificate-bound tokens: no certificate, another one, one in a field.

import { X509Certificate } from 'node:crypto';
import { formatClientCert } from '../../../certificate/client-cert.ts';
import { formatBase64 } from '../../../certificate/encoding.ts';
import { formatEscapedPem } from '../../../certificate/pem-escaped.ts';
import { formatXfcc } from '../../../certificate/xfcc.ts';
import { type Attack, refusals } from '../attack.ts';
import type { ProbeCertificate } from '../credentials.ts';
import type { ProbeField } from '../request.ts';
import type { ProbeStage } from '../stage.ts';

/** Fields of the holder's certificate, which is public, in one of the forms that proxies use. */
const inFields = (names: readonly string[], form: (certificate: ProbeCertificate) => string | undefined) => {
  return ({ credentials: { bound } }: ProbeStage) => {
    const value = (bound && form(bound)) ?? '';
    return { shown: 'none' as const, fields: names.map((name): ProbeField => [name, value]) };
  };
};

const escaped = ({ facts }: ProbeCertificate) => formatEscapedPem(facts);
const base64 = ({ shown }: ProbeCertificate) => formatBase64(new X509Certificate(shown.cert).raw);

export const CERTIFICATE_ATTACKS: readonly Attack[] = refusals(
  'certificate',
  { needs: ['certificate'], section: 'RFC 8705 §3', errors: ['invalid_token'], mayClose: true },
  [
    {
      id: 'no-certificate',
      what: 'no certificate',
      section: 'RFC 8705 §3',
      departure: () => ({ shown: 'none' }),
    },
    {
      id: 'other-certificate',
      what: 'another certificate with the same subject',
      section: 'RFC 8705 §3',
      departure: ({ stranger }) => ({ shown: stranger ?? 'none' }),
    },
    {
      id: 'certificate-field',
      what: "no certificate, the holder's in Client-Cert",
      section: 'RFC 9440 §4',
      departure: inFields(['Client-Cert'], ({ facts }) => formatClientCert(facts)),
    },
    {
      id: 'certificate-xfcc',
      what: "no certificate, the holder's in X-Forwarded-Client-Cert",
      section: 'RFC 9440 §4',
      departure: inFields(['X-Forwarded-Client-Cert'], ({ facts }) => formatXfcc(facts, 'possession')),
    },
    {
      id: 'certificate-pem',
      what: "no certificate, the holder's as PEM in fields of nginx and AWS",
      section: 'RFC 9440 §4',
      departure: inFields(
        ['SSL-Client-Cert', 'X-SSL-Cert', 'X-SSL-Client-Cert', 'X-Client-Cert', 'X-Amzn-Mtls-Clientcert-Leaf'],
        escaped,
      ),
    },
    {
      id: 'certificate-base64',
      what: "no certificate, the holder's as base64 in fields of Traefik, Cloudflare and Azure",
      section: 'RFC 9440 §4',
      departure: inFields(['X-Forwarded-Tls-Client-Cert', 'CF-Client-Cert-Der-Base64', 'X-ARR-ClientCert'], base64),
    },
  ],
);
