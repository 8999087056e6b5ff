// The table of reasons: everything about each refusal, and the value that carries one.

import type { RejectionFacts } from './facts.ts';
import { GRPC_CODES } from './grpc-status.ts';
import { byCause, type ReasonRow, row, type Stage, type Wording } from './reason-row.ts';

/**
 * Every reason, in the order of the checks: where two could apply, the earlier one is reported.
 * Statuses, challenges, metric labels, log fields and docs/rejections.md are derived from this table.
 */
// biome-ignore format: a table is read by its columns
export const REASONS = {
  internal_error: row('edge', 500, false, 'The gateway failed to decide',
    'Report the request_id to the operator. Nothing was forwarded.', 'The log has the error under the request_id.'),
  draining: row('edge', 503, false, 'The gateway is stopping',
    'Send the request again: another instance answers.'),
  tls_required: row('edge', 400, false, 'This port speaks TLS and was called without it',
    'Call it with https instead of http.', 'Compare the scheme by which clients or the balancer in front call this port.'),
  request_malformed: byCause(row('edge', 400, false, 'The request is malformed or ambiguous',
    'Send one Host, one framing and a path without forbidden bytes, empty segments or dot segments.'), {
    'forwarded and x-forwarded': ['Forwarded and the X-Forwarded fields differ',
      'Send neither of them.', 'Name in trusted_peers[].forwarding those that the proxy in front writes.'],
    'empty segment': ['The path has an empty segment',
      'Leave out the doubled slash: a base URL that ends in one and a path that begins with one make it.'],
    'dot segment': ['The path has a segment of dots', 'Resolve dot segments before you send the request.'],
    '%2F': ['The path has an encoded slash', 'Send the slash as it is, or another identifier.',
      'A route takes it with encoded: [slash].'],
  }),
  header_too_large: row('edge', 431, false, 'The header section is too large',
    'Send fewer or shorter fields: cookies and tokens are the usual large ones.', 'Raise listeners[].limits.header_size.'),
  method_unknown: row('edge', 501, false, 'The method is not known',
    'Send a registered method in capitals, such as GET, POST or PROPFIND: others are not forwarded.'),
  uri_too_long: row('edge', 414, false, 'The request target is too long',
    'Shorten the URL: send long values in the body.', 'Raise listeners[].limits.url_length.'),
  request_timed_out: byCause(row('edge', 408, false, 'The request did not arrive in time',
    'Send the whole header section sooner.', 'Raise listeners[].limits.header_timeout.'), {
    body: ['The request body did not arrive in time',
      'Send the body without long pauses.', 'Raise timeouts.idle of the route.'],
    'upload rate': ['The request body comes too slowly', 'Send it faster.', 'Lower limits.upload_rate of the route.'],
    total: ['The request body took most of the time that there is for the request',
      'Send the body sooner, or in parts.', 'Raise timeouts.total of the route.'],
  }),
  expectation_failed: row('edge', 417, false, 'The expectation cannot be met',
    'Send no Expect field other than 100-continue.'),
  field_forbidden: row('edge', 400, false, 'A field imitates one that the gateway sets',
    'Leave out fields that differ from a managed field only by separators, and do not name managed fields in Connection.'),
  peer_unknown: row('edge', 403, false, 'This peer may not ask for decisions',
    'Ask the operator to let this address ask.', 'Add the proxy in front to trusted_peers of this listener.'),
  misdirected: byCause(row('edge', 421, false, 'This listener does not serve the requested origin',
    'Call the API by the name, scheme and port that its operator published.',
    'Add the origin to listeners[].origins, or have the proxy in front pass on Host and X-Forwarded-Proto.'), {
    scheme: ['This listener serves the requested host by another scheme',
      'Call it by https where you called http, or the other way round.',
      'Have the proxy in front send X-Forwarded-Proto, and name it in trusted_peers; or add the origin to listeners[].origins.'],
    port: ['This listener serves the requested host by another port', 'Call it by the port that its operator published.',
      'Write the port as clients use it into listeners[].origins, or have the proxy in front pass on Host as it came.'],
    SNI: ['This connection was opened for another host', 'Open a connection whose SNI is the host that is called.',
      'Have the client, or the proxy in front, send the host that it calls as SNI; see listeners[].tls.sni_hosts.'],
  }),

  route_not_found: byCause(row('route', 404, false, 'No route for this path',
    'Check the path.', 'Add a route for it.'), {
    'trailing slash': ['A route has this path but for a slash at its end',
      'Add the slash at the end of the path, or leave it out.', 'A route for /orders takes /orders alone, one for /orders/* both.'],
    case: ['A route has this path in lower case', 'Paths are case-sensitive: send it in lower case.'],
    fields: ['No route of this path takes the fields of the request',
      'Send the fields by which the API tells its versions or environments apart.', 'Compare match.headers of the routes of this path, or add one without.'],
    query: ['No route of this path takes the query of the request',
      'Send the parameters by which the API tells its versions or environments apart.', 'Compare match.query of the routes of this path, or add one without.'],
    method: ['No route of this path takes the method', 'Use another method.', 'Add the method to match.methods of the route.'],
  }),
  preflight_refused: byCause(row('route', 403, false, 'The page may not send this cross-origin request',
    'Compare the origin and the method of the page with those that the API allows.', 'See cors of the route.'), {
    preflight: ['No page of another origin may call this path',
      'Call it from a page of the same origin, or from a server.', 'Add cors with the origin of the page to the route.'],
    Origin: ['The origin of the page is not allowed here',
      'Call from an origin that the API allows.', 'Add the origin of the page to cors.origins of the route, as browsers write it.'],
    'Access-Control-Request-Method': ['Pages may not use this method here',
      'Use another method, or call from a server.', 'Add cors to the route of this method, or the method to match.methods of one with cors.'],
  }),
  method_not_allowed: row('route', 405, false, 'The method is not allowed here',
    'Use a method named in the Allow field.', 'Add the method to match.methods of the route.'),
  certificate_field_malformed: row('route', 400, false, 'The certificate field of the proxy in front does not parse',
    'Report the request_id to the operator.', 'Compare listeners[].client_certificate_from with what the proxy in front sends.'),

  credentials_in_query: row('presentation', 400, 'invalid_request', 'The access token was sent in the query',
    'Send the access token in the Authorization field alone. URLs end up in logs: treat this one as known to others.'),
  credentials_missing: row('presentation', 401, 'none', 'An access token is required',
    'Get a token from the authorization server of this API, and send it in one Authorization field, by a scheme that WWW-Authenticate names: DPoP needs a proof for each request, too.'),
  credentials_malformed: byCause(row('presentation', 400, 'invalid_request', 'The Authorization field is malformed',
    'Send the scheme, one space and exactly one token of at most 16 KiB.'), {
    scheme: ['The Authorization field lacks the scheme or the token',
      'Send the scheme, one space and the token: DPoP TOKEN or Bearer TOKEN.'],
  }),
  credentials_repeated: row('presentation', 400, 'invalid_request', 'Multiple methods used to include access token',
    'Send one Authorization field, and no access_token in the query.'),
  scheme_not_accepted: row('presentation', 401, 'none', 'The authentication scheme is not accepted',
    'Use a scheme that a challenge of this answer offers.'),
  proof_missing: row('presentation', 401, 'invalid_dpop_proof', 'A DPoP proof is required',
    'Send a DPoP field with a fresh proof together with Authorization: DPoP.'),
  proof_repeated: row('presentation', 401, 'invalid_dpop_proof', 'More than one DPoP proof',
    'Send exactly one DPoP field with exactly one proof.'),

  token_malformed: byCause(row('token', 401, 'invalid_token', 'The access token is not a well-formed signed JWT',
    'Send the token as the authorization server gave it: three parts, no crit, no repeated members.'), {
    'opaque token': ['The access token is opaque where a JWT is expected',
      'Ask the authorization server for a JWT access token: many give one where the request names an audience or resource.',
      'Set introspection on the issuer to take opaque tokens.'],
    'encrypted token': ['The access token is encrypted', 'Ask the authorization server for a token that is only signed.'],
  }),
  token_issuer_unknown: byCause(row('token', 401, 'invalid_token', 'The access token comes from an unknown issuer',
    'Get the token from an issuer that this API takes tokens of.', 'Compare issuers of the route with the iss of the token.'), {
    'trailing slash': ['The issuer of the access token differs by a slash at its end',
      'Ask the operator to compare the issuer, to the letter, with iss of the token.',
      'Write the issuer exactly as iss of the token has it, slash included.'],
    case: ['The issuer of the access token differs in capitals',
      'Ask the operator to compare the issuer, to the letter, with iss of the token.', 'Write the issuer exactly as iss of the token has it.'],
  }),
  token_algorithm_refused: row('token', 401, 'invalid_token', 'The signature algorithm of the access token is refused',
    'Have the authorization server sign with an algorithm that this API takes and that fits its key.', 'Compare issuers.*.algorithms with alg of the token.'),
  token_key_unknown: row('token', 401, 'invalid_token', 'The key of the access token is unknown',
    'Get a new token from the issuer of this environment.', 'Compare the kid with the key set of the issuer.'),
  issuer_unavailable: row('token', 503, 'none', 'The issuer is not available',
    'Try again after Retry-After.', 'Check the connection to the issuer: its keys, or its answer about this token.'),
  introspection_queue_full: row('token', 503, 'none', 'Too many tokens wait for an answer of the issuer',
    'Try again after Retry-After, with fewer tokens that are new.', 'Look at holdfast_introspections_total by result.'),
  token_signature_invalid: row('token', 401, 'invalid_token', 'The signature of the access token is invalid',
    'Get a new token and send it unchanged.'),
  token_type_refused: row('token', 401, 'invalid_token', 'This token is not an access token',
    'Send the access token, not the ID token, refresh token, logout token or proof.', 'If it is one, name its mark in access_token of the issuer.'),
  token_claim_invalid: row('token', 401, 'invalid_token', 'A claim of the access token is missing or of the wrong type',
    'Have the authorization server issue exp, iss and aud, and the other claims with their registered types.',
    'An issuer without aud needs audience_claim.'),
  token_expired: row('token', 401, 'invalid_token', 'The access token expired',
    'Get a new token.'),
  token_not_yet_valid: byCause(row('token', 401, 'invalid_token', 'The access token is not valid yet',
    'Wait, or get a new token.', 'Compare the clocks of the issuer and the gateway.'), {
    milliseconds: ['The nbf of the access token is in milliseconds', 'Have the authorization server write nbf in seconds (RFC 7519).'],
  }),
  token_audience_mismatch: byCause(row('token', 401, 'invalid_token', 'The access token is meant for another audience',
    'Request a token for an audience of this API.', 'Compare audience of the issuer and of the route with aud of the token.'), {
    'trailing slash': ['The audience of the access token differs by a slash at its end',
      'Request the token with the audience exactly as this API expects it.', 'Write the audience exactly as aud of the token has it, slash included.'],
  }),
  token_inactive: row('token', 401, 'invalid_token', 'The access token is not active',
    'Get a new token: this one was revoked or has expired.'),

  confirmation_unsupported: row('binding', 401, 'invalid_token', 'The binding of the access token cannot be checked here',
    'Have the token bound with cnf.jkt or cnf.x5t#S256.'),
  binding_required: byCause(row('binding', 401, 'invalid_token', 'The access token lacks the binding that is required here',
    'Request a token bound to your key or certificate, and present it by the scheme of its binding.'), {
    'x5t#S256': ['A token that is bound to a client certificate is required here',
      'Request a token with your client certificate (cnf.x5t#S256), and connect with that certificate.'],
    jkt: ['A token that is bound to a DPoP key is required here',
      'Request a token with a DPoP proof of your key (cnf.jkt), and present it as Authorization: DPoP with a proof.'],
    scheme: ['A token that is not bound to a DPoP key was presented as DPoP',
      'Present this token as Bearer, or request one with a DPoP proof of your key (cnf.jkt).'],
  }),
  binding_downgraded: row('binding', 401, 'invalid_token', 'A DPoP-bound access token was presented as Bearer',
    'Send it as Authorization: DPoP with a proof.'),

  certificate_missing: row('certificate', 401, 'invalid_token', 'A client certificate is required',
    'Connect with the certificate to which the token is bound.', 'See client_certificate of the listener, or of the balancer that ends TLS.'),
  certificate_untrusted: byCause(row('certificate', 401, 'invalid_token', 'The client certificate is not trusted',
    'Connect with a certificate that is valid now, not revoked, and issued by an accepted authority.',
    'Compare client_certificate.ca_file of the listener with the issuer of the certificate.'), {
    notAfter: ['The client certificate has expired', 'Connect with a certificate that is valid now.'],
    notBefore: ['The client certificate is not valid yet', 'Connect with a certificate that is valid now, and check the clock of its authority.'],
  }),
  certificate_mismatch: byCause(row('certificate', 401, 'invalid_token', 'The access token is bound to another certificate',
    'Connect with that certificate, or request a new token with this one: each renewal of the certificate needs a new token.'), {
    encoding: ['The access token names the certificate in another encoding',
      'Have the authorization server write cnf.x5t#S256 as base64url without padding (RFC 8705).'],
  }),

  proof_malformed: byCause(row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is not one well-formed JWS with all claims',
    'Send one compact JWS of at most 8 KiB with jti, htm, htu, iat and ath.'), {
    missing: ['A claim of the DPoP proof is missing', 'Make the proof with jti, htm, htu, iat and ath.'],
    type: ['A claim of the DPoP proof is of the wrong type',
      'Write jti (1 to 256 bytes), htm, htu and ath as strings and iat as a number.'],
    exp: ['The DPoP proof has expired by its own exp', 'Leave out exp, and make a new proof for every request.'],
  }),
  proof_type_invalid: row('proof', 401, 'invalid_dpop_proof', 'The typ of the DPoP proof is wrong',
    'Set typ to dpop+jwt.'),
  proof_algorithm_refused: row('proof', 401, 'invalid_dpop_proof', 'The algorithm of the DPoP proof is refused',
    'Sign with an algorithm that the algs parameter names.'),
  proof_key_invalid: byCause(row('proof', 401, 'invalid_dpop_proof', 'The key in the DPoP proof cannot be used',
    'Embed the public key alone, of the type of alg; RSA 2048 to 4096 bits.'), {
    missing: ['The DPoP proof has no key in its header', 'Embed the public key as jwk in the header of the proof.'],
    'private key': ['The DPoP proof has a private or symmetric key in its header',
      'Embed the public key alone. Do not use this key again: everybody who saw the proof has it.'],
  }),
  proof_key_mismatch: byCause(row('proof', 401, 'invalid_token', 'Invalid DPoP key binding',
    'Sign the proof with the key to which the token is bound: the one of the proof that went with the token request.'), {
    encoding: ['The access token names the DPoP key in another encoding',
      'Have the authorization server write cnf.jkt as base64url without padding (RFC 7638).'],
  }),
  proof_method_mismatch: byCause(row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is for another method',
    'Set htm to the method of the request, in the same case.'), {
    case: ['The htm of the DPoP proof is in another case', 'Write htm in capitals, exactly as the method of the request.'],
  }),
  proof_uri_mismatch: byCause(row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is for another URI',
    'Set htu to the URL of the request as the client calls it, without query and fragment.'), {
    scheme: ['The htu of the DPoP proof has another scheme', 'Set htu to the URL that the client calls: https or http as there.',
      'If htu is what the client called, have the balancer send X-Forwarded-Proto and name it in trusted_peers.'],
    host: ['The htu of the DPoP proof has another host', 'Set htu to the host that the client calls, not to an internal name.',
      'If htu is what the client called, have the balancer pass on Host and compare listeners[].origins.'],
    port: ['The htu of the DPoP proof has another port', 'Set htu to the URL that the client calls; leave out the port where it is the default one.',
      'If htu is what the client called, have the balancer pass on Host and compare listeners[].origins.'],
    path: ['The htu of the DPoP proof has another path', 'Set htu to the path that the client calls, encoded as in the request.',
      'If a proxy in front strips a prefix, write it at the end of the origin in listeners[].origins.'],
    'trailing slash': ['The htu of the DPoP proof differs by a slash at its end', 'Make the proof from the very URL that is requested, slash at its end included.'],
    case: ['The path in the htu of the DPoP proof is in another case', 'Paths are case-sensitive: make the proof from the very URL that is requested.'],
    encoding: ['The path in the htu of the DPoP proof is encoded otherwise', 'Take the path for htu as it is sent: encoded, and encoded once.'],
    query: ['The htu of the DPoP proof has the query in its path', 'Cut the URL at the question mark before anything is encoded.'],
    userinfo: ['The htu of the DPoP proof has a user name in it', 'Leave user name and password out of htu.'],
    form: ['The htu of the DPoP proof is not an absolute URL', 'Set htu to scheme, host and path: https://api.example.com/orders.'],
  }),
  proof_token_mismatch: byCause(row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is for another access token',
    'Set ath to the base64url SHA-256 of the access token sent: after a refresh, of the new one.'), {
    encoding: ['The ath of the DPoP proof is in another encoding', 'Write ath as base64url of the 32 bytes of the hash, without padding; not as hexadecimal.'],
  }),
  nonce_required: row('proof', 401, 'use_dpop_nonce', 'A nonce is required in the DPoP proof',
    'Send the request again with a new proof that carries the value of DPoP-Nonce.'),
  nonce_stale: row('proof', 401, 'use_dpop_nonce', 'The nonce of the DPoP proof is unknown or expired',
    'Send the request again with a new proof that carries the value of DPoP-Nonce.'),
  proof_stale: row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is too old',
    'Make a new proof for every request and set the clock of the client.'),
  proof_from_future: byCause(row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is dated in the future',
    'Set the clock of the client.'), {
    milliseconds: ['The iat of the DPoP proof is in milliseconds', 'Write iat in seconds: divide by 1000 and drop the rest.'],
  }),
  proof_signature_invalid: row('proof', 401, 'invalid_dpop_proof', 'The signature of the DPoP proof is invalid',
    'Sign the proof with the private key that belongs to the jwk in its header; an ES256 signature is 64 bytes, not DER.'),

  signature_missing: row('signature', 401, 'none', 'A message signature is required',
    'Sign the request as RFC 9421 says, over what Accept-Signature names and with its tag, by the key to which the token is bound.'),
  signature_repeated: row('signature', 401, 'none', 'More than one message signature could be meant', 'Send one signature, or one with the tag that Accept-Signature names.'),
  signature_malformed: row('signature', 401, 'none', 'The message signature is not well-formed', 'Send Signature-Input and Signature, at most 8 KiB each, with created in whole seconds.'),
  signature_key_unusable: row('signature', 401, 'none', 'The key of the access token cannot verify messages here',
    'Have the token bound to a key P-256, P-384, Ed25519 or RSA 2048 to 4096 bits.',
    'A proxy in front that passes the hash of a certificate alone has to pass the whole of it.'),
  signature_key_mismatch: row('signature', 401, 'none', 'The message signature names another key',
    'Sign with the key to which the token is bound, and leave keyid out or set it to the thumbprint that cnf has.'),
  signature_algorithm_refused: row('signature', 401, 'none', 'The algorithm of the message signature is not that of the key',
    'Leave alg out, or name ecdsa-p256-sha256, ecdsa-p384-sha384, ed25519 or rsa-pss-sha512, whichever fits the key.'),
  signature_component_refused: row('signature', 401, 'none', 'The message signature covers what is absent or cannot be checked here',
    'Cover each component once and without parameters: fields of the request, @method, @target-uri, @authority, @scheme, @path, @query.'),
  signature_component_missing: row('signature', 401, 'none', 'The message signature does not cover all that it has to', 'Cover every component that Accept-Signature names.'),
  signature_stale: row('signature', 401, 'none', 'The message signature is too old', 'Sign every request by itself and set the clock of the client.'),
  signature_from_future: row('signature', 401, 'none', 'The message signature is dated in the future',
    'Set the clock of the client, and write created in seconds.'),
  content_digest_invalid: row('signature', 400, false, 'The Content-Digest field cannot be used', 'Send Content-Digest with sha-256 or sha-512 over the content as it is sent.'),
  signature_invalid: row('signature', 401, 'none', 'The message signature is invalid', 'Sign what is sent: somebody changed it on its way, or the signature base was made otherwise.'),

  authentication_insufficient: row('policy', 401, 'insufficient_user_authentication', 'A stronger or more recent authentication is required',
    'Request a new token with the acr_values and max_age of the challenge.'),
  scope_insufficient: row('policy', 403, 'insufficient_scope', 'The access token lacks a required scope',
    'Request a token with the scope of the challenge.'),
  claim_mismatch: row('policy', 403, 'insufficient_scope', 'A claim of the access token does not meet the policy of this route',
    'Use an account or client that this API admits.', 'Compare claims of the route with the claim of the token.'),
  identity_unforwardable: row('policy', 403, 'none', 'A claim cannot be forwarded in a field',
    'Use an account without such characters in its claims.', 'Change the claim, or choose another forward.encoding.'),
  rate_limited: row('policy', 429, 'none', 'Too many requests',
    'Try again after Retry-After.'),
  rate_store_unavailable: row('policy', 503, 'none', 'The counts of the rate limit do not answer',
    'Try again later.', 'Check the replay store, in which replicas count together.'),

  proof_replayed: row('replay', 401, 'invalid_dpop_proof', 'The DPoP proof was used before',
    'Make a new proof, with a new jti, for every request.'),
  signature_replayed: row('replay', 401, 'none', 'The message signature was used before', 'Sign every request by itself; requests that are alike and made within a second need different nonces.'),
  replay_store_full: row('replay', 503, 'none', 'The replay store is full',
    'Try again later.', 'Raise replay.capacity.'),
  replay_store_unavailable: row('replay', 503, 'none', 'The replay store does not answer',
    'Try again later.', 'Check the replay store.'),

  token_exchange_refused: row('exchange', 401, 'invalid_token', 'The issuer does not exchange the access token for one of the upstream',
    'Request a new token.', 'Compare what the issuer allows with forward.token_exchange; the log has the error of the issuer.'),
  token_exchange_unavailable: row('exchange', 503, 'none', 'The issuer gave no token for the upstream',
    'Try again after Retry-After.', 'Look in the log for what the token endpoint of the issuer answered.'),
  token_exchange_queue_full: row('exchange', 503, 'none', 'Too many tokens wait to be exchanged by the issuer',
    'Try again after Retry-After, with fewer tokens that are new.', 'Look at holdfast_token_exchanges_total by result.'),

  body_too_large: row('upstream', 413, false, 'The request body is too large',
    'Send a smaller body, or several requests.', 'Raise limits.request_body.'),
  content_digest_mismatch: row('upstream', 400, false, 'The request body is not the one that was signed',
    'Send the content over which Content-Digest was made; if it is, somebody changed it on its way.'),
  upstream_absent: row('upstream', 500, false, 'No upstream takes this request',
    'Report the request_id to the operator.', 'Name an upstream, and a weight above 0, in upstreams of the route.'),
  upstream_without_targets: row('upstream', 503, false, 'The upstream has no instance at the moment',
    'Try again later.', 'Give the upstream targets.'),
  upstream_queue_full: row('upstream', 503, false, 'The connections to the upstream that this client may use are busy',
    'Try again after Retry-After, with fewer requests at once.', 'Compare upstreams.*.connections with holdfast_upstream_queue_requests.'),
  upstream_circuit_open: row('upstream', 503, false, 'The upstream is failing and not called for a moment',
    'Try again after Retry-After.', 'Look at the upstream and at circuit of its configuration.'),
  upstream_unreachable: row('upstream', 502, false, 'The upstream cannot be reached',
    'Try again later; report the request_id to the operator.', 'Check the targets of the upstream: the code says how the connection failed.'),
  upstream_invalid: row('upstream', 502, false, 'The upstream gave an invalid answer',
    'Report the request_id to the operator.', 'Check what the upstream sends: the code says what is wrong with it.'),
  upstream_timed_out: row('upstream', 504, false, 'The upstream did not answer in time',
    'Try again where the request may be repeated.', 'Check the upstream and the timeouts of the route.'),
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof REASONS;

