// RFC 9440 (Client-Cert): demands on a reverse proxy that terminates TLS.

import type { Specification } from '../requirement.ts';

const NOT_VARIED = 'edge/fields/answer-fields > naming Client-Cert, which the upstream did not see as sent, becomes *';

export const RFC_9440: Specification = {
  name: 'RFC 9440',
  title: 'Client-Cert HTTP Header Field',
  link: 'https://www.rfc-editor.org/rfc/rfc9440',
  sections: '§2, §3, §4',
  requirements: [
    {
      section: '2.1',
      level: 'stated',
      requirement:
        'A certificate is written as a byte sequence of its DER: base64 without other characters, between colons.',
      tests: [
        'certificate/client-cert > is the field of RFC 9440 figure 2, character by character',
        'conformance/rfc9440 > puts the certificate of the handshake, once, in the place of whatever the client wrote',
      ],
    },
    {
      section: '2.2',
      level: 'MUST',
      requirement: 'Client-Cert is not in answers.',
      tests: ['conformance/rfc9440 > an answer has neither field, and one that varies by them is for no other client'],
    },
    {
      section: '2.2',
      level: 'MUST',
      requirement: 'Client-Cert is there once, with one value.',
      tests: [
        'conformance/rfc9440 > puts the certificate of the handshake, once, in the place of whatever the client wrote',
        'config/compile/route > no field is set twice, Client-Cert-Chain included',
        'edge/intake/certificate-field > two lines, two elements, a rest behind the DER and anything else are malformed',
      ],
    },
    {
      section: '2.3',
      level: 'MUST',
      requirement: 'Every member of Client-Cert-Chain is a byte sequence, in the order of TLS.',
      tests: [
        'certificate/client-cert > is the chain of RFC 9440 figure 3: a list, the leaf not repeated, the anchor last',
        'gateway/certificate > rfc9440: the DER as byte sequence, and its chain without the leaf',
      ],
    },
    {
      section: '2.3',
      level: 'MUST',
      requirement: 'Client-Cert-Chain is there only with Client-Cert, and does not repeat its certificate.',
      tests: [
        'conformance/rfc9440 > a chain never goes without Client-Cert: a field of another name carries the certificate alone',
        'gateway/certificate > rfc9440: the DER as byte sequence, and its chain without the leaf',
        'certificate/chain > has the nearest issuer first, the trust anchor last, and no leaf (RFC 9440 §2.3)',
      ],
    },
    {
      section: '2.3',
      level: 'MUST',
      requirement: 'Client-Cert-Chain is not in answers.',
      tests: ['conformance/rfc9440 > an answer has neither field, and one that varies by them is for no other client'],
    },
    {
      section: '2.4',
      level: 'stated',
      requirement: 'The certificate is verified by the policy of the listener before it is sent on.',
      tests: [
        'gateway/certificate > a certificate that the listener does not trust is forwarded on no route, and neither is a forged one',
      ],
    },
    {
      section: '2.4 (1)',
      level: 'stated',
      requirement: 'Each request on the connection carries its certificate.',
      tests: [
        'edge/listen/connection > one connection has one evidence, however many requests it carries',
        'conformance/rfc9440 > puts the certificate of the handshake, once, in the place of whatever the client wrote',
        'conformance/rfc9440 > says the same on every connection of one client',
      ],
    },
    {
      section: '2.4 (3)',
      level: 'MUST',
      requirement: 'Both fields of the client are removed or replaced before the request goes on.',
      tests: [
        'conformance/rfc9440 > puts the certificate of the handshake, once, in the place of whatever the client wrote',
        'edge/fields/request-fields > client-CERT of the client is removed, on public routes too',
      ],
    },
    {
      section: '2.4',
      level: 'MUST',
      requirement: 'They are removed as well where no certificate was negotiated.',
      tests: [
        'conformance/rfc9440 > a connection without a certificate brings neither field, whatever the client wrote, on public routes too',
      ],
    },
    {
      section: '2.4',
      level: 'MUST',
      requirement: 'Answers that depend on the certificate are uncacheable, or vary by it.',
      tests: [NOT_VARIED],
      doesNotApply: 'this is the upstream’s to say; the gateway makes sure that saying it works',
    },
    {
      section: '2.4',
      level: 'SHOULD',
      requirement: 'A Vary that names one of the fields becomes `*`.',
      tests: [
        NOT_VARIED,
        'conformance/rfc9440 > an answer has neither field, and one that varies by them is for no other client',
      ],
    },
    {
      section: '2.4',
      level: 'MUST',
      requirement: 'Forward proxies and other intermediaries neither add nor change the fields.',
      tests: ['config/compile/listener > a certificate field is believed only from a trusted peer'],
      doesNotApply:
        'the gateway is the proxy that terminates TLS, or stands in the trusted path behind it (§4) and writes the certificate that it got from there',
    },
    {
      section: '3.2',
      level: 'stated',
      requirement: 'Towards clients a limit is advertised that leaves room for the fields.',
      tests: ['hostile/http2-requests > field lines beyond header_size is header_too_large'],
      deviation: '0026-what-an-http2-client-may-cost',
    },
    {
      section: '3.3',
      level: 'SHOULD',
      requirement: 'Where the certificate or its chain is gone after a resumption, sessions are not resumed.',
      tests: [
        'edge/listen/tls-material > TLSv1.3: sessions are resumed where no certificates are asked for, and never where they are',
        'edge/listen/tls-material > TLSv1.2: sessions are resumed where no certificates are asked for, and never where they are',
        'conformance/rfc9440 > says the same on every connection of one client',
      ],
    },
    {
      section: '4',
      level: 'SHOULD',
      requirement: 'Writing the fields is configured, and off by default.',
      tests: [
        'conformance/rfc9440 > where it is not configured, neither field is written, and both are removed all the same',
      ],
    },
    {
      section: '4',
      level: 'SHOULD',
      requirement: 'Reading the field is configured, and off by default.',
      tests: ['gateway/reasons > certificate_missing: the right certificate comes in a field of the client'],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'A reader of the fields accepts them only from a trusted proxy.',
      tests: [
        'edge/intake/certificate-field > of a stranger the field counts for nothing, its own certificate does',
        'config/compile/listener > a certificate field is believed only from a trusted peer',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'Fields in the incoming request are removed or overwritten, whatever they look like.',
      tests: [
        'edge/fields/request-fields > Client-Cert-Chain of the client is removed, on public routes too',
        'gateway/reasons > field_forbidden: a field imitates one of ours',
        'gateway/reasons > field_forbidden: Connection names a managed field',
      ],
    },
    {
      section: '4',
      level: 'stated',
      requirement: 'The way to the upstream is protected against listening and change.',
      tests: [
        'config/compile/compile > http to a target is taken on loopback and unix sockets, or where insecure_plain_http names the risk',
        'edge/upstream/upstream > is verified by the name of its target, not by the Host that it is sent',
      ],
    },
  ],
};
