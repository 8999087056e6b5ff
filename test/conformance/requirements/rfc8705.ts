// RFC 8705 (certificate-bound tokens): demands on a protected resource.

import type { Specification } from '../requirement.ts';

export const RFC_8705: Specification = {
  name: 'RFC 8705',
  title: 'Mutual-TLS Client Authentication and Certificate-Bound Access Tokens',
  link: 'https://www.rfc-editor.org/rfc/rfc8705',
  sections: '§3, §6, §7',
  requirements: [
    {
      section: '3',
      level: 'stated',
      requirement:
        'Whether certificates are asked for is known before the handshake: it is configured, not read from a token.',
      tests: [
        'config/compile/demand > a route or shadow that demands certificates needs them on each of its listeners',
      ],
    },
    {
      section: '3',
      level: 'MUST',
      requirement:
        'The certificate is the one of this connection, from the TLS layer; what the client says in a field counts for nothing.',
      tests: [
        'gateway/reasons > certificate_missing: the right certificate comes in a field of the client',
        'edge/intake/certificate-field > of a stranger the field counts for nothing, its own certificate does',
        'edge/listen/connection > one connection has one evidence, however many requests it carries',
      ],
    },
    {
      section: '3',
      level: 'MUST',
      requirement: 'It is the certificate to which the token is bound.',
      tests: [
        'certificate/evidence > the certificate named by the token passes',
        'certificate/evidence > another certificate is a mismatch, under either kind of verification',
        'gateway/reasons > certificate_missing: a certificate-bound token comes without one',
        'binding/binding > route token, scheme Bearer, token x5t: X',
      ],
    },
    {
      section: '3',
      level: 'MUST',
      requirement: 'If it is not, the answer is 401 with `invalid_token`.',
      tests: ['gateway/reasons > certificate_mismatch: it is that of another client'],
    },
    {
      section: '3.1',
      level: 'SHOULD',
      requirement: 'The binding of a JWT is read from `cnf`, member `x5t#S256`.',
      tests: ['token/claims > both methods are read, unknown members next to them are counted, no cnf means unbound'],
    },
    {
      section: '3.1',
      level: 'MUST',
      requirement:
        'The thumbprint is base64url without padding or any other character; another spelling is another value.',
      tests: [
        'certificate/evidence > thumbprints are compared as text: padding, another alphabet or spare bits are another value',
        'certificate/leaf > the thumbprint is base64url SHA-256 of the DER (RFC 8705 appendix A)',
      ],
    },
    {
      section: '3.2',
      level: 'stated',
      requirement: 'The thumbprint of an introspection response is compared as well.',
      tests: ['gateway/introspection > takes a token bound to a certificate with that certificate alone'],
    },
    {
      section: '6.2',
      level: 'stated',
      requirement:
        'Possession of the key is enough: the chain of the certificate need not be verified. Its names then prove nothing.',
      tests: [
        'edge/listen/connection > possession: any certificate is evidence of its key alone, without chain, whatever its names',
        'certificate/evidence > under possession neither trust nor dates matter (RFC 8705 §6.2)',
        'config/compile/demand > the subject of a certificate is forwarded only where its chain is verified (RFC 8705 §6.2)',
      ],
    },
    {
      section: '6.3',
      level: 'stated',
      requirement:
        'A token ends with its certificate: after a renewal the client gets the error that makes it fetch another one.',
      tests: [
        'gateway/reasons > certificate_mismatch: it is that of another client',
        'certificate/evidence > a mismatch says so when the old certificate of the same names was seen with its token',
      ],
    },
    {
      section: '6.5',
      level: 'stated',
      requirement: 'TLS may end at a proxy in front; which one is believed about certificates is configured.',
      tests: [
        'config/compile/listener > a certificate field is believed only from a trusted peer',
        'edge/intake/certificate-field > the certificate in the field is the evidence, not the one of the peer',
      ],
    },
    {
      section: '7.2',
      level: 'stated',
      requirement:
        'The hash is SHA-256; another one needs another member, which the gateway would not know and refuses.',
      tests: [
        'certificate/leaf > the thumbprint is base64url SHA-256 of the DER (RFC 8705 appendix A)',
        'token/claims > cnf {"x5t#s256":"x"}: confirmation_unsupported',
      ],
    },
    {
      section: '7.3',
      level: 'stated',
      requirement: 'TLS follows BCP 195: 1.2 or later.',
      tests: [
        'edge/listen/tls-material > versions below min_version are refused, the handshake is counted',
        'edge/listen/tls-material > a TLS 1.2 client without forward secrecy or AEAD finds no cipher',
      ],
    },
    {
      section: '7.4',
      level: 'stated',
      requirement:
        'Trust anchors are a limited, named set, never the public authorities of the system (asked of authorization servers, held here too).',
      tests: ['config/compile/listener > verify: chain needs ca_file as soon as certificates can come'],
    },
    {
      section: '7.5',
      level: 'SHOULD',
      requirement: 'Chains are verified by an established library: OpenSSL, in the handshake.',
      tests: [
        'edge/listen/connection > optional under chain: an untrusted certificate gets through the handshake and is evidence that is not trusted',
        'edge/listen/connection > under chain a revoked certificate is not trusted, nor any one once a list has expired or is missing',
      ],
      deviation: '0015-certificates-from-trusted-peers',
    },
    {
      section: '7.5',
      level: 'SHOULD',
      requirement: 'Names with NUL, commas or other characters of structure are not taken for something else.',
      tests: [
        'certificate/leaf > an alternative name cannot bring others with it: commas and quotes are part of the one name',
        'certificate/leaf > a common name cannot pass for several parts',
        'certificate/xfcc > a name in a real certificate cannot add an element, a pair or a field line',
      ],
    },
  ],
};
