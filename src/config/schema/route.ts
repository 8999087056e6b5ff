// Declaration of the keys of a route: what it demands, and how it forwards.

import * as z from 'zod';
import {
  algorithms,
  choice,
  choiceOrNone,
  claimName,
  duration,
  durationOrNone,
  field,
  file,
  flag,
  list,
  name,
  text,
  uri,
} from './values.ts';
import { edits, mirror, retries, rewrite, upstreams } from './forwarding.ts';
import { requestLimits } from './listener.ts';
import { match } from './match.ts';
import { redirect, respond } from './own-answer.ts';

const FACTS = ['@binding', '@thumbprint', '@issuer', '@expires', '@certificate_subject'] as const;

const audience = list(text('an audience'), 'audiences');
const scopes = list(text('a scope without spaces', /^[\x21\x23-\x5b\x5d-\x7e]+$/), 'scopes');

const requirement = choice('public', 'token', 'sender-constrained', 'dpop', 'mtls').describe(
  'public: nothing is looked at. token: unbound bearer tokens pass too. sender-constrained: DPoP or certificate. ' +
    'A bound token is held to its binding everywhere but on public routes.',
);

const dpop = {
  nonce: choiceOrNone('required', 'on-skew').describe(
    'required: every proof carries a nonce of ours (RFC 9449 §9). on-skew: a client whose clock is wrong is challenged instead of refused.',
  ),
  max_age: duration('1s', '10m').describe('How old the iat of a proof may be; at most 10m.'),
  clock_tolerance: duration('0s', '10m').describe('How far in the future its iat may be.'),
  algorithms: algorithms.describe('Algorithms accepted for proofs.'),
};

