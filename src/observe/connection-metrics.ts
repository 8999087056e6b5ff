// The metrics of client connections: handshakes, their failures, and connections refused.

import type { Listener } from '../policy/policy.ts';
import { addCounter, addGauge, type MetricRegistry } from './instruments.ts';
import type { ConnectionRefusal } from './labels.ts';
import { METRICS } from './metric-table.ts';

type ListenerOf = Pick<Listener, 'name'>;

export interface ConnectionCounts {
  /** @param version as OpenSSL names it, `TLSv1.3` */
  countHandshake(listener: ListenerOf, version: string | null, resumed: boolean): void;
  /** @param code `code` of the error that Node reported */
  countHandshakeFailure(listener: ListenerOf, code: string | undefined): void;
  countRefusedConnection(listener: ListenerOf, reason: ConnectionRefusal): void;
}

/** Versions that a listener can negotiate. */
export const TLS_VERSIONS = ['1.2', '1.3'] as const;

/** Codes of Node and OpenSSL → why a handshake failed; the first row that fits. */
const HANDSHAKE_FAILURES: readonly (readonly [RegExp, string])[] = [
  [/^(?:ECONNRESET|EPIPE)$/, 'closed'],
  [/HANDSHAKE_TIMEOUT|TIMED_OUT/, 'timeout'],
  [/DID_NOT_RETURN_A_CERTIFICATE|^CERTIFICATE_MISSING$/, 'certificate_missing'],
  [/ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_|UNKNOWN_CA|ACCESS_DENIED)/, 'server_certificate_refused'],
  [/CERT|CRL|LEAF_SIGNATURE/, 'client_certificate_refused'],
  [/HTTP_REQUEST|HTTPS_PROXY_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH/, 'no_tls'],
  [/^PROXY_PEER_UNTRUSTED$/, 'proxy_peer_untrusted'],
  [/^PROXY_HEADER_MALFORMED$/, 'proxy_header_malformed'],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|INAPPROPRIATE_FALLBACK/, 'version'],
  [/NO_SHARED|NO_SUITABLE|NO_APPLICATION_PROTOCOL/, 'parameters'],
];

/** Every reason that a failed handshake can be counted by. */
export const HANDSHAKE_REASONS: readonly string[] = [...HANDSHAKE_FAILURES.map(([, reason]) => reason), 'other'];

export function createConnectionCounts(registry: MetricRegistry): ConnectionCounts {
  const handshakes = addCounter(registry, METRICS.handshakes);
  const failures = addCounter(registry, METRICS.handshakeFailures);
  const refused = addCounter(registry, METRICS.refusedConnections);
  return {
    countHandshake({ name: listener }, version, resumed) {
      const known = TLS_VERSIONS.find((one) => version === `TLSv${one}`) ?? 'other';
      handshakes.inc({ listener, version: known, resumed: resumed ? 'yes' : 'no' });
    },
    countHandshakeFailure({ name: listener }, code = '') {
      const reason = HANDSHAKE_FAILURES.find(([pattern]) => pattern.test(code))?.[1] ?? 'other';
      failures.inc({ listener, reason });
    },
    countRefusedConnection: ({ name: listener }, reason) => refused.inc({ listener, reason }),
  };
}

/** @param connections open ones by listener */
export function addConnectionGauge(
  registry: MetricRegistry,
  connections: () => Iterable<readonly [ListenerOf, number]>,
): void {
  addGauge(registry, METRICS.connections, () =>
    [...connections()].map(([{ name: listener }, open]) => [{ listener }, open]),
  );
}
