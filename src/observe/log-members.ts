// The members of log lines with their types and meanings, for docs/log.md.

import type { RequestMembers } from './log.ts';
import type { ShownFacts } from '../rejection/facts.ts';

/** A member of a line. `type` is that of JSON, and of a text what it looks like. */
export interface LogMember {
  readonly type: string;
  readonly about: string;
}

const member = (type: string, about: string): LogMember => ({ type, about });

/** In every line. */
export const COMMON_MEMBERS = {
  level: member('text', '`info`, `warn` (of requests: status 500 and above) or `error`.'),
  time: member('text, RFC 3339', 'When the line was written, UTC, milliseconds.'),
  msg: member('text', '`request`, or one of the events below.'),
} as const satisfies Record<string, LogMember>;

/** In lines with `msg: request`; the compiler holds the table against what is written. */
export const REQUEST_MEMBERS = {
  request_id: member('text', 'Name of the request, which every answer of the gateway has as well.'),
  interaction_id: member('text, UUID', 'By which the client names it, where the listener has `interaction_id`.'),
  trace_id: member('text', 'Of the trace to which the request belongs (W3C Trace Context), 32 hexadecimal digits.'),
  listener: member('text', 'Name of the listener.'),
  route: member('text', 'Name of the route; absent: none was found.'),
  method: member('text', 'At most 256 characters; empty where no request could be read.'),
  host: member('text', 'Authority that was asked for, normalised; absent: there was no good one.'),
  path: member('text', 'Without query and userinfo, at most 256 characters.'),
  status: member('number', 'Of the answer; absent: the client was gone before there was one.'),
  grpc_status: member('number', 'Of a refusal to a gRPC call, whose `status` is 200.'),
  scheme: member('text', '`Bearer`, `DPoP`, `other` or `none`: what the client presented.'),
  binding: member('text', '`none`, `dpop`, `mtls` or `dpop+mtls`: what the permitted client has shown.'),
  outcome: member('text', 'How it ended, in the words of the label of holdfast_requests_total.'),
  reason: member('text', 'Of a refusal: a name of [rejections.md](rejections.md).'),
  stage: member('text', 'Of a refusal: the stage of the reason.'),
  facts: member('object', 'Of a refusal: what differed, below.'),
  shadow: member('object', '`reason`, `stage` and `facts` of what the shadow of the route would have refused.'),
  duration_ms: member('number', 'From the last field line of the request to the end of the answer, milliseconds.'),
  client: member(
    'text',
    'IP address of the client, as a trusted peer states it; absent on unix sockets where none does.',
  ),
  peer: member('text', 'IP address of the trusted peer that stated another one for the client.'),
  sent_bytes: member('number', 'Of the body of the answer, or to the client through its tunnel.'),
  received_bytes: member('number', 'From the client through its tunnel.'),
  tunnel_end: member(
    'text',
    'Why the tunnel ended: `client`, `upstream`, `upstream_broke`, `idle`, `total`, `expired` or `stopped`.',
  ),
  upstream: member('text', 'The one that it was sent to, where its route has `upstreams`.'),
  attempts: member('number', 'How often it was sent to the upstream, where that was more than once.'),
  resent_after: member(
    'text',
    'What the attempt before the last was lost to: `unconnected`, `refused`, `closed` or `answered`.',
  ),
} as const satisfies Record<keyof RequestMembers, LogMember>;

/** In lines of requests as well, by `log.client`: who the verified token says that its client is. */
export const CLIENT_MEMBERS = {
  token_client: member('text', 'With `log.client: id`: the client of the token.'),
  token_client_hash: member('text', 'With `log.client: hash`: a hash of it under a secret key, 22 characters.'),
} as const satisfies Record<string, LogMember>;

/** In `facts`, of `shadow` as well. */
export const FACT_MEMBERS = {
  what: member('text', 'The claim, parameter, field or part that was wrong.'),
  differs: member('text', 'What is different about it, one word of a closed set.'),
  expected: member(
    'text',
    'What would have done; several values are separated by a comma and a blank. At most 1000 bytes.',
  ),
  received: member(
    'text',
    'What came. Unverified values are cut and escaped ([decision 98](decisions/0098-facts-that-name-the-difference.md)).',
  ),
  received_in: member('text', 'The field, or part of the connection, that said so.'),
  clock_offset: member('number', 'Seconds by which the clock of the client is ahead, or behind where negative.'),
  seconds_over: member('number', 'Seconds by which a time limit was missed.'),
  renewed_certificate: member(
    'true',
    'The certificate has the names of the one to which the token is bound: probably renewed.',
  ),
  name: member('text', 'What the configuration calls the issuer, field or upstream that had a part in it.'),
  code: member('text', 'A code of Node, OpenSSL, the parser or the issuer, such as `ECONNREFUSED`.'),
  retry_after: member('number', 'Seconds, as in Retry-After.'),
  allow: member('text', 'As in Allow.'),
} as const satisfies Record<keyof ShownFacts, LogMember>;

