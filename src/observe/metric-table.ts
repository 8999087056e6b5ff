// The table of metrics: name, meaning and labels of each.

import { ISSUER_CALL_METRICS } from './issuer-call-metrics.ts';
import { STORE_METRICS } from './store-metrics.ts';
import { TRACE_METRICS } from './trace-metrics.ts';

/**
 * Every metric of our own; docs list this table. Each label takes values from a closed set only: names from the policy, reasons of
 * the table of rejections, or words of labels.ts. `route` is `none` where no route was found.
 */
export const METRICS = {
  requests: {
    name: 'holdfast_requests_total',
    help: 'Requests by how they ended, and by the class of the status that the client got (none: it was gone before).',
    labels: ['route', 'scheme', 'binding', 'outcome', 'status'],
  },
  issuerRequests: {
    name: 'holdfast_issuer_requests_total',
    help: 'Requests with a token that the issuer vouches for, by how they ended.',
    labels: ['issuer', 'outcome'],
  },
  rejections: {
    name: 'holdfast_rejections_total',
    help: 'Refusals by reason and stage; mode shadow counts what a stricter demand would have refused.',
    labels: ['route', 'reason', 'stage', 'mode'],
  },
  nonceChallenges: {
    name: 'holdfast_nonce_challenges_total',
    help: 'Challenges that carried a DPoP nonce.',
    labels: ['route'],
  },
  nonceRecoveries: {
    name: 'holdfast_nonce_recoveries_total',
    help: 'Challenges after which the same token came with a good nonce: no errors. Of the last 16384 tokens at most, by all threads of this process.',
    labels: ['route'],
  },
  preflights: {
    name: 'holdfast_preflights_total',
    help: 'Preflights of browsers by result: allowed, or refused for the origin of the page, for the method (no route with cors takes it), or because no route of the path has cors (no_cors).',
    labels: ['route', 'result'],
  },
  corsRefused: {
    name: 'holdfast_cors_refused_total',
    help: 'Requests that a page sent without a preflight, and whose answer its browser keeps from it: cors.origins of the route does not list the page.',
    labels: ['route'],
  },
  unknownConfirmations: {
    name: 'holdfast_unknown_confirmations_total',
    help: 'Members of cnf that were not checked, next to one that was.',
    labels: [],
  },
  requestDuration: {
    name: 'holdfast_request_duration_seconds',
    help: 'From the end of the request header section to the end of the answer.',
    labels: ['route'],
  },
  verificationDuration: {
    name: 'holdfast_verification_duration_seconds',
    help: 'Time that a stage of the decision took in requests that passed it, waiting included. Of one request in ten milliseconds per worker.',
    labels: ['stage'],
  },
  clockOffset: {
    name: 'holdfast_client_clock_offset_seconds',
    help: 'iat of proofs whose signature is good, minus our time: positive is a clock ahead. refused: for that. Of one request in ten milliseconds per worker.',
    labels: ['result'],
  },
  cacheLookups: {
    name: 'holdfast_cache_lookups_total',
    help: 'Access tokens and proof keys that were looked for among those verified before, by result: hit or miss.',
    labels: ['cache', 'result'],
  },
  replayEntries: { name: 'holdfast_replay_entries', help: 'Proofs that are remembered.', labels: ['store'] },
  replayCapacity: {
    name: 'holdfast_replay_capacity',
    help: 'Proofs that can be remembered at once, by where: memory (this process alone) or redis (all replicas).',
    labels: ['store'],
  },
  ...STORE_METRICS,
  ...TRACE_METRICS,
  issuerKeysLoaded: {
    name: 'holdfast_issuer_keys_loaded',
    help: '1 if the keys of the issuer have been loaded since the start.',
    labels: ['issuer'],
  },
  issuerKeysAge: {
    name: 'holdfast_issuer_keys_age_seconds',
    help: 'Since the last good answer with the keys of the issuer.',
    labels: ['issuer'],
  },
  issuerKeyRefreshes: {
    name: 'holdfast_issuer_key_refreshes_total',
    help: 'Attempts to load the keys of the issuer, by result: loaded or failed.',
    labels: ['issuer', 'result'],
  },
  ...ISSUER_CALL_METRICS,
  certificateExpiry: {
    name: 'holdfast_certificate_expiry_timestamp_seconds',
    help: 'End of validity of a server certificate, by the base name of its file.',
    labels: ['listener', 'certificate'],
  },
  certificateStart: {
    name: 'holdfast_certificate_start_timestamp_seconds',
    help: 'Beginning of validity of a server certificate: its age is the time since.',
    labels: ['listener', 'certificate'],
  },
  connections: { name: 'holdfast_connections', help: 'Open client connections.', labels: ['listener'] },
  refusedConnections: {
    name: 'holdfast_refused_connections_total',
    help: 'Connections closed for want of room. New ones: limit (limits.connections are open), descriptors (of the process). Open ones: share (room for a client with fewer), handshakes (for others of the same client).',
    labels: ['listener', 'reason'],
  },
  tunnels: { name: 'holdfast_tunnels', help: 'Open tunnels of WebSockets.', labels: ['route'] },
  handshakes: {
    name: 'holdfast_tls_handshakes_total',
    help: 'TLS handshakes that succeeded, by version, and by whether a session was resumed (yes or no).',
    labels: ['listener', 'version', 'resumed'],
  },
  handshakeFailures: {
    name: 'holdfast_tls_handshake_failures_total',
    help: 'Connections that failed before their first request, in the PROXY header or the TLS handshake, by reason.',
    labels: ['listener', 'reason'],
  },
  workers: { name: 'holdfast_workers', help: 'Worker threads by state.', labels: ['state'] },
  workerRestarts: {
    name: 'holdfast_worker_restarts_total',
    help: 'Worker threads that died or hung and were replaced.',
    labels: [],
  },
  workerUtilization: {
    name: 'holdfast_worker_utilization_ratio',
    help: 'Share of the last five seconds in which a worker thread was busy, 0 to 1.',
    labels: ['worker'],
  },
  workerLoopDelay: {
    name: 'holdfast_worker_event_loop_delay_seconds',
    help: 'How late a worker thread came to a timer of 100 ms: what every request waits for as well.',
    labels: ['worker'],
  },
  workerHeap: {
    name: 'holdfast_worker_heap_bytes',
    help: 'JavaScript heap of a worker thread, by kind: used, committed, external (outside of the heap), or the limit beyond which it dies.',
    labels: ['worker', 'kind'],
  },
  reloads: {
    name: 'holdfast_reloads_total',
    help: 'Attempts to put a changed configuration to work, by result: adopted or refused.',
    labels: ['result'],
  },
  lastReload: {
    name: 'holdfast_last_reload_successful',
    help: '1 if the configuration that was read last is the one at work, 0 if it was refused.',
    labels: [],
  },
  policyAdopted: {
    name: 'holdfast_policy_adopted_timestamp_seconds',
    help: 'When the policy at work was adopted.',
    labels: [],
  },
  upstreamPending: {
    name: 'holdfast_upstream_pending_requests',
    help: 'Requests that wait for the target, or for the end of its answer.',
    labels: ['upstream', 'target'],
  },
  upstreamTargetHealthy: {
    name: 'holdfast_upstream_target_healthy',
    help: '1 if the health checks of every worker succeed; only of upstreams that have them.',
    labels: ['upstream', 'target'],
    aggregator: 'min',
  },
  upstreamCircuitOpen: {
    name: 'holdfast_upstream_circuit_open',
    help: '1 while a worker sends the target nothing but trials, because of failures in a row; only of upstreams with a circuit.',
    labels: ['upstream', 'target'],
    aggregator: 'max',
  },
  upstreamAnswers: {
    name: 'holdfast_upstream_answers_total',
    help: 'Attempts that the target answered, by the class of its status.',
    labels: ['upstream', 'target', 'status'],
  },
  upstreamDuration: {
    name: 'holdfast_upstream_duration_seconds',
    help: 'From the moment an attempt has a connection to the header section of the answer.',
    labels: ['upstream'],
  },
  upstreamFailures: {
    name: 'holdfast_upstream_failures_total',
    help: 'Attempts to have a request answered that failed, by reason: unreachable, timed_out, invalid or broken.',
    labels: ['upstream', 'target', 'reason'],
  },
  upstreamRetries: {
    name: 'holdfast_upstream_retries_total',
    help: 'Requests sent again, by why that is safe: unconnected (nothing was sent), refused (the upstream did not process it), closed (an idle connection ended under an idempotent request) or answered (`retries` of the route).',
    labels: ['upstream', 'reason'],
  },
  mirrored: {
    name: 'holdfast_mirrored_requests_total',
    help: 'Copies of requests for mirrors: sent, busy (not made, because the mirror has too many under way or its circuit is open) or too_large (not made, because of the body).',
    labels: ['upstream', 'result'],
  },
  upstreamQueue: {
    name: 'holdfast_upstream_queue_requests',
    help: 'Requests that wait in the gateway because the connections of the upstream, or the share of their client or route, are in use.',
    labels: ['upstream'],
  },
  upstreamQueueWait: {
    name: 'holdfast_upstream_queue_wait_seconds',
    help: 'How long requests waited there, those included that were refused in the end.',
    labels: ['upstream'],
  },
  buildInfo: { name: 'holdfast_build_info', help: 'Always 1; the label says which build runs.', labels: ['version'] },
} as const;
