// FAPI 2.0 Security Profile: demands on resource servers, and on every endpoint.

import type { Specification } from '../requirement.ts';

const SETTINGS = '0017-what-a-fapi-2-deployment-sets';

export const FAPI_2: Specification = {
  name: 'FAPI 2.0 Security Profile',
  title: 'Final, February 2025',
  link: 'https://openid.net/specs/fapi-security-profile-2_0-final.html',
  sections: '§5.2.1, §5.2.2, §5.3.4, §5.4.1',
  requirements: [
    {
      section: '5.2.1',
      level: 'MUST',
      requirement: 'TLS 1.2 or later, by BCP 195, and nothing without TLS beyond loopback unless the risk is named.',
      tests: [
        'edge/listen/tls-material > versions below min_version are refused, the handshake is counted',
        'config/compile/listener > a listener without tls beyond loopback is refused',
      ],
    },
    {
      section: '5.2.1',
      level: 'MUST',
      requirement: 'Where the gateway is the client (keys, upstreams) the certificate of the server is checked.',
      tests: [
        'issuer/key-document > is verified TLS: an unknown CA is refused, the CA of the issuer is taken in addition to the usual ones',
        'issuer/key-document > is TLS for the right name',
        'edge/upstream/upstream > is verified by the name of its target, not by the Host that it is sent',
      ],
    },
    {
      section: '5.2.2',
      level: 'MUST',
      requirement: 'With TLS 1.2 only suites with forward secrecy and authenticated encryption are negotiated.',
      tests: [
        'edge/listen/tls-material > a TLS 1.2 client without forward secrecy or AEAD finds no cipher',
        'edge/listen/tls-material > profile fapi: TLS 1.2 has the suites of that profile and no other, TLS 1.3 has all three',
      ],
      deviation: SETTINGS,
    },
    {
      section: '5.3.4 (1)',
      level: 'MUST',
      requirement: 'Tokens are taken from the Authorization field, as Bearer or as DPoP.',
      tests: [
        'token/presentation > ["Bearer abc"] is read as Bearer abc -',
        'token/presentation > ["dpop abc"] is read as DPoP abc proof',
      ],
    },
    {
      section: '5.3.4 (2)',
      level: 'MUST',
      requirement: 'Tokens in the query are not accepted.',
      tests: ['gateway/reasons > credentials_in_query: access_token stands in the query and nowhere else'],
    },
    {
      section: '5.3.4 (3)',
      level: 'MUST',
      requirement: 'Validity, integrity, expiry and revocation of tokens are verified.',
      tests: [
        'gateway/reasons > token_signature_invalid: somebody else signed it',
        'gateway/reasons > token_expired: exp is past',
        'gateway/reasons > token_not_yet_valid: nbf is to come',
        'gateway/introspection > a revoked token is refused once the time of the cache is over',
        'gateway/introspection > a JWT has to be signed and active',
      ],
      deviation: SETTINGS,
    },
    {
      section: '5.3.4 (4)',
      level: 'MUST',
      requirement: 'The authorization must suffice for the request; otherwise the error is that of RFC 6750 §3.1.',
      tests: [
        'gateway/reasons > scope_insufficient: a scope is missing (RFC 6750 §3.1)',
        'gateway/reasons > claim_mismatch: a claim has another value; no scope would mend that',
      ],
    },
    {
      section: '5.3.4 (5)',
      level: 'MUST',
      requirement: 'Only sender-constrained tokens are accepted, by certificate or by DPoP.',
      tests: [
        'conformance/fapi2 > without any setting only sender-constrained tokens are accepted (§5.3.4)',
        'config/compile/demand > all weaker keys are named, not some',
      ],
    },
    {
      section: '5.4.1 (1)',
      level: 'MUST',
      requirement: 'JWTs follow RFC 8725, are signed by PS256, ES256 or EdDSA with Ed25519, and never by `none`.',
      tests: [
        'conformance/fapi2 > a proof signed with PS256 passes',
        'conformance/fapi2 > a proof signed with RS256 is refused, and the challenge says which ones pass',
        'conformance/fapi2 > an access token signed with RS256 is refused',
      ],
      deviation: SETTINGS,
    },
    {
      section: '5.4.1 (2)',
      level: 'MUST',
      requirement: 'RSA keys have 2048 bits or more.',
      tests: [
        'proof/dpop-proof > RSA keys under 2048 bits, over 4096 bits, with an even or long exponent: proof_key_invalid',
        'jose/key-set > RSA under 2048 bits is weak',
      ],
    },
    {
      section: '5.4.1 (3)',
      level: 'MUST',
      requirement: 'Elliptic-curve keys have 224 bits or more: the smallest curve is P-256.',
      tests: [
        'jose/key-set > a curve that no algorithm names',
        'proof/dpop-proof > a key of another curve: proof_key_invalid',
      ],
    },
  ],
};