const signature = z.strictObject({
  components: list(
    text(
      'a field name in small letters such as idempotency-key',
      /^(?!signature(?:-input)?$)[a-z0-9!#$%&'*+.^_`|~-]+$/,
    ),
    'field names',
    0,
  )
    .prefault(['content-type', 'content-encoding'])
    .describe(
      'Fields that have to be signed where a request has them, in addition to @method, @target-uri, authorization, dpop and content-digest.',
    ),
  tag: text('visible ASCII without quotes and backslashes', /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/)
    .optional()
    .describe('The tag of the signature that counts; absent: the only one, whatever its tag.'),
  max_age: duration('1s', '10m').prefault('60s').describe('How old its created may be; at most 10m.'),
  clock_tolerance: duration('0s', '10m').prefault('15s').describe('How far in the future its created may be.'),
});

const assertion = z.strictObject({
  field: field.describe('The field in which it goes.'),
  key_files: list(file, 'file names').describe(
    'Private keys, PEM or JWK: the first signs, the public halves of all are served at /assertion-keys of the telemetry port.',
  ),
  issuer: text('a name or URI').prefault('holdfast').describe('Its iss.'),
  audience: text('a name or URI').optional().describe("Its aud; absent: the name of the route's upstream."),
  lifetime: duration('1s', '10m').prefault('30s').describe('How long it is valid.'),
  claims: list(claimName, 'claims', 0)
    .prefault(['sub', 'client_id', 'scope'])
    .describe('Claims of the access token that it repeats.'),
});

const tokenExchange = z
  .strictObject({
    audience: audience.optional().describe('audience: names by which the issuer knows the upstream.'),
    resource: list(uri('an http or https URI'), 'URIs')
      .optional()
      .describe('resource: URIs of the upstream (RFC 8707).'),
    scope: scopes
      .optional()
      .describe('scope: what the token for the upstream is for. Absent: what the issuer thinks right.'),
  })
  .refine(
    ({ audience: names, resource: uris }) => names !== undefined || uris !== undefined,
    'audience or resource, or both',
  );

const certificateField = z.strictObject({
  format: choice('rfc9440', 'xfcc', 'pem-escaped').describe('How the certificate is written.'),
  field: field.describe('The field in which it goes.'),
});

const forward = {
  host: choice('preserve', 'upstream').describe("The Host that the upstream sees: the client's or the target's own."),
  authorization: choice('remove', 'as-received', 'bearer', 'exchange').describe(
    'What the upstream sees of the credentials: nothing, everything (with the proof), the token as Bearer, or another token that the issuer gives in exchange for it (RFC 8693).',
  ),
  token_exchange: tokenExchange.optional().describe('For whom a token is asked for, with authorization: exchange.'),
  identity: z
    .record(
      field,
      z.union(
        [choice(...FACTS), claimName, list(claimName, 'claims')],
        `a claim, a list of claims, ${FACTS.slice(0, -1).join(', ')} or ${FACTS.at(-1)}`,
      ),
      'a mapping from fields to claims',
    )
    .describe(
      'Fields that tell the upstream who is calling: a claim, the first of a list that is not empty, or @fact.',
    ),
  encoding: choice('strict', 'base64url', 'rfc8187').describe(
    'strict: a claim that is not a clean field value rejects the request, and so does a text with a comma where an array could be. ' +
      'The other two encode the items of an array one by one, with commas between them.',
  ),
  remove: list(field, 'field names', 0).describe('More fields of the client that never pass.'),
  client_certificate: list(certificateField, '{ format, field }', 0).describe(
    "Fields in which the client's certificate goes on.",
  ),
  assertion: assertion.optional().describe('A statement signed by the gateway about each request.'),
};

const timeouts = {
  connect: duration().describe('Until others leave a connection free, and then until it stands.'),
  response_header: duration().describe('From the request sent to the head of the answer.'),
  idle: duration().describe('Between two pieces of a body.'),
  total: durationOrNone.describe('The whole exchange; none: no limit, as streams need.'),
};

export const defaults = z.strictObject({
  require: requirement.prefault('sender-constrained'),
  dpop: z
    .strictObject({
      nonce: dpop.nonce.prefault('none'),
      max_age: dpop.max_age.prefault('60s'),
      clock_tolerance: dpop.clock_tolerance.prefault('15s'),
      algorithms: dpop.algorithms.prefault(['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256']),
    })
    .prefault({})
    .describe('Rules for DPoP proofs.'),
  forward: z
    .strictObject({
      host: forward.host.prefault('preserve'),
      authorization: forward.authorization.prefault('remove'),
      token_exchange: forward.token_exchange,
      identity: forward.identity.prefault({
        'X-Auth-Issuer': '@issuer',
        'X-Auth-Subject': 'sub',
        'X-Auth-Client': ['client_id', 'azp', 'cid', 'appid'],
        'X-Auth-Scope': ['scope', 'scp'],
        'X-Auth-Binding': '@binding',
        'X-Auth-Thumbprint': '@thumbprint',
      }),
      encoding: forward.encoding.prefault('strict'),
      remove: forward.remove.prefault([]),
      client_certificate: forward.client_certificate.prefault([]),
      assertion: forward.assertion,
    })
    .prefault({})
    .describe('What the upstream sees.'),
  timeouts: z
    .strictObject({
      connect: timeouts.connect.prefault('2s'),
      response_header: timeouts.response_header.prefault('30s'),
      idle: timeouts.idle.prefault('60s'),
      total: timeouts.total.prefault('none'),
    })
    .prefault({})
    .describe('How long the upstream may take.'),
});

// Under a route the same keys without defaults: what is absent there comes from `defaults`.
const dpopOverride = z.strictObject(dpop).partial().optional().describe('Rules for DPoP proofs on this route.');

const scope = z.union(
  [scopes, z.strictObject({ any: scopes.describe('One of them is enough.') })],
  'a list of scopes, or { any: [a, b] }',
);

// Beyond these bounds a double rounds: one tenant's number would match another's.
const BEYOND = `the digits in quotes, which match this integer (a number is at most ${Number.MAX_SAFE_INTEGER})`;
const number = z.number().min(Number.MIN_SAFE_INTEGER, BEYOND).max(Number.MAX_SAFE_INTEGER, BEYOND);
const claimValue = z.union([z.string(), number, z.boolean()], 'text, a number, true or false');

const claims = z.record(
  text('a claim name, or a JSON Pointer starting with "/"'),
  z.union([claimValue, list(claimValue, 'values')], 'a value or a list of values'),
  'a mapping from claims to values',
);

const cors = z.strictObject({
  origins: list(
    text('one origin such as https://app.example.com; "*" is not taken', /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*\\]+$/),
    'origins such as https://app.example.com',
  ).describe('Origins of the browser applications.'),
  expose: list(field, 'field names', 0)
    .prefault([])
    .describe('More fields that scripts may read; DPoP-Nonce and WWW-Authenticate always.'),
  max_age: duration('0s', '24h').prefault('10m').describe('How long browsers may keep the answer to a preflight.'),
  credentials: flag().prefault(false).describe('Whether cookies and the like may come along.'),
});

