// The table of reasons: everything about each refusal, and the value that carries one.

import type { Quota } from '../rate/quota.ts';

/** The stages of the path, in the order in which a request meets them. */
export const STAGES = [
  'edge',
  'route',
  'presentation',
  'token',
  'binding',
  'certificate',
  'proof',
  'policy',
  'replay',
  'exchange',
  'upstream',
] as const;
export type Stage = (typeof STAGES)[number];

/** `error` of a challenge: RFC 6750 §3.1, RFC 9449 §7.1 and §9, RFC 9470 §3. */
export type ChallengeError =
  | 'invalid_request'
  | 'invalid_token'
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce'
  | 'insufficient_scope'
  | 'insufficient_user_authentication';

/** Codes of gRPC that refusals use, by the names of its status codes. */
export const GRPC_CODES = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;
export type GrpcStatus = keyof typeof GRPC_CODES;

/**
 * The gRPC status that says what an HTTP status says: the mapping of google.rpc.Code, and for statuses that it leaves out the nearest.
 * 504 is DEADLINE_EXCEEDED and not UNAVAILABLE, which clients send again: the upstream may have done what it was asked (decision 72).
 */
const GRPC_STATUS = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'UNIMPLEMENTED',
  408: 'DEADLINE_EXCEEDED',
  413: 'RESOURCE_EXHAUSTED',
  414: 'INVALID_ARGUMENT',
  417: 'INVALID_ARGUMENT',
  421: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  431: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
} as const satisfies Record<number, GrpcStatus>;
type HttpStatus = keyof typeof GRPC_STATUS;

interface ReasonRow {
  readonly stage: Stage;
  readonly status: HttpStatus;
  /** What a gRPC client is told instead of `status`. */
  readonly grpcStatus: GrpcStatus;
  /** `false`: no challenge at all. `none`: challenges without `error` (RFC 6750 §3, last paragraph). */
  readonly error: ChallengeError | 'none' | false;
  /** Title of the problem document and `error_description`; ASCII without `"` and `\` (RFC 6750 §3). */
  readonly title: string;
  /** What the person who reads the refusal does next. */
  readonly remedy: string;
  /** Words for causes that need other ones, by `what` of the facts. */
  readonly causes?: Readonly<Record<string, Wording>>;
}

/** What the answer to a refusal says. */
type Wording = Pick<ReasonRow, 'title' | 'remedy'>;

const row = (
  stage: Stage,
  status: HttpStatus,
  error: ReasonRow['error'],
  title: string,
  remedy: string,
): ReasonRow => ({
  stage,
  status,
  grpcStatus: GRPC_STATUS[status],
  error,
  title,
  remedy,
});

/** @param causes title and remedy by `what` of the facts */
const byCause = (
  reason: ReasonRow,
  causes: Readonly<Record<string, readonly [title: string, remedy: string]>>,
): ReasonRow => ({
  ...reason,
  causes: Object.fromEntries(Object.entries(causes).map(([what, [title, remedy]]) => [what, { title, remedy }])),
});

/**
 * Every reason, in the order of the checks: where two could apply, the earlier one is reported.
 * Statuses, challenges, metric labels, log fields and docs/rejections.md are derived from this table.
 */
