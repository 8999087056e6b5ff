// Declaration of the keys of an issuer: which authorization servers count, and how.

import * as z from 'zod';
import { algorithms, claimName, duration, file, flag, list, text, uri } from './values.ts';

const markValue = z.union([text('a value'), z.boolean()], 'a value, true or false');
const ACCESS_TOKEN = 'any, or a mapping from claims to values, lists of values or present';

/** What marks an access token among the tokens of an issuer. */
const accessToken = z.union(
  [
    z.literal('any'),
    z
      .record(claimName, z.union([markValue, list(markValue, 'values')]), ACCESS_TOKEN)
      .refine((claims) => Object.keys(claims).length > 0, ACCESS_TOKEN),
  ],
  ACCESS_TOKEN,
);

/** With what the gateway says who it is to an endpoint of the issuer. */
const credentials = {
  client_id: text('a client identifier').describe('Who asks.'),
  client_secret_file: file.optional().describe('client_secret_basic.'),
  private_key_file: file.optional().describe('private_key_jwt.'),
  cert: file.optional().describe('tls_client_auth, with key_file.'),
  key_file: file.optional().describe('Private key of cert.'),
};

type Credentials = Partial<Record<keyof typeof credentials, string | undefined>>;

const hasOneCredential = ({
  client_secret_file: secret,
  private_key_file: key,
  cert,
  key_file: certKey,
}: Credentials) =>
  [secret, key, cert].filter((one) => one !== undefined).length === 1 &&
  (cert === undefined) === (certKey === undefined);

const ONE_CREDENTIAL = 'exactly one of client_secret_file, private_key_file, and cert with key_file';

export const issuer = z.strictObject({
  issuer: text(
    'the issuer identifier, such as https://login.example.com',
    /^(?:https?:\/\/[^\s/?#@\\]+(?:\/[^\s?#\\]*)?|(?!https?:)[\x21-\x7e]+)$/,
  )
    .refine(
      (value) => !/^https?:/.test(value) || URL.canParse(value),
      'the issuer identifier, such as https://login.example.com',
    )
    .describe('Exactly as in iss. If it is not an https URL, keys must name a place.'),
  audience: list(text('an audience'), 'audiences').describe('One of these must be in aud.'),
  audience_claim: claimName
    .prefault('aud')
    .describe(
      'The claim that names the audience in tokens without aud or with an empty one, such as client_id of Amazon Cognito.',
    ),
  keys: z
    .union(
      [
        z.literal('discovery'),
        z
          .strictObject({
            discovery_uri: uri('an https URI').optional().describe('Metadata document (RFC 8414).'),
            jwks_uri: uri('an https URI').optional().describe('Key set, without discovery.'),
            jwks_file: file.optional().describe('Key set in a file.'),
          })
          .refine((keys) => Object.keys(keys).length === 1, 'exactly one of discovery_uri, jwks_uri and jwks_file'),
      ],
      'discovery, { discovery_uri: … }, { jwks_uri: … } or { jwks_file: … }',
    )
    .prefault('discovery')
    .describe('Where the keys are: RFC 8414, then OpenID Connect discovery, or one place named here.'),
  ca_file: file.optional().describe('PEM file with the CAs for fetching keys.'),
  insecure_http: flag().prefault(false).describe('http to the issuer is allowed beyond loopback.'),
  algorithms: algorithms
    .prefault(['ES256', 'ES384', 'PS256', 'EdDSA', 'RS256'])
    .describe('Algorithms accepted for tokens; asymmetric only.'),
  require_typ: flag().prefault(false).describe('true: only at+jwt (RFC 9068).'),
  access_token: accessToken
    .optional()
    .describe(
      'What marks an access token: claims with one of these values (present: any value), or any. Absent: it must not look like an ID token.',
    ),
  scope_claim: list(claimName, 'claims')
    .prefault(['scope', 'scp'])
    .describe('Where the scope is: the first present; string or array.'),
  clock_tolerance: duration('0s', '10m').prefault('15s').describe('For exp and nbf.'),
  required_for_ready: flag().prefault(true).describe('Not ready before the keys were loaded once.'),
  introspection: z
    .strictObject({
      endpoint: uri('an https URI').optional().describe('Absent: from discovery.'),
      ...credentials,
      access_token: accessToken
        .optional()
        .describe(
          'What marks an access token in an answer; any: the endpoint vouches that what it calls active is one.',
        ),
      signed: flag().prefault(false).describe('Answers are JWTs signed by the issuer (RFC 9701); others are refused.'),
      always: flag().prefault(false).describe('JWTs too.'),
      cache: duration('0s').prefault('30s').describe('How long an answer counts.'),
    })
    .refine(hasOneCredential, ONE_CREDENTIAL)
    .optional()
    .describe('Ask the issuer about opaque tokens (RFC 7662).'),
  token_exchange: z
    .strictObject({
      endpoint: uri('an https URI').optional().describe('The token endpoint. Absent: from discovery.'),
      ...credentials,
      cache: duration('0s', '24h')
        .prefault('5m')
        .describe('How long an issued token is used at most, and never in the last 10 s of its expires_in.'),
    })
    .refine(hasOneCredential, ONE_CREDENTIAL)
    .optional()
    .describe(
      'Get tokens for upstreams in exchange for those of clients (RFC 8693), on routes with forward.authorization: exchange.',
    ),
});
