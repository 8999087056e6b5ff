// RFC 9068 (JWT access tokens): demands on a resource server.

import type { Specification } from '../requirement.ts';

export const RFC_9068: Specification = {
  name: 'RFC 9068',
  title: 'JWT Profile for OAuth 2.0 Access Tokens',
  link: 'https://www.rfc-editor.org/rfc/rfc9068',
  sections: '§4',
  requirements: [
    {
      section: '4',
      level: 'MUST',
      requirement: '`typ` is `at+jwt` or `application/at+jwt`; any other value is refused.',
      tests: [
        'token/access-token > typ application/at+jwt passes',
        'token/access-token > typ "dpop+jwt": token_type_refused',
        'token/access-token > require_typ admits only at+jwt',
      ],
      deviation: '0016-access-tokens-without-a-type-of-their-own',
    },
    {
      section: '4',
      level: 'stated',
      requirement: 'Encrypted tokens are decrypted.',
      tests: ['token/access-token > "a.b.c.d.e": token_malformed'],
      doesNotApply: 'no encryption can be agreed upon with the gateway; encrypted tokens are refused',
    },
    {
      section: '4',
      level: 'SHOULD',
      requirement: 'Where encryption was agreed upon, tokens that are not encrypted are refused.',
      doesNotApply: 'no encryption can be agreed upon with the gateway',
    },
    {
      section: '4',
      level: 'MUST',
      requirement: '`iss` is exactly the identifier of an issuer of the route.',
      tests: [
        'token/access-token > an issuer that the route does not name: token_issuer_unknown, also for a token in the cache',
        'issuer/key-document > refuses metadata of another issuer, even one that differs by a slash',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: '`aud` is there and names this resource.',
      tests: [
        'token/access-token > aud = undefined: token_claim_invalid, which names the claim',
        'token/access-token > aud names one of the issuer’s audiences and one of the route’s, exactly',
        'gateway/reasons > token_audience_mismatch: aud is another service',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'The signature is verified, with the algorithm that `alg` names.',
      tests: [
        'token/access-token > a signature by another key, cut, or empty: token_signature_invalid, and nothing is cached',
        'token/access-token > an algorithm of the list that is not the key’s: token_algorithm_refused',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: '`alg` `none` is refused.',
      tests: [
        'token/access-token > alg none: token_algorithm_refused',
        'gateway/reasons > token_algorithm_refused: alg is none',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'Keys come from the issuer and from nowhere else.',
      tests: [
        'token/access-token > jwk, jku, x5u and x5c in the header are never used',
        'token/access-token > a cached verification ends with its key',
        'issuer/key-document > follows no jwks_uri on another origin without TLS, and none that is not a URI',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'The present is before `exp`, a small leeway aside; at every use, cached or not.',
      tests: [
        'token/access-token > exp and nbf count with the tolerance of the issuer, at every use',
        'token/access-token > exp = undefined: token_claim_invalid, which names the claim',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'Errors are those of RFC 6750 §3.1; every check above that fails is `invalid_token`.',
      tests: ['conformance/challenges > every refusal of a token is invalid_token, but for keys that are out of reach'],
    },
    {
      section: '4',
      level: 'SHOULD',
      requirement: 'Scopes and authorization claims take part in the decision.',
      tests: [
        'token/claims > all of them, or any of them; string or array; the first claim that is present',
        'token/claims > a claim equals one of the values, of the same type; an array matches by any item',
        'gateway/reasons > claim_mismatch: a claim has another value; no scope would mend that',
      ],
    },
  ],
};