// biome-ignore format: a table is read by its columns
export const REASONS = {
  internal_error: row('edge', 500, false, 'The gateway failed to decide',
    'Report the request_id to the operator: the log of the gateway has the error. Nothing was forwarded.'),
  draining: row('edge', 503, false, 'The gateway is stopping',
    'Send the request again: another instance answers.'),
  request_malformed: byCause(row('edge', 400, false, 'The request is malformed or ambiguous',
    'Send one Host, one framing and a path without forbidden bytes, empty segments or dot segments.'), {
    'forwarded and x-forwarded': ['Forwarded and the X-Forwarded fields differ',
      'Send neither of them, or name in trusted_peers[].forwarding those that the proxy in front writes.'],
  }),
  header_too_large: row('edge', 431, false, 'The header section is too large',
    'Send fewer or shorter fields, or raise listeners[].limits.header_size.'),
  method_unknown: row('edge', 501, false, 'The method is not known',
    'Send a registered method in capitals, such as GET, POST or PROPFIND: others are not forwarded.'),
  uri_too_long: row('edge', 414, false, 'The request target is too long',
    'Shorten the URL, or raise listeners[].limits.url_length.'),
  request_timed_out: byCause(row('edge', 408, false, 'The request did not arrive in time',
    'Send the whole header section sooner, or raise listeners[].limits.header_timeout.'), {
    body: ['The request body did not arrive in time',
      'Send the body without pauses that are longer than timeouts.idle of the route, or raise that.'],
    'upload rate': ['The request body comes too slowly',
      'Send it faster than limits.upload_rate, or lower that on the route.'],
    total: ['The request body took most of the time that the route allows',
      'Send the body sooner, or raise timeouts.total of the route.'],
  }),
  expectation_failed: row('edge', 417, false, 'The expectation cannot be met',
    'Send no Expect field other than 100-continue.'),
  field_forbidden: row('edge', 400, false, 'A field imitates one that the gateway sets',
    'Leave out fields that differ from a managed field only by separators, and do not name managed fields in Connection.'),
  peer_unknown: row('edge', 403, false, 'This peer may not ask for decisions',
    'The operator adds the proxy in front to the trusted peers of this listener.'),
  misdirected: row('edge', 421, false, 'This listener does not serve the requested origin',
    'Call an origin of the listener, or add this one to listeners[].origins.'),

  route_not_found: row('route', 404, false, 'No route for this path',
    'Check the path, or add a route for it.'),
  preflight_refused: byCause(row('route', 403, false, 'The page may not send this cross-origin request',
    'Compare the origin and the method of the page with cors of the route.'), {
    cors: ['The route answers no cross-origin requests of pages',
      'Add cors with the origin of the page to the route, or call the route from its own origin.'],
    'cors.origins': ['The origin of the page is not allowed here',
      'Call from an origin that cors.origins of the route lists, or add this one there.'],
    'match.methods': ['No route with cors takes the method that the page asks for',
      'Use a method of a route with cors, or add cors to the route of this one.'],
  }),
  method_not_allowed: row('route', 405, false, 'The method is not allowed here',
    'Use a method named in the Allow field.'),
  certificate_field_malformed: row('route', 400, false, 'The certificate field of the proxy in front does not parse',
    'Compare listeners[].client_certificate_from with what the proxy in front sends.'),

  credentials_in_query: row('presentation', 400, 'invalid_request', 'The access token was sent in the query',
    'Send the access token in the Authorization field alone. URLs end up in logs: treat this one as known to others.'),
  credentials_missing: row('presentation', 401, 'none', 'An access token is required',
    'Send the access token in one Authorization field.'),
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

  token_malformed: row('token', 401, 'invalid_token', 'The access token is not a well-formed signed JWT',
    'Ask the authorization server for a JWT access token: three parts, no crit, no repeated members. Opaque ones need issuers.*.introspection.'),
  token_issuer_unknown: row('token', 401, 'invalid_token', 'The access token comes from an unknown issuer',
    'Get the token from an issuer of this route.'),
  token_algorithm_refused: row('token', 401, 'invalid_token', 'The signature algorithm of the access token is refused',
    'Have it signed with an algorithm in issuers.*.algorithms that fits the key.'),
  token_key_unknown: row('token', 401, 'invalid_token', 'The key of the access token is unknown',
    'Get a new token; if it persists, compare the kid with the key set of the issuer.'),
  issuer_unavailable: row('token', 503, 'none', 'The issuer is not available',
    'Try again after Retry-After; the operator checks the connection to the issuer: its keys, or its answer about this token.'),
  introspection_queue_full: row('token', 503, 'none', 'Too many tokens wait for an answer of the issuer',
    'Try again after Retry-After, with fewer tokens that are new; the operator looks at holdfast_introspections_total by result.'),
  token_signature_invalid: row('token', 401, 'invalid_token', 'The signature of the access token is invalid',
    'Get a new token and send it unchanged.'),
  token_type_refused: row('token', 401, 'invalid_token', 'This token is not an access token',
    'Send the access token, not the ID token, refresh token, logout token or proof. If it is one, the operator names its mark: access_token.'),
  token_claim_invalid: row('token', 401, 'invalid_token', 'A claim of the access token is missing or of the wrong type',
    'Have the authorization server issue exp, iss and aud (or set audience_claim), and the other claims with their registered types.'),
  token_expired: row('token', 401, 'invalid_token', 'The access token expired',
    'Get a new token.'),
  token_not_yet_valid: row('token', 401, 'invalid_token', 'The access token is not valid yet',
    'Wait, or compare the clocks of the issuer and the gateway.'),
  token_audience_mismatch: row('token', 401, 'invalid_token', 'The access token is meant for another audience',
    'Request a token for an audience of this route (the log names both).'),
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
    'Connect with the certificate to which the token is bound.'),
  certificate_untrusted: row('certificate', 401, 'invalid_token', 'The client certificate is not trusted',
    'Connect with a certificate that is valid now, not revoked, and issued by an accepted authority.'),
  certificate_mismatch: row('certificate', 401, 'invalid_token', 'The access token is bound to another certificate',
    'Connect with that certificate, or request a new token with this one.'),

  proof_malformed: row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is not one well-formed JWS with all claims',
    'Send one compact JWS of at most 8 KiB with jti, htm, htu, iat and ath.'),
  proof_type_invalid: row('proof', 401, 'invalid_dpop_proof', 'The typ of the DPoP proof is wrong',
    'Set typ to dpop+jwt.'),
  proof_algorithm_refused: row('proof', 401, 'invalid_dpop_proof', 'The algorithm of the DPoP proof is refused',
    'Sign with an algorithm that the algs parameter names.'),
  proof_key_invalid: row('proof', 401, 'invalid_dpop_proof', 'The key in the DPoP proof cannot be used',
    'Embed the public key alone, of the type of alg; RSA 2048 to 4096 bits.'),
  proof_key_mismatch: row('proof', 401, 'invalid_token', 'Invalid DPoP key binding',
    'Sign the proof with the key to which the token is bound.'),
  proof_method_mismatch: row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is for another method',
    'Set htm to the method of the request, in the same case.'),
  proof_uri_mismatch: row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is for another URI',
    'Set htu to the URL of the request as the client calls it, without query and fragment.'),
  proof_token_mismatch: row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is for another access token',
    'Set ath to the base64url SHA-256 of the access token sent.'),
  nonce_required: row('proof', 401, 'use_dpop_nonce', 'A nonce is required in the DPoP proof',
    'Send the request again with a new proof that carries the value of DPoP-Nonce.'),
  nonce_stale: row('proof', 401, 'use_dpop_nonce', 'The nonce of the DPoP proof is unknown or expired',
    'Send the request again with a new proof that carries the value of DPoP-Nonce.'),
  proof_stale: row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is too old',
    'Make a new proof for every request and set the clock of the client.'),
  proof_from_future: row('proof', 401, 'invalid_dpop_proof', 'The DPoP proof is dated in the future',
    'Set the clock of the client.'),
  proof_signature_invalid: row('proof', 401, 'invalid_dpop_proof', 'The signature of the DPoP proof is invalid',
    'Sign the proof with the private key that belongs to the jwk in its header.'),

  authentication_insufficient: row('policy', 401, 'insufficient_user_authentication', 'A stronger or more recent authentication is required',
    'Request a new token with the acr_values and max_age of the challenge.'),
  scope_insufficient: row('policy', 403, 'insufficient_scope', 'The access token lacks a required scope',
    'Request a token with the scope of the challenge.'),
  claim_mismatch: row('policy', 403, 'insufficient_scope', 'A claim of the access token does not meet the policy of this route',
    'Use an account or client that this route admits (the log names the claim).'),
  identity_unforwardable: row('policy', 403, 'none', 'A claim cannot be forwarded in a field',
    'Change the claim, or choose another forward.encoding.'),
  rate_limited: row('policy', 429, 'none', 'Too many requests',
    'Try again after Retry-After.'),
  rate_store_unavailable: row('policy', 503, 'none', 'The counts of the rate limit do not answer',
    'Try again later; the operator checks the replay store, in which replicas count together.'),

  proof_replayed: row('replay', 401, 'invalid_dpop_proof', 'The DPoP proof was used before',
    'Make a new proof, with a new jti, for every request.'),
  replay_store_full: row('replay', 503, 'none', 'The replay store is full',
    'Try again later; the operator raises replay.capacity.'),
  replay_store_unavailable: row('replay', 503, 'none', 'The replay store does not answer',
    'Try again later; the operator checks the replay store.'),

  token_exchange_refused: row('exchange', 401, 'invalid_token', 'The issuer does not exchange the access token for one of the upstream',
    'Request a new token; the operator compares what the issuer allows with forward.token_exchange (the log names the error).'),
  token_exchange_unavailable: row('exchange', 503, 'none', 'The issuer gave no token for the upstream',
    'Try again after Retry-After; the operator looks in the log of the gateway for what the token endpoint of the issuer answered.'),
  token_exchange_queue_full: row('exchange', 503, 'none', 'Too many tokens wait to be exchanged by the issuer',
    'Try again after Retry-After, with fewer tokens that are new; the operator looks at holdfast_token_exchanges_total by result.'),

  body_too_large: row('upstream', 413, false, 'The request body is too large',
    'Send a smaller body, or raise limits.request_body.'),
  upstream_queue_full: row('upstream', 503, false, 'The connections to the upstream that this client may use are busy',
    'Try again after Retry-After, with fewer requests at once; the operator compares upstreams.*.connections with holdfast_upstream_queue_requests.'),
  upstream_circuit_open: row('upstream', 503, false, 'The upstream is failing and not called for a moment',
    'Try again after Retry-After.'),
  upstream_unreachable: row('upstream', 502, false, 'The upstream cannot be reached',
    'The operator checks the targets of the upstream.'),
  upstream_invalid: row('upstream', 502, false, 'The upstream gave an invalid answer',
    'The operator checks what the upstream sends.'),
  upstream_timed_out: row('upstream', 504, false, 'The upstream did not answer in time',
    'Try again; the operator checks the upstream and the timeouts of the route.'),
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof REASONS;