/** Names of all reasons in the order of the checks. */
export const REASON_NAMES = Object.keys(REASONS) as readonly Reason[];

/** A refusal as a value: returned, never thrown. Carries a reason of the table and the facts an operator needs. */
export class Rejection {
  readonly reason: Reason;
  readonly facts: RejectionFacts;
  constructor(reason: Reason, facts: RejectionFacts = {}) {
    this.reason = reason;
    this.facts = facts;
  }
  get stage(): Stage {
    return REASONS[this.reason].stage;
  }
  get status(): number {
    return REASONS[this.reason].status;
  }
}

/** Shorthand that keeps checks on one line: `return reject('token_expired')`. */
export function reject(reason: Reason, facts?: RejectionFacts): Rejection {
  return new Rejection(reason, facts);
}

/** What is said: the words of the reason, or of the cause where that has its own. */
export function wordingOf({ reason, facts }: Rejection): Wording {
  const causes = causesOf(reason);
  const cause = [facts.differs, facts.what].find((one) => one !== undefined && Object.hasOwn(causes, one));
  return (cause === undefined ? undefined : causes[cause]) ?? REASONS[reason];
}

/** Words of a reason for causes that need other ones, by `differs` of the facts, or else by `what`. */
export function causesOf(reason: Reason): Readonly<Record<string, Wording>> {
  const row: ReasonRow = REASONS[reason];
  return row.causes ?? {};
}

/** What a gRPC client is told. */
export function grpcCodeOf({ reason }: Rejection): number {
  return GRPC_CODES[REASONS[reason].grpcStatus];
}
