// Mistakes of client developers, each with what its refusal has to say.

import { createHash } from 'node:crypto';
import type { Reason } from '../../src/rejection/rejection.ts';
import { type Answered, HOST, ORIGIN, type TestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken } from '../support/tokens.ts';
import {
  CLIENT,
  type DpopWishes,
  dpop,
  issue,
  OTHER_CLIENT,
  prove,
  THIEF,
  TO_CERTIFICATE,
  TO_KEY,
} from './credentials.ts';

/** One mistake. `says`: found in the answer alone, the first of them what was wrong, the last what to do. */
export interface Mistake {
  readonly mistake: string;
  readonly reason: Reason;
  readonly send: (gateway: TestGateway) => Promise<Answered>;
  readonly says: readonly RegExp[];
}

const APP = 'https://app.example.com';

/** What the mistakes are made on. */
export const MISTAKEN = {
  more: 'drain: { delay: 0s, grace: 5s }\nrate_limits: { hourly: { key: client, rate: 1/h, burst: 1 } }',
  listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }\nexplain_to_clients: true',
  upstreams: 'gone: { targets: ["http://127.0.0.1:1"] }',
  routes: `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls }
- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- name: scope
  match: { path: /scope/* }
  upstream: orders
  require: token
  scope: [orders:write]
  claims: { tenant: acme }
  weaker_than_defaults: [require]
- name: strong
  match: { path: /strong/* }
  upstream: orders
  require: token
  acr: [urn:example:loa3]
  max_auth_age: 10m
  weaker_than_defaults: [require]
- { name: rare, match: { path: /rare/* }, upstream: orders, require: token, rate_limit: hourly, weaker_than_defaults: [require] }
- { name: pages, match: { path: /pages/*, methods: [GET] }, upstream: orders, require: dpop, cors: { origins: ["${APP}"] } }
- { name: exact, match: { path: /exact }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: few, match: { path: /few/*, methods: [GET, POST] }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: gone, match: { path: /gone/* }, upstream: gone, require: public, weaker_than_defaults: [require] }
- name: hasty
  match: { path: /hasty/* }
  upstream: orders
  require: public
  timeouts: { response_header: 200ms, idle: 200ms }
  weaker_than_defaults: [require]
- name: small
  match: { path: /small/* }
  upstream: orders
  require: public
  limits: { request_body: 1KiB }
  weaker_than_defaults: [require]
`,
};

const bearer =
  (path: string, claims: object = {}, wishes: DpopWishes = {}) =>
  async (gateway: TestGateway) =>
    gateway.request('GET', path, { token: await issue(gateway, { ...claims }), ...wishes });
const holder =
  (path: string, wishes: DpopWishes = {}) =>
  (gateway: TestGateway) =>
    dpop(gateway, 'GET', path, wishes);
const proof = (claims: Readonly<Record<string, unknown>>, path = '/dpop/1') => holder(path, { proving: { claims } });
const header = (some: Readonly<Record<string, unknown>>) => holder('/dpop/1', { proving: { header: some } });
const plain =
  (path: string, ...fields: (readonly [string, string])[]) =>
  (gateway: TestGateway) =>
    gateway.request('GET', path, { fields });
const authorized = (...values: readonly string[]) =>
  plain('/any/1', ...values.map((value) => ['Authorization', value] as const));
const page =
  (method: string, origin: string, path = '/pages/1') =>
  (gateway: TestGateway) =>
    gateway.request('OPTIONS', path, {
      fields: [
        ['Origin', origin],
        ['Access-Control-Request-Method', method],
      ],
    });
