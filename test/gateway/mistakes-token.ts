// Mistakes with credentials, access tokens and certificates.

import { AUDIENCE, ISSUER, makeToken } from '../support/tokens.ts';
import { CLIENT, issue, OTHER_CLIENT, TO_CERTIFICATE, TO_KEY } from './credentials.ts';
import { authorized, bearer, changed, plain, published, stranger, unknownKey, type Mistake } from './mistaken.ts';

export const CREDENTIALS: readonly Mistake[] = [
  {
    mistake: 'no token',
    reason: 'credentials_missing',
    send: plain('/any/1'),
    says: [
      /"what":"Authorization","differs":"missing"/,
      /Get a token .* and send it in one Authorization field, by a scheme that WWW-Authenticate names/,
    ],
  },
  {
    mistake: 'a DPoP-bound token sent as Bearer',
    reason: 'binding_downgraded',
    send: bearer('/any/1', TO_KEY),
    says: [/"expected":"DPoP","received":"Bearer"/, /Send it as Authorization: DPoP with a proof/],
  },
  {
    mistake: 'a token without its scheme',
    reason: 'credentials_malformed',
    send: authorized('abc.def.ghi'),
    says: [/lacks the scheme or the token/, /DPoP TOKEN or Bearer TOKEN/],
  },
  {
    mistake: 'Basic instead of a token',
    reason: 'scheme_not_accepted',
    send: authorized('Basic YTpi'),
    says: [/scheme is not accepted/, /Use a scheme that a challenge of this answer offers/],
  },
  {
    mistake: 'the token in the query',
    reason: 'credentials_in_query',
    send: plain('/any/1?access_token=abc'),
    says: [/sent in the query/, /in the Authorization field alone/],
  },
  {
    mistake: 'two Authorization fields',
    reason: 'credentials_repeated',
    send: authorized('Bearer a', 'Bearer b'),
    says: [/"what":"Authorization"/, /Send one Authorization field/],
  },
];