/** Names of all reasons in the order of the checks. */
export const REASON_NAMES = Object.keys(REASONS) as readonly Reason[];

/**
 * What a refusal may tell the operator. No field here fits a token, proof, nonce or key; the only values that come from
 * outside are `htu` without userinfo, query and fragment and, once its signature is verified, the token's `aud` (decision 73).
 */
export interface RejectionFacts {
  /** Name of the claim, field, parameter or configured key that was wrong: a name from us or from the policy, never a value. */
  readonly what?: string;
  /** Seconds by which the client's clock is ahead (positive) or behind (negative). */
  readonly clockOffset?: number;
  /** The target URI and what the proof has instead, at most 256 characters each; `received` is empty where that is not a URI. */
  readonly htu?: { readonly expected: string; readonly received: string };
  /** Audiences accepted by the route and found in the verified token, at most 8 each. */
  readonly audience?: { readonly expected: readonly string[]; readonly received: readonly string[] };
  /** The certificate shown has the subject and issuer name of another generation: probably renewed. */
  readonly renewedCertificate?: boolean;
  /** Seconds for `Retry-After`. */
  readonly retryAfter?: number;
  /** Of the rate limit that refused. */
  readonly quota?: Quota;
  /** Value of `Allow`. */
  readonly allow?: string;
}

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

/** What the answer says: the words of the reason, or of the cause where that has its own. */
export function wordingOf({ reason, facts }: Rejection): Wording {
  const causes = causesOf(reason);
  const { what = '' } = facts;
  return (Object.hasOwn(causes, what) ? causes[what] : undefined) ?? REASONS[reason];
}

/** Words of a reason for causes that need other ones, by `what` of the facts. */
export function causesOf(reason: Reason): Readonly<Record<string, Wording>> {
  const row: ReasonRow = REASONS[reason];
  return row.causes ?? {};
}

/** What a gRPC client is told. */
export function grpcCodeOf({ reason }: Rejection): number {
  return GRPC_CODES[REASONS[reason].grpcStatus];
}
