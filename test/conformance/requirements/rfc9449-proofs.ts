// RFC 9449 §4.2 and §4.3: what a proof is, and how it is checked.

import type { Requirement } from '../requirement.ts';

export const PROOFS: readonly Requirement[] = [
  {
    section: '4.2',
    level: 'MUST',
    requirement: 'A proof without `typ`, `alg` or `jwk` in its header is refused.',
    tests: [
      'proof/dpop-proof > typ undefined: proof_type_invalid',
      'proof/dpop-proof > alg undefined: proof_algorithm_refused',
      'proof/dpop-proof > no jwk: proof_key_invalid',
    ],
  },
  {
    section: '4.2',
    level: 'MUST',
    requirement: 'A proof whose `alg` is `none` or a MAC is refused.',
    tests: [
      'proof/dpop-proof > alg "none": proof_algorithm_refused',
      'proof/dpop-proof > alg "HS256": proof_algorithm_refused',
    ],
  },
  {
    section: '4.2',
    level: 'MUST',
    requirement: 'A proof whose `jwk` has a private or symmetric member is refused.',
    tests: [
      'proof/dpop-proof > a private member: proof_key_invalid',
      'proof/dpop-proof > a symmetric key: proof_key_invalid',
    ],
  },
  {
    section: '4.2',
    level: 'MUST',
    requirement: 'A proof without `jti`, `htm`, `htu` or `iat` is refused.',
    tests: [
      'proof/dpop-proof > jti = undefined: proof_malformed',
      'proof/dpop-proof > htm = undefined: proof_malformed',
      'proof/dpop-proof > htu = undefined: proof_malformed',
      'proof/dpop-proof > iat = undefined: proof_malformed',
    ],
  },
  {
    section: '4.2',
    level: 'MUST',
    requirement:
      'At a resource a proof without `ath`, or with one that is not base64url of the SHA-256 of the token, is refused.',
    tests: [
      'proof/dpop-proof > ath = undefined: proof_malformed',
      'proof/dpop-proof > ath of another access token: proof_token_mismatch',
      'jose/thumbprint > ath and jkt of the examples of RFC 9449',
      'conformance/rfc9449 > proofs for a token endpoint (figures 2 and 7) are none for a resource, because they have no ath',
    ],
  },
  {
    section: '4.2',
    level: 'MUST',
    requirement: 'Where the server gave a nonce, a proof without it is refused.',
    tests: [
      'conformance/rfc9449 > after a nonce was given no proof without one passes, however fresh, nor one with an invented nonce (§11.3)',
    ],
    deviation: '0014-nonces-that-are-a-clock-aid',
  },
  {
    section: '4.2',
    level: 'stated',
    requirement: 'Claims and header parameters that the gateway does not know do no harm (`crit` aside).',
    tests: ['proof/dpop-proof > jti of 256 bytes, exp within the tolerance and unknown claims pass'],
  },
  {
    section: '4.3 (1)',
    level: 'MUST',
    requirement: 'There is not more than one DPoP field.',
    tests: [
      'gateway/reasons > proof_repeated: there are two DPoP lines',
      'gateway/reasons > proof_repeated: one DPoP line has two proofs',
      'edge/intake/facts > every Authorization and DPoP line is a separate fact, in any case of the name',
    ],
  },
  {
    section: '4.3 (2)',
    level: 'MUST',
    requirement: 'Its value is a single well-formed JWT.',
    tests: [
      'proof/dpop-proof > two parts: proof_malformed',
      'proof/dpop-proof > five parts: proof_malformed',
      'proof/dpop-proof > a header that is not JSON: proof_malformed',
      'proof/dpop-proof > a repeated member in header or payload: proof_malformed',
      'proof/dpop-proof > spare bits in the last character of the signature do not make a second spelling of one proof',
    ],
  },
  {
    section: '4.3 (3)',
    level: 'MUST',
    requirement: 'It has every required claim, each of its type.',
    tests: [
      'proof/dpop-proof > jti = null: proof_malformed',
      'proof/dpop-proof > htu = null: proof_malformed',
      'proof/dpop-proof > iat beyond every number: proof_malformed',
      'proof/dpop-proof > ath = undefined: proof_malformed',
    ],
  },
  {
    section: '4.3 (4)',
    level: 'MUST',
    requirement: '`typ` is `dpop+jwt`.',
    tests: [
      'proof/dpop-proof > typ "JWT": proof_type_invalid',
      'proof/dpop-proof > typ "at+jwt": proof_type_invalid',
      'proof/dpop-proof > typ is compared without case',
    ],
  },
  {
    section: '4.3 (5)',
    level: 'MUST',
    requirement:
      '`alg` is an asymmetric algorithm, not `none`, one that the gateway knows and one that the route accepts.',
    tests: [
      'proof/dpop-proof > alg "none": proof_algorithm_refused',
      'proof/dpop-proof > alg "ES512": proof_algorithm_refused',
      'proof/dpop-proof > alg is checked against the list of the route although the key is in the cache',
    ],
  },
  {
    section: '4.3 (6)',
    level: 'MUST',
    requirement: 'The signature verifies with the key in `jwk`.',
    tests: [
      'proof/dpop-proof > a stranger who embeds the right key but signs with his own: proof_signature_invalid, and no key is cached',
      'proof/dpop-proof > a signature of another length, DER-encoded or empty: proof_signature_invalid',
      'gateway/reasons > proof_signature_invalid: its claims were changed after it was signed',
    ],
  },
  {
    section: '4.3 (7)',
    level: 'MUST',
    requirement: '`jwk` holds no private key.',
    tests: [
      'proof/dpop-proof > a private member: proof_key_invalid',
      'gateway/reasons > proof_key_invalid: the key is private',
    ],
  },
  {
    section: '4.3 (8)',
    level: 'MUST',
    requirement: '`htm` is the method of the request.',
    tests: [
      'proof/dpop-proof > htm "get" for GET: proof_method_mismatch',
      'proof/dpop-proof > htm "HEAD" for GET: proof_method_mismatch',
      'gateway/reasons > proof_method_mismatch: htm is another method',
    ],
  },
  {
    section: '4.3 (9)',
    level: 'MUST',
    requirement: '`htu` is the URI of the request as the client calls it, query and fragment aside.',
    tests: [
      'proof/dpop-proof > htu https://api.example.com/orders/1?query=1 names the same resource',
      'proof/dpop-proof > htu "https://api.example.com/orders/2": proof_uri_mismatch',
      'proof/dpop-proof > htu "http://api.example.com/orders/1": proof_uri_mismatch',
      'gateway/reasons > proof_uri_mismatch: htu is another host',
      'http/uri > is the origin as clients see it, with the prefix that a proxy in front stripped',
    ],
  },
  {
    section: '4.3 (10)',
    level: 'MUST',
    requirement: 'Where the server gave a nonce, `nonce` is one that the server gave.',
    tests: [
      'proof/dpop-proof > nonce required and none there: nonce_required, however stale iat is',
      'proof/dpop-proof > a nonce that is expired, unknown, of another secret or no nonce: nonce_stale, also where none is required',
    ],
    deviation: '0014-nonces-that-are-a-clock-aid',
  },
  {
    section: '4.3 (11)',
    level: 'MUST',
    requirement: 'It was made within the window, by its `iat` or by the time inside its nonce.',
    tests: [
      'proof/dpop-proof > iat older than max_age: proof_stale',
      'proof/dpop-proof > iat further ahead: proof_from_future',
      'proof/dpop-proof > with a valid nonce freshness comes from the nonce, and so does the time to remember',
    ],
  },
  {
    section: '4.3 (12)',
    level: 'MUST',
    requirement: '`ath` is the hash of the token, and the key is the one to which the token is bound.',
    tests: [
      'proof/dpop-proof > ath of another access token: proof_token_mismatch',
      'proof/dpop-proof > another key than the one of the token: proof_key_mismatch',
      'gateway/reasons > proof_key_mismatch: a thief signed it with another key (figure 16)',
    ],
  },
  {
    section: '4.3',
    level: 'SHOULD',
    requirement:
      'Before `htu` is compared, both sides are normalised by syntax and by scheme (RFC 3986 §6.2.2, §6.2.3).',
    tests: [
      'proof/dpop-proof > htu HTTPS://API.example.com:443/orders/1 names the same resource',
      'proof/dpop-proof > htu https://api.example.com/%6Frders/1 names the same resource',
      'proof/dpop-proof > htu https://api.example.com:/orders/1 names the same resource',
      'proof/dpop-proof > htu https://api.example.com/x/../orders/1 names the same resource',
      'proof/dpop-proof-edges > /plain/caf%C3%A9 is /plain/café',
      'http/uri > an htu without path means the root',
      'http/uri > /%6frders/%7E%2d is compared as /orders/~- and matched as /orders/~-',
    ],
  },
];