export const TOKENS: readonly Mistake[] = [
  {
    mistake: 'an expired token',
    reason: 'token_expired',
    send: (gateway) => bearer('/any/1', { exp: gateway.now() - 90 })(gateway),
    says: [/token expired/, /"what":"exp"/, /"seconds_over":(?:59|60|7\d|8\d)/, /Get a new token/],
  },
  {
    mistake: 'a token that is not valid yet',
    reason: 'token_not_yet_valid',
    send: (gateway) => bearer('/any/1', { nbf: gateway.now() + 90 })(gateway),
    says: [/not valid yet/, /"what":"nbf","differs":"future"/, /Wait, or get a new token/],
  },
  {
    mistake: 'nbf in milliseconds',
    reason: 'token_not_yet_valid',
    send: (gateway) => bearer('/any/1', { nbf: Math.floor(gateway.now()) * 1000 })(gateway),
    says: [/nbf of the access token is in milliseconds/, /in seconds/],
  },
  {
    mistake: 'a token of another issuer',
    reason: 'token_issuer_unknown',
    send: bearer('/any/1', { iss: 'https://login.staging.example.com' }),
    says: [
      /"differs":"host","expected":"https:\/\/login.example.com","received":"https:\/\/login.staging/,
      /Get the token from an issuer/,
    ],
  },
  {
    mistake: 'an issuer with a slash at its end',
    reason: 'token_issuer_unknown',
    send: bearer('/any/1', { iss: `${ISSUER}/` }),
    says: [/issuer of the access token differs by a slash at its end/, /"differs":"trailing slash"/, /to the letter/],
  },
  {
    mistake: 'a token for another audience',
    reason: 'token_audience_mismatch',
    send: bearer('/any/1', { aud: ['https://payments.example.com', 'account'] }),
    says: [
      /"expected":"https:\/\/api.example.com","received":"https:\/\/payments.example.com, account"/,
      /Request a token for an audience/,
    ],
  },
  {
    mistake: 'an audience with a slash at its end',
    reason: 'token_audience_mismatch',
    send: bearer('/any/1', { aud: `${AUDIENCE}/` }),
    says: [/audience of the access token differs by a slash/, /exactly as this API expects it/],
  },
  {
    mistake: 'a token signed by a key of another environment',
    reason: 'token_key_unknown',
    send: async (gateway) => gateway.request('GET', '/any/1', { token: await makeToken(unknownKey, gateway.now()) }),
    says: [
      /key of the access token is unknown/,
      /"what":"kid"/,
      /"received":"staging-7"/,
      /issuer of this environment/,
    ],
  },
  {
    mistake: 'a token with a changed claim',
    reason: 'token_signature_invalid',
    send: async (gateway) => {
      const token = await issue(gateway);
      const other = await issue(gateway, { sub: 'root' });
      return gateway.request('GET', '/any/1', { token: changed(token, 1, () => other.split('.')[1] ?? '') });
    },
    says: [/signature of the access token is invalid/, /Get a new token and send it unchanged/],
  },
  {
    mistake: 'an opaque token where a JWT is expected',
    reason: 'token_malformed',
    send: authorized('Bearer 2YotnFZFEjr1zCsicMWpAA'),
    says: [/opaque where a JWT is expected/, /Ask the authorization server for a JWT access token/],
  },
  {
    mistake: 'half a token',
    reason: 'token_malformed',
    send: async (gateway) => authorized(`Bearer ${(await issue(gateway)).split('.').slice(0, 2).join('.')}`)(gateway),
    says: [/not a well-formed signed JWT/, /as the authorization server gave it: three parts/],
  },
  {
    mistake: 'an ID token',
    reason: 'token_type_refused',
    send: async (gateway) =>
      gateway.request('GET', '/any/1', { token: await issue(gateway, { nonce: 'n' }, { typ: 'JWT' }) }),
    says: [/not an access token/, /"what":"nonce"/, /Send the access token, not the ID token/],
  },
  {
    mistake: 'a token of another typ',
    reason: 'token_type_refused',
    send: async (gateway) =>
      gateway.request('GET', '/any/1', { token: await issue(gateway, {}, { typ: 'logout+jwt' }) }),
    says: [/"what":"typ".*"expected":"at\+jwt, JWT","received":"logout\+jwt"/, /Send the access token/],
  },
  {
    mistake: 'a token without aud',
    reason: 'token_claim_invalid',
    send: bearer('/any/1', { aud: undefined }),
    says: [/"what":"aud","differs":"missing"/, /issue exp, iss and aud/],
  },
  {
    mistake: 'an unbound token where DPoP is demanded',
    reason: 'binding_required',
    send: bearer('/dpop/1'),
    says: [/bound to a DPoP key is required/, /Request a token with a DPoP proof of your key/],
  },
  {
    mistake: 'a token bound by a jwk',
    reason: 'confirmation_unsupported',
    send: bearer('/any/1', { cnf: { jwk: published } }),
    says: [
      /"what":"cnf".*"expected":"jkt, x5t#S256","received":"jwk"/,
      /Have the token bound with cnf.jkt or cnf.x5t#S256/,
    ],
  },
];

export const CERTIFICATES: readonly Mistake[] = [
  {
    mistake: 'no client certificate',
    reason: 'certificate_missing',
    send: bearer('/mtls/1', TO_CERTIFICATE),
    says: [/client certificate is required/, /Connect with the certificate/],
  },
  {
    mistake: 'another client certificate',
    reason: 'certificate_mismatch',
    send: bearer('/mtls/1', TO_CERTIFICATE, { client: OTHER_CLIENT }),
    says: [
      new RegExp(`"expected":"${CLIENT.thumbprint}","received":"${OTHER_CLIENT.thumbprint}"`),
      /request a new token with this one/,
    ],
  },
  {
    mistake: 'a client certificate of another CA',
    reason: 'certificate_untrusted',
    send: bearer('/mtls/1', { cnf: { 'x5t#S256': stranger.thumbprint } }, { client: stranger }),
    says: [/not trusted/, /"what":"chain"/, /issued by an accepted authority/],
  },
  {
    mistake: 'a thumbprint that the authorization server wrote in hexadecimal',
    reason: 'certificate_mismatch',
    send: bearer(
      '/mtls/1',
      { cnf: { 'x5t#S256': Buffer.from(CLIENT.thumbprint, 'base64url').toString('hex') } },
      { client: CLIENT },
    ),
    says: [/another encoding/, /base64url without padding/],
  },
];
