// Mistakes with DPoP proofs.

import { HOST, ORIGIN } from '../support/gateway.ts';
import { dpop, issue, prove, THIEF, TO_KEY } from './credentials.ts';
import { bearer, changed, hash, header, holder, proof, published, type Mistake } from './mistaken.ts';

export const PROOFS: readonly Mistake[] = [
  {
    mistake: 'no proof',
    reason: 'proof_missing',
    send: (gateway) => bearer('/dpop/1', TO_KEY, { scheme: 'DPoP' })(gateway),
    says: [/DPoP proof is required/, /Send a DPoP field with a fresh proof/],
  },
  {
    mistake: 'two proofs',
    reason: 'proof_repeated',
    send: holder('/dpop/1', { fields: [['DPoP', 'abc']] }),
    says: [/More than one DPoP proof/, /exactly one DPoP field/],
  },
  {
    mistake: 'a proof that is not a JWS',
    reason: 'proof_malformed',
    send: holder('/dpop/1', { proof: 'not-a-jws' }),
    says: [/not one well-formed JWS/, /"what":"JWS"/, /Send one compact JWS/],
  },
  {
    mistake: 'a proof without ath',
    reason: 'proof_malformed',
    send: proof({ ath: undefined }),
    says: [/claim of the DPoP proof is missing/, /"what":"ath"/, /Make the proof with jti, htm, htu, iat and ath/],
  },
  {
    mistake: 'iat as text',
    reason: 'proof_malformed',
    send: proof({ iat: '1800000000' }),
    says: [/wrong type/, /"what":"iat","differs":"type"/, /iat as a number/],
  },
  {
    mistake: 'typ JWT',
    reason: 'proof_type_invalid',
    send: header({ typ: 'JWT' }),
    says: [/"expected":"dpop\+jwt","received":"JWT"/, /Set typ to dpop\+jwt/],
  },
  {
    mistake: 'an algorithm that is not offered',
    reason: 'proof_algorithm_refused',
    send: header({ alg: 'ES512' }),
    says: [/"what":"alg".*"expected":"ES256.*","received":"ES512"/, /algorithm that the algs parameter names/],
  },
  {
    mistake: 'no key in the header',
    reason: 'proof_key_invalid',
    send: header({ jwk: undefined }),
    says: [/no key in its header/, /Embed the public key as jwk/],
  },
  {
    mistake: 'the private key in the header',
    reason: 'proof_key_invalid',
    send: header({ jwk: { ...published, d: 'abc' } }),
    says: [/private or symmetric key/, /Embed the public key alone/],
  },
  {
    mistake: 'another key than at the token request',
    reason: 'proof_key_mismatch',
    send: holder('/dpop/1', { proving: { key: THIEF } }),
    says: [new RegExp(`"expected":"${TO_KEY.cnf.jkt}","received":"${THIEF.jkt}"`), /key to which the token is bound/],
  },
  {
    mistake: 'htm of another method',
    reason: 'proof_method_mismatch',
    send: proof({ htm: 'POST' }),
    says: [/"what":"htm".*"expected":"GET","received":"POST"/, /Set htm to the method/],
  },
  {
    mistake: 'htm in small letters',
    reason: 'proof_method_mismatch',
    send: proof({ htm: 'get' }),
    says: [/htm of the DPoP proof is in another case/, /Write htm in capitals/],
  },
  ...(
    [
      ['another scheme', `http://${HOST}/dpop/1`, 'scheme', /https or http as there/],
      ['the name inside', 'https://orders.internal/dpop/1', 'host', /not to an internal name/],
      ['another port', `${ORIGIN}:8443/dpop/1`, 'port', /leave out the port where it is the default one/],
      ['a prefix that is stripped', `${ORIGIN}/v1/dpop/1`, 'path', /path that the client calls/],
      ['a slash at its end', `${ORIGIN}/dpop/1/`, 'trailing slash', /slash at its end included/],
      ['capitals in its path', `${ORIGIN}/Dpop/1`, 'case', /Paths are case-sensitive/],
      ['its query encoded', `${ORIGIN}/dpop/1%3Fpage=2`, 'query', /Cut the URL at the question mark/],
      ['a user name', `https://alice@${HOST}/dpop/1`, 'userinfo', /Leave user name and password out/],
    ] as const
  ).map(
    ([what, htu, differs, next]): Mistake => ({
      mistake: `htu with ${what}`,
      reason: 'proof_uri_mismatch',
      send: proof({ htu }),
      says: [new RegExp(`"what":"htu","differs":"${differs}","expected":"${ORIGIN}/dpop/1"`), next],
    }),
  ),
  {
    mistake: 'htu without scheme and host',
    reason: 'proof_uri_mismatch',
    send: proof({ htu: '/dpop/1' }),
    says: [/not an absolute URL/, /"received":"\/dpop\/1"/, /Set htu to scheme, host and path/],
  },
  {
    mistake: 'iat in milliseconds',
    reason: 'proof_from_future',
    send: (gateway) => proof({ iat: Math.floor(gateway.now() * 1000) })(gateway),
    says: [/iat of the DPoP proof is in milliseconds/, /divide by 1000/],
  },
  {
    mistake: 'a clock that is slow',
    reason: 'proof_stale',
    send: (gateway) => proof({ iat: gateway.now() - 300 })(gateway),
    says: [/too old/, /"clock_offset":-300/, /set the clock of the client/],
  },
  {
    mistake: 'a clock that is fast',
    reason: 'proof_from_future',
    send: (gateway) => proof({ iat: gateway.now() + 300 })(gateway),
    says: [/dated in the future/, /"clock_offset":300/, /Set the clock/],
  },
  {
    mistake: 'ath of the token before the refresh',
    reason: 'proof_token_mismatch',
    send: proof({ ath: hash('another').digest('base64url') }),
    says: [/for another access token/, /"what":"ath"/, /after a refresh, of the new one/],
  },
  {
    mistake: 'ath in hexadecimal',
    reason: 'proof_token_mismatch',
    send: async (gateway) => {
      const token = await issue(gateway, TO_KEY);
      return dpop(gateway, 'GET', '/dpop/1', { token, proving: { claims: { ath: hash(token).digest('hex') } } });
    },
    says: [/ath of the DPoP proof is in another encoding/, /not as hexadecimal/],
  },
  {
    mistake: 'no nonce',
    reason: 'nonce_required',
    send: holder('/nonce/1'),
    says: [/nonce is required/, /carries the value of DPoP-Nonce/],
  },
  {
    mistake: 'a nonce of the authorization server',
    reason: 'nonce_stale',
    send: proof({ nonce: 'eyJ7S_zG.eyJH0-Z.HX4w-7v' }, '/nonce/1'),
    says: [/nonce of the DPoP proof is unknown or expired/, /carries the value of DPoP-Nonce/],
  },
  {
    mistake: 'a signature in DER',
    reason: 'proof_signature_invalid',
    send: async (gateway) => {
      const token = await issue(gateway, TO_KEY);
      const good = await prove(gateway, token, 'GET', '/dpop/1');
      const der = changed(good, 2, (part) =>
        Buffer.concat([Buffer.from([0x30, 0x44]), Buffer.from(part, 'base64url')]).toString('base64url'),
      );
      return gateway.request('GET', '/dpop/1', { token, proof: der });
    },
    says: [/signature of the DPoP proof is invalid/, /64 bytes, not DER/],
  },
  {
    mistake: 'a proof that is sent twice',
    reason: 'proof_replayed',
    send: async (gateway) => {
      const token = await issue(gateway, TO_KEY);
      const wishes = { token, proof: await prove(gateway, token, 'GET', '/dpop/1') };
      await gateway.request('GET', '/dpop/1', wishes);
      return gateway.request('GET', '/dpop/1', wishes);
    },
    says: [/used before/, /with a new jti, for every request/],
  },
];