/** In lines about the gateway itself. */
export const EVENT_MEMBERS = {
  admin: member('text', 'Where the admin port is bound.'),
  audience: member('text', 'For which tokens are exchanged.'),
  cause: member('text', '`signal`, `files` or `secret`: why the configuration was read again.'),
  changes: member('list of texts', 'What changed, names and keys without values.'),
  client: member('text', 'IP address, or IPv6 network, of the client.'),
  code: member('text', 'Of OpenSSL or Node.'),
  controller_name: member('text', 'Whose GatewayClasses the controller serves.'),
  endpoint: member('text', 'Of the collector of traces.'),
  error: member(
    'text or object',
    'What failed, in words; of an exception `name`, `code` and `at`, the places in the code.',
  ),
  expected: member('text', 'The setting of Redis that is missing.'),
  failures: member('number', 'In a row, which opened the circuit.'),
  identity: member('text', 'Of the controller, as the Lease names it.'),
  issuer: member('text', 'Its name in the configuration.'),
  keys: member('number', 'That verify tokens now.'),
  kind: member('text', 'Of the objects that a controller asked for.'),
  listener: member('text', 'Name of the listener.'),
  listeners: member('list of texts', 'Names of the listeners, and where each is bound.'),
  namespace: member('text', 'Where the controller makes data planes.'),
  policy: member('text', 'Short hash of the configuration.'),
  problems: member('list of texts', 'Why it was refused, as FILE:LINE:COLUMN.'),
  ready: member('true or false', 'Whether /readyz still says so, and balancers send requests.'),
  reason: member('text', 'Why, one word of a closed set.'),
  refusal: member('text', 'Why the connection was refused, one word of a closed set.'),
  refused: member('number', 'Connections since the line before of the same kind.'),
  request: member('text', 'Method and path that the controller asked the API server for, and what it said.'),
  request_id: member('text', 'Of the request during which it happened.'),
  retry: member('number', 'Seconds until it is tried again.'),
  secret: member('text', 'The Secret that holds the configuration.'),
  signal: member('text', 'That was received.'),
  status: member('number', 'Of the answer of the API server.'),
  target: member('text', 'Of the upstream.'),
  telemetry: member('text', 'Where the telemetry port is bound.'),
  unused: member('list of texts', 'Why keys of the set count for nothing: `private`, `use`, and the like.'),
  upstream: member('text', 'Its name in the configuration.'),
  version: member('text', 'Of the gateway.'),
  what: member('text', 'What the health check got: a status or a code.'),
  why: member('text', 'Why the signal was ignored.'),
  withdrawn: member('number', 'Keys that are gone since the answer before.'),
  worker: member('number', 'Which of the workers.'),
  workers: member('number', 'How many there are.'),
} as const satisfies Record<string, LogMember>;

/** `msg` of lines about the gateway itself, and what an operator makes of each. */
export const EVENTS = {
  serving: 'All listeners are open.',
  'drain prolonged':
    '`drain.delay` is over and connections still come: they are served on, for half of `drain.grace` at most.',
  'drain announced': 'The command drain was given: clients are told to connect again, everything is still served.',
  draining: 'A signal to stop came; requests in flight get their answers.',
  'ending at once': 'A second signal came.',
  stopped: 'The process ends.',
  'signal ignored': 'It came too early or too late.',
  'policy adopted': 'A changed configuration is in force.',
  'the secret does not exist': 'Of `--from-secret`: the policy in force stays, or one is waited for.',
  'the secret cannot be watched': 'The API server does not answer, or refuses; the policy in force stays.',
  'configuration refused: there is none in force yet':
    'Of `--from-secret`: the gateway is not ready; mend the problems.',
  'configuration refused: nothing was changed': 'The one of before is in force: mend the problems.',
  'keys loaded': 'Of an issuer, for the first time, changed, or after a failure.',
  'keys could not be loaded': 'The keys of before count for 24 hours.',
  'the issuer publishes a private key': 'Tell the issuer at once: anybody can sign its tokens.',
  'handshake refused': 'A connection never carried a request: TLS, a client certificate or a PROXY header.',
  'connections are refused': 'For want of room, once a minute for each reason.',
  'target unhealthy': 'Its health checks fail: it gets no requests.',
  'target healthy': 'It gets requests again.',
  'circuit open': 'The target is left alone for a moment.',
  'circuit closed': 'It answers again.',
  'the replica replay store is away': 'Redis does not answer.',
  'the replica replay store is there': 'Redis answers.',
  'the replica replay store has another connection': 'After a reload that changed it.',
  'the replica replay store does not say whether it evicts':
    'Allow CONFIG GET, or see that maxmemory-policy is noeviction.',
  'shared rate limits cannot be counted in the replica replay store': 'The user of Redis may not run scripts.',
  'the issuer gave no answer about a token': 'Introspection fails: the error says how.',
  'the issuer answers about tokens again': 'Introspection works.',
  'the issuer gave no token for an upstream': 'Token exchange fails: the error says how.',
  'the issuer gives tokens for upstreams again': 'Token exchange works.',
  'spans were not taken by the collector':
    'They are lost, requests are not: the error says how it failed. Not more often than once a minute or so.',
  'a worker cannot start': 'The error says why.',
  'a worker did not take the policy': 'It is replaced.',
  'worker N died and is replaced': 'The error says at which place in the code.',
  'a worker is stuck': 'It did not answer for too long, and is replaced.',
  'threads cannot share a port on this platform: there is one worker': 'As on macOS.',
  'a request could not be decided': 'An unforeseen exception: the request was refused as internal_error. Report it.',
  'a request could not be answered': 'The same, and its connection was closed.',
  'a shadow demand could not be evaluated': 'The same, without a consequence for the request.',
  'the telemetry port failed': 'An unforeseen exception there.',
  'the admin port failed': 'An unforeseen exception there.',
  controlling: 'The controller has started.',
  leading: 'This controller has the Lease, and writes.',
  'no longer leading': 'Another one writes, or the API server was away for too long.',
  'the API server refused or did not answer':
    'The controller tries again; not more than one line a minute for each kind and reason.',
  'the cluster could not be translated': 'An unforeseen exception: data planes keep what they have. Report it.',
  'an unexpected error ends the process': 'Report it.',
} as const satisfies Record<string, string>;