const resource = z.strictObject({
  identifier: uri(
    'an https URI without a fragment, such as https://api.example.com/orders',
    /^https:\/\/[^\s/?#@\\]+(?:[/?][^\s#\\]*)?$/,
  ).describe('The resource identifier (RFC 9728 §1.2). Routes with the same one are one resource.'),
  scopes_supported: scopes.optional().describe('Scopes named in the document. Absent: those that its routes demand.'),
  name: text('a name for people').optional().describe('resource_name.'),
  documentation: uri('an http or https URI').optional().describe('resource_documentation: for developers.'),
  policy_uri: uri('an http or https URI').optional().describe('resource_policy_uri: how the data may be used.'),
  tos_uri: uri('an http or https URI').optional().describe('resource_tos_uri: terms of service.'),
  signed_metadata: z
    .strictObject({
      key_file: file.describe('The private key, PEM or JWK.'),
      issuer: text('a name or URI').optional().describe('Its iss: who attests. Absent: the identifier.'),
    })
    .optional()
    .describe('The document once more inside of itself, as a signed JWT (RFC 9728 §2.2).'),
});

export const route = z.strictObject({
  name: name.describe('A metric label; unique.'),
  match: match.describe('Which requests this route is for.'),
  upstream: name.optional().describe('Where they go. Absent only where every listener of the route has mode: decide.'),
  upstreams: upstreams
    .optional()
    .describe(
      'In place of upstream: several, each of which takes its share. No other takes the share of one that fails. All weights 0: 500 (upstream_absent).',
    ),
  respond: respond
    .optional()
    .describe(
      'In place of upstream: one answer for every request that is permitted. What the route demands is checked first.',
    ),
  redirect: redirect
    .optional()
    .describe(
      'In place of upstream: every request that is permitted is sent elsewhere. The query of the request stays.',
    ),
  issuers: list(name, 'issuer names')
    .optional()
    .describe("Whose tokens count here; absent: the main file's one issuer."),
  audience: audience.optional().describe("Narrows the issuers' audiences."),
  require: requirement.optional(),
  dpop: dpopOverride,
  signature: signature
    .optional()
    .describe(
      'Every request has to be signed as a whole, body included, by the key to which its token is bound (RFC 9421, RFC 9530). Absent: none is looked at.',
    ),
  forward: z.strictObject(forward).partial().optional().describe('What the upstream sees on this route.'),
  timeouts: z.strictObject(timeouts).partial().optional().describe('How long the upstream may take on this route.'),
  scope: scope.optional().describe('All of them, or { any: [a, b] }.'),
  claims: claims
    .optional()
    .describe(
      'Claims that must equal, or be one of, these values; an array matches by any item. An integer beyond 2^53 is written in quotes.',
    ),
  acr: list(text('an acr value: visible ASCII without spaces', /^[\x21-\x7e]+$/), 'acr values')
    .optional()
    .describe('Authentication contexts that do (RFC 9470).'),
  max_auth_age: duration('1s').optional().describe('How long ago the user may have authenticated (RFC 9470).'),
  shadow: z
    .strictObject({
      require: requirement.optional(),
      dpop: dpopOverride,
      signature: signature
        .optional()
        .describe('Requests have to be signed; bodies are not compared with their digest.'),
    })
    .optional()
    .describe('Evaluated, counted and logged next to the real demand, never enforced.'),
  cors: cors.optional().describe('Browser applications that may call this route.'),
  resource: resource
    .optional()
    .describe(
      'Metadata by which clients find the authorization server (RFC 9728), served without a token, and named in challenges.',
    ),
  rate_limit: name.optional().describe('One of rate_limits.'),
  encoded: list(choice('slash'), 'slash', 0).prefault([]).describe('slash: %2F passes as received, never decoded.'),
  rewrite: rewrite
    .optional()
    .describe(
      'Changes to path and host for the upstream, after every check: proofs are held against the request as it came.',
    ),
  retries: retries
    .optional()
    .describe(
      'Sends requests again after some answers, where they may arrive twice: idempotent methods (RFC 9110 §9.2.2), no DPoP proof for the upstream, a body of at most 256 KiB.',
    ),
  mirror: mirror
    .optional()
    .describe(
      'Upstreams that get copies of permitted requests, without credentials of the sender. Their answers are dropped, and no request waits for them; bodies of more than 256 KiB are not copied.',
    ),
  request_fields: edits
    .optional()
    .describe(
      'Edits of fields on their way to the upstream, before the gateway adds its own. Managed fields, credentials and framing cannot be named.',
    ),
  response_fields: edits
    .optional()
    .describe('Edits of fields of answers of the upstream. Challenges, nonces, CORS and framing cannot be named.'),
  limits: z.strictObject(requestLimits).partial().optional().describe("In place of the listener's."),
  weaker_than_defaults: list(
    choice('require', 'nonce', 'max_age', 'clock_tolerance', 'algorithms', 'authorization', 'encoded'),
    'keys',
    0,
  )
    .prefault([])
    .describe('The keys in which this route demands less than the defaults.'),
});
