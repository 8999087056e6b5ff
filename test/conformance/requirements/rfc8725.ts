// RFC 8725 (JWT best practices): duties of a verifier, for tokens and proofs.

import type { Specification } from '../requirement.ts';

export const RFC_8725: Specification = {
  name: 'RFC 8725',
  title: 'JSON Web Token Best Current Practices',
  link: 'https://www.rfc-editor.org/rfc/rfc8725',
  sections: '§3',
  requirements: [
    {
      section: '3.1',
      level: 'MUST',
      requirement: 'Only algorithms of a configured list are used.',
      tests: [
        'token/access-token > alg RS512: token_algorithm_refused',
        'proof/dpop-proof > alg is checked against the list of the route although the key is in the cache',
      ],
    },
    {
      section: '3.1',
      level: 'MUST',
      requirement: 'The algorithm that `alg` names is the one that is used.',
      tests: [
        'token/access-token > an algorithm of the list that is not the key’s: token_algorithm_refused',
        'proof/dpop-proof > alg of another algorithm: proof_key_invalid',
      ],
    },
    {
      section: '3.1',
      level: 'MUST',
      requirement:
        'Each key is for the algorithm that its JWK names, and that is checked when it is used; one that names none is for those of its type.',
      deviation: '0081-keys-without-an-algorithm',
      tests: [
        'jose/key-set > is for one algorithm: any other is refused, however well the key type fits',
        'jose/key-set > are all that RSA can where nothing in the set says anything of the key',
        'jose/key-set > are those that another JWK of the same key names, wherever it stands in the set',
        'proof/dpop-proof > a key of another curve: proof_key_invalid',
      ],
    },
    {
      section: '3.2',
      level: 'MUST',
      requirement: 'Only current algorithms can be configured; which ones are accepted can change without a release.',
      tests: [
        'conformance/rfc9449 > neither none nor an HMAC can be configured, for proofs or for tokens',
        'jose/key-set > RSA under 2048 bits is weak',
        'conformance/fapi2 > a proof signed with RS256 is refused, and the challenge says which ones pass',
      ],
    },
    {
      section: '3.2',
      level: 'SHOULD',
      requirement: 'JWTs with `none` are not consumed.',
      tests: [
        'token/access-token > alg none: token_algorithm_refused',
        'proof/dpop-proof > alg "none": proof_algorithm_refused',
      ],
    },
    {
      section: '3.2',
      level: 'SHOULD',
      requirement: 'RSA encryption by PKCS #1 v1.5 is avoided; ECDSA is deterministic.',
      doesNotApply: 'the gateway decrypts nothing and signs nothing',
    },
    {
      section: '3.3',
      level: 'MUST',
      requirement: 'A JWT of which any cryptographic operation fails is refused as a whole.',
      tests: [
        'token/access-token > a signature by another key, cut, or empty: token_signature_invalid, and nothing is cached',
        'proof/dpop-proof > a signature of another length, DER-encoded or empty: proof_signature_invalid',
      ],
    },
    {
      section: '3.4',
      level: 'MUST',
      requirement: 'Points that are not on their curve are refused before they are used.',
      tests: [
        'proof/dpop-proof > a point off its curve, even where the token is bound to it: proof_key_invalid',
        'jose/key-set > a point off its curve',
      ],
    },
    {
      section: '3.5',
      level: 'MUST',
      requirement:
        'Keys have enough entropy: no key is made from a password, and secrets of ours have at least 32 bytes.',
      tests: [
        'config/compile/compile > nonce secrets are trimmed and have at least 32 bytes',
        'conformance/rfc9449 > neither none nor an HMAC can be configured, for proofs or for tokens',
      ],
    },
    {
      section: '3.6',
      level: 'SHOULD',
      requirement: 'Nothing is compressed before it is encrypted.',
      doesNotApply: 'the gateway makes and reads no JWE',
    },
    {
      section: '3.7',
      level: 'MUST',
      requirement: 'Headers and claims are UTF-8 and nothing else.',
      tests: [
        'conformance/rfc8725 > neither a token nor a proof in UTF-16 little-endian is read (§3.7)',
        'conformance/rfc8725 > neither a token nor a proof in Latin-1 is read (§3.7)',
        'proof/dpop-proof > a payload that is not UTF-8: proof_malformed',
      ],
    },
    {
      section: '3.8',
      level: 'MUST',
      requirement: 'The key that verified belongs to the issuer that `iss` names.',
      tests: [
        'token/access-token > an issuer that the route does not name: token_issuer_unknown, also for a token in the cache',
        'config/compile/route > two issuers of one route with the same iss are refused, because nothing tells their tokens apart',
        'conformance/rfc8725 > the key of one issuer signs nothing for another, though both are issuers of the route (§3.8)',
      ],
    },
    {
      section: '3.8',
      level: 'MUST',
      requirement: '`sub` is a subject of that issuer: it is not passed on without the issuer where there are several.',
      tests: [
        'config/compile/route > identities of several issuers never go on without their issuer',
        'token/access-token > sub = null: token_claim_invalid, which names the claim',
      ],
    },
    {
      section: '3.9',
      level: 'MUST',
      requirement: 'A token without an audience, or for another one, is refused.',
      tests: [
        'token/access-token > aud = undefined: token_claim_invalid, which names the claim',
        'token/access-token > aud names one of the issuer’s audiences and one of the route’s, exactly',
      ],
    },
    {
      section: '3.10',
      level: 'stated',
      requirement: '`kid` cannot inject anything: it is compared and used for nothing else.',
      tests: ['conformance/rfc8725 > a kid is compared and nothing else: no query, path or URL is made of it (§3.10)'],
    },
    {
      section: '3.10',
      level: 'SHOULD',
      requirement: '`jku` and `x5u` are not followed.',
      tests: ['token/access-token > jwk, jku, x5u and x5c in the header are never used'],
    },
    {
      section: '3.11',
      level: 'SHOULD',
      requirement: 'Kinds of JWT are told apart by `typ`.',
      tests: [
        'token/access-token > typ "logout+jwt": token_type_refused',
        'proof/dpop-proof > typ "at+jwt": proof_type_invalid',
      ],
      deviation: '0016-access-tokens-without-a-type-of-their-own',
    },
    {
      section: '3.12',
      level: 'MUST',
      requirement:
        'The rules for different kinds of JWT exclude each other: ID tokens, logout tokens and proofs are not access tokens.',
      tests: [
        'token/access-token > an ID token or logout token with {"nonce":"x"}: token_type_refused, unless typ says at+jwt',
        'token/access-token > a DPoP proof sent as access token: token_type_refused',
        'conformance/rfc8725 > an access token is not a proof and a proof not an access token, whatever key signed them (§3.12)',
      ],
    },
  ],
};
