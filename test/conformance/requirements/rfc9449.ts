// RFC 9449 (DPoP): demands on a resource server.

import type { Specification } from '../requirement.ts';
import { PROOFS } from './rfc9449-proofs.ts';

export const RFC_9449: Specification = {
  name: 'RFC 9449',
  title: 'Demonstrating Proof of Possession',
  link: 'https://www.rfc-editor.org/rfc/rfc9449',
  sections: '§4.2, §4.3, §7, §8.2, §9, §11',
  requirements: [
    ...PROOFS,
    {
      section: '7',
      level: 'MUST',
      requirement: 'A request under scheme DPoP without a proof, or with a proof without `ath`, is refused.',
      tests: [
        'gateway/reasons > proof_missing: scheme DPoP comes without a DPoP field',
        'proof/dpop-proof > ath = undefined: proof_malformed',
      ],
    },
    {
      section: '7.1',
      level: 'stated',
      requirement: 'Credentials are the scheme in any case, one or more spaces, and one token68.',
      tests: [
        'token/presentation > ["dpop abc"] is read as DPoP abc proof',
        'token/presentation > ["bEaReR   a-b._~+/=="] is read as Bearer a-b._~+/== -',
        'token/presentation > ["Bearer a b"] with 0 DPoP lines: credentials_malformed',
        'token/presentation > ["Bearer a=b"] with 0 DPoP lines: credentials_malformed',
      ],
    },
    {
      section: '7.1',
      level: 'MUST',
      requirement:
        'With a DPoP-bound token the proof is there, is checked by §4.3, and its key is the key of the token.',
      tests: [
        'gateway/reasons > proof_missing: scheme DPoP comes without a DPoP field',
        'gateway/reasons > proof_key_mismatch: a thief signed it with another key (figure 16)',
        'conformance/rfc9449 > the proof of figure 13 passes for its request, access token and key, and for no other',
        'binding/binding > route token, scheme DPoP, token jkt: J',
      ],
    },
    {
      section: '7.1',
      level: 'MUST',
      requirement: 'Access is granted only if every check succeeded.',
      tests: [
        'gateway/reasons > a refusal occurs with its status, error, challenge and body, and never reaches the upstream',
        'gateway/reasons > every reason that can occur has a refusal here, and every other one says why it cannot',
        'house/imports > only enforce.ts grants a Permit',
      ],
    },
    {
      section: '7.1',
      level: 'stated',
      requirement: 'A challenge is a 401 with WWW-Authenticate and scheme DPoP.',
      tests: [
        'gateway/reasons > credentials_missing: there are none on a route for DPoP alone (figure 15)',
        'rejection/rejection > every 401, 403 and credential 400 has at least one challenge',
      ],
    },
    {
      section: '7.1',
      level: 'SHOULD',
      requirement:
        'Where a token was presented and failed, the challenge has `error`; `invalid_dpop_proof` where the proof failed.',
      tests: [
        'conformance/challenges > a client whose token failed learns the error, and on the challenge of the scheme presented where that is offered',
        'gateway/reasons > proof_stale: iat is too old',
      ],
    },
    {
      section: '7.1',
      level: 'SHOULD',
      requirement: 'The challenge has `algs`, a list of the algorithms that proofs may use.',
      tests: [
        'conformance/challenges > every DPoP challenge names the algorithms of the route (RFC 9449 §7.1)',
        'config/compile/demand > a challenge carries algorithms, scope, acr values and the age in whole seconds',
      ],
    },
    {
      section: '7.1',
      level: 'stated',
      requirement: 'A page of another origin can read WWW-Authenticate (and DPoP-Nonce) where CORS is on.',
      tests: ['edge/intake/cors > an answer to a listed origin exposes nonce, challenge and the configured fields'],
    },
    {
      section: '7.1',
      level: 'MUST',
      requirement: 'The scheme is used with neither Proxy-Authorization nor Proxy-Authenticate.',
      tests: [
        'conformance/rfc9449 > a token or proof in Proxy-Authorization is none, and no answer has Proxy-Authenticate (§7.1)',
      ],
    },
    {
      section: '7.2',
      level: 'MUST',
      requirement: 'A DPoP-bound token presented as Bearer is refused, with or without a proof.',
      tests: [
        'gateway/reasons > binding_downgraded: a key-bound token is presented as Bearer (RFC 9449 §7.2)',
        'gateway/reasons > binding_downgraded: a key-bound token is presented as Bearer together with a good proof',
        'binding/binding > route token, scheme Bearer, token both: binding_downgraded',
      ],
    },
    {
      section: '7.2',
      level: 'SHOULD',
      requirement: 'Without authentication information no challenge has an error.',
      tests: [
        'rejection/rejection > no credentials: every accepted scheme, no error (figure 17)',
        'conformance/challenges > a request without authentication information, or with another scheme, gets challenges without error',
      ],
    },
    {
      section: '7.2',
      level: 'SHOULD',
      requirement: 'Where the scheme that was tried is clear, the error stands on its challenge.',
      tests: [
        'rejection/rejection > a failure: the error on the presented scheme alone (figure 18)',
        'rejection/rejection > credentials given twice: the error on every challenge (figure 19)',
      ],
      deviation: '0005-error-where-the-scheme-is-not-offered',
    },
    {
      section: '8.2',
      level: 'stated',
      requirement: 'A new nonce can come with a successful answer.',
      tests: [
        'gateway/nonce > in the last half, a successful answer brings a fresh one, and may not be stored',
        'proof/dpop-proof > a nonce in its last half asks for a fresh one',
      ],
    },
    {
      section: '8.2',
      level: 'stated',
      requirement: 'An answer to which the gateway adds DPoP-Nonce cannot be cached.',
      tests: [
        'gateway/nonce > in the last half, a successful answer brings a fresh one, and may not be stored',
        'edge/fields/answer-fields > of the gateway is the only one and makes the answer no-store',
      ],
    },
    {
      section: '9',
      level: 'stated',
      requirement: 'A nonce is asked for by a 401 with a DPoP challenge `use_dpop_nonce` and a DPoP-Nonce field.',
      tests: [
        'gateway/nonce > a client without nonce is challenged, and passes when it tries again with the one it got',
        'rejection/challenge-readers > use_dpop_nonce is one line, the DPoP challenge, which begins with the error (RFC 9449 figure 24)',
        'rejection/rejection > brings a nonce with use_dpop_nonce and never otherwise',
      ],
    },
    {
      section: '9',
      level: 'stated',
      requirement: 'Only nonces that this server issued are accepted, and those of upstreams are kept apart from ours.',
      tests: [
        'proof/nonce > two processes without a configured secret do not accept the nonces of each other',
        "config/compile/demand > an upstream's DPoP-Nonce does not pass on an origin where nonces are ours (RFC 9449 §8.2)",
        'edge/fields/answer-fields > of the upstream is removed where the gateway verified the request',
      ],
    },
    {
      section: '11.1',
      level: 'MUST',
      requirement: 'A proof is accepted for a limited time after its creation.',
      tests: [
        'conformance/rfc9449 > proofs are accepted for a minute after their iat and 15 s before it, and no setting makes that more than ten minutes',
        'proof/nonce > a nonce tells when it was minted and when it expires, until then and no longer',
      ],
    },
    {
      section: '11.1',
      level: 'stated',
      requirement: 'A proof is good once: its `jti` is remembered for as long as it would be accepted.',
      tests: [
        'gateway/reasons > proof_replayed: the proof was used before',
        'gateway/nonce > of fifty copies of one proof that come at once, exactly one passes',
        'gateway/nonce > a replay is one whatever is respelled: the query, or the signature by the same key',
        'memory/process-replay-store > never lets a proof be fresh twice, whatever the clock does',
        'gateway/nonce > a proof with a nonce is remembered as long as its nonce counts',
      ],
    },
    {
      section: '11.1',
      level: 'stated',
      requirement: 'What is remembered of a `jti` is bounded: large ones are refused, of the others a digest is kept.',
      tests: [
        'conformance/rfc9449 > a jti of 256 bytes is the largest that is accepted',
        'memory/process-replay-store > refuses new proofs, still knows the old ones and evicts none',
      ],
    },
    {
      section: '11.2',
      level: 'stated',
      requirement: 'Nonces cannot be predicted, so that a proof cannot be made before its nonce was given.',
      tests: [
        'proof/nonce > no nonce with one changed character is read',
        'config/compile/compile > nonce secrets are trimmed and have at least 32 bytes',
      ],
    },
    {
      section: '11.3',
      level: 'MUST',
      requirement: 'After a nonce was given, no proof without one is accepted.',
      tests: [
        'conformance/rfc9449 > after a nonce was given no proof without one passes, however fresh, nor one with an invented nonce (§11.3)',
      ],
      deviation: '0014-nonces-that-are-a-clock-aid',
    },
    {
      section: '11.5',
      level: 'MUST',
      requirement: 'A signed JWT that was made for another purpose is not a proof: `typ` is looked at.',
      tests: [
        'proof/dpop-proof > typ "at+jwt": proof_type_invalid',
        'conformance/rfc8725 > an access token is not a proof and a proof not an access token, whatever key signed them (§3.12)',
      ],
    },
    {
      section: '11.6',
      level: 'MUST',
      requirement: 'Only asymmetric algorithms that are deemed secure can be configured and used, `none` never.',
      tests: [
        'conformance/rfc9449 > neither none nor an HMAC can be configured, for proofs or for tokens',
        'proof/dpop-proof > RSA keys under 2048 bits, over 4096 bits, with an even or long exponent: proof_key_invalid',
      ],
    },
    {
      section: '11.8',
      level: 'stated',
      requirement: 'Token and key, and proof and token, are tied by SHA-256.',
      tests: [
        'jose/thumbprint > ath and jkt of the examples of RFC 9449',
        'jose/thumbprint > equal to jose for every key type',
      ],
    },
  ],
};