const raw =
  (...lines: readonly string[]) =>
  (gateway: TestGateway) =>
    gateway.raw(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`);

const unknownKey = await makeKey('ES256', 'staging-7');
const stranger = await makeCertificate({ names: ['client.example.net'] });
const published = (await makeKey()).jwk;
const hash = (text: string) => createHash('sha256').update(text);

/** A compact JWS with one of its parts changed. */
const changed = (jws: string, at: number, to: (part: string) => string) =>
  jws
    .split('.')
    .map((part, index) => (index === at ? to(part) : part))
    .join('.');

const CREDENTIALS: readonly Mistake[] = [
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

const TOKENS: readonly Mistake[] = [
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

const CERTIFICATES: readonly Mistake[] = [
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

const PROOFS: readonly Mistake[] = [
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

const POLICIES: readonly Mistake[] = [
  {
    mistake: 'a scope too few',
    reason: 'scope_insufficient',
    send: bearer('/scope/1', { scope: 'orders:read', tenant: 'acme' }),
    says: [/"what":"scope","differs":"missing","expected":"orders:write"/, /Request a token with the scope/],
  },
  {
    mistake: 'an account of another tenant',
    reason: 'claim_mismatch',
    send: bearer('/scope/1', { scope: 'orders:write', tenant: 'umbrella' }),
    says: [/"what":"tenant","differs":"value"/, /Use an account or client that this API admits/],
  },
  {
    mistake: 'a login that is too weak',
    reason: 'authentication_insufficient',
    send: (gateway) => bearer('/strong/1', { acr: 'urn:example:loa1', auth_time: gateway.now() })(gateway),
    says: [/"what":"acr","differs":"value","expected":"urn:example:loa3"/, /acr_values and max_age of the challenge/],
  },
  {
    mistake: 'a login that is too long ago',
    reason: 'authentication_insufficient',
    send: (gateway) => bearer('/strong/1', { acr: 'urn:example:loa3', auth_time: gateway.now() - 4000 })(gateway),
    says: [/"what":"auth_time","differs":"age","expected":"at most 600 seconds ago"/, /Request a new token/],
  },
  {
    mistake: 'more requests than the limit',
    reason: 'rate_limited',
    send: async (gateway) => {
      await bearer('/rare/1')(gateway);
      return bearer('/rare/1')(gateway);
    },
    says: [/Too many requests/, /"what":"hourly"/, /Try again after Retry-After/],
  },
];

const REQUESTS: readonly Mistake[] = [
  {
    mistake: 'a page of an origin that is not listed',
    reason: 'preflight_refused',
    send: page('GET', 'https://app.staging.example.com'),
    says: [
      /"what":"Origin","differs":"host","expected":"https:\/\/app.example.com","received":"https:\/\/app.staging/,
      /Call from an origin/,
    ],
  },
  {
    mistake: 'a page that uses a method that no route with cors has',
    reason: 'preflight_refused',
    send: page('DELETE', APP),
    says: [/"what":"Access-Control-Request-Method".*"expected":"GET, HEAD","received":"DELETE"/, /Use another method/],
  },
  {
    mistake: 'a page that calls an API without cors',
    reason: 'preflight_refused',
    send: page('GET', APP, '/dpop/1'),
    says: [/No page of another origin may call this path/, /from a server/],
  },
  {
    mistake: 'a path that no route has',
    reason: 'route_not_found',
    send: plain('/nowhere'),
    says: [/No route for this path/, /Check the path/],
  },
  {
    mistake: 'a path with a slash that its route does not have',
    reason: 'route_not_found',
    send: plain('/exact/'),
    says: [/"what":"path","differs":"trailing slash"/, /Add the slash/],
  },
  {
    mistake: 'a path in capitals',
    reason: 'route_not_found',
    send: plain('/Open/1'),
    says: [/"what":"path","differs":"case"/, /case-sensitive/],
  },
  {
    mistake: 'a method that the route does not have',
    reason: 'method_not_allowed',
    send: (gateway) => gateway.request('DELETE', '/few/1'),
    says: [/"expected":"GET, HEAD, POST","received":"DELETE"/, /Allow field/],
  },
  {
    mistake: 'a method in small letters',
    reason: 'method_unknown',
    send: raw('get /open/1 HTTP/1.1', `Host: ${HOST}`),
    says: [/method is not known/, /in capitals/],
  },
  {
    mistake: 'the Host of another API',
    reason: 'misdirected',
    send: (gateway) => gateway.request('GET', '/open/1', { host: 'api.example.net' }),
    says: [
      /"what":"origin","differs":"host","expected":"https:\/\/api.example.com","received":"https:\/\/api.example.net","received_in":"Host"/,
      /Call the API by the name/,
    ],
  },
  {
    mistake: 'the port of the balancer in Host',
    reason: 'misdirected',
    send: (gateway) => gateway.request('GET', '/open/1', { host: `${HOST}:8443` }),
    says: [/by another port/, /Call it by the port/],
  },
  {
    mistake: 'a doubled slash',
    reason: 'request_malformed',
    send: plain('/open//1'),
    says: [/path has an empty segment/, /doubled slash/],
  },
  {
    mistake: 'dots in the path',
    reason: 'request_malformed',
    send: plain('/open/%2e%2e/1'),
    says: [/segment of dots/, /Resolve dot segments/],
  },
  {
    mistake: 'an encoded slash in an identifier',
    reason: 'request_malformed',
    send: plain('/open/a%2Fb'),
    says: [/encoded slash/, /another identifier/],
  },
  {
    mistake: 'Content-Length next to Transfer-Encoding',
    reason: 'request_malformed',
    send: raw('POST /open/1 HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 3', 'Transfer-Encoding: chunked'),
    says: [/"what":"(?:Content-Length with )?Transfer-Encoding"/, /one framing/],
  },
  {
    mistake: 'a field that imitates an identity field',
    reason: 'field_forbidden',
    send: plain('/open/1', ['X_Auth_Subject', 'alice']),
    says: [/"what":"x-auth-subject"/, /Leave out fields/],
  },
  {
    mistake: 'an expectation that nobody knows',
    reason: 'expectation_failed',
    send: plain('/open/1', ['Expect', '200-ok']),
    says: [/"what":"Expect".*"expected":"100-continue"/, /no Expect field other than/],
  },
  {
    mistake: 'a header section that is too large',
    reason: 'header_too_large',
    send: raw('GET /open/1 HTTP/1.1', `Host: ${HOST}`, `Cookie: ${'x'.repeat(33_000)}`),
    says: [/"what":"header section","differs":"size","expected":"at most 32768 bytes"/, /fewer or shorter fields/],
  },
  {
    mistake: 'a URL that is too long',
    reason: 'uri_too_long',
    send: plain(`/open/${'x'.repeat(8200)}`),
    says: [/"expected":"at most 8192 bytes","received":"8206 bytes"/, /Shorten the URL/],
  },
  {
    mistake: 'a body that is too large',
    reason: 'body_too_large',
    send: (gateway) => gateway.request('POST', '/small/1', { body: 'x'.repeat(1025) }),
    says: [/"expected":"at most 1024 bytes","received":"1025 bytes"/, /Send a smaller body/],
  },
  {
    mistake: 'a body that stops',
    reason: 'request_timed_out',
    send: (gateway) => gateway.raw(`POST /hasty/1 HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 9\r\n\r\nhalf`),
    says: [/body did not arrive in time/, /without long pauses/],
  },
  {
    mistake: 'an upstream that is down',
    reason: 'upstream_unreachable',
    send: plain('/gone/1'),
    says: [/upstream cannot be reached/, /report the request_id/],
  },
  {
    mistake: 'an upstream that hangs',
    reason: 'upstream_timed_out',
    send: (gateway) => {
      const before = gateway.upstream.answer;
      gateway.upstream.answer = () => {};
      return plain('/hasty/1')(gateway).finally(() => (gateway.upstream.answer = before));
    },
    says: [/did not answer in time/, /Try again/],
  },
];

export const MISTAKES: readonly Mistake[] = [
  ...CREDENTIALS,
  ...TOKENS,
  ...CERTIFICATES,
  ...PROOFS,
  ...POLICIES,
  ...REQUESTS,
];
