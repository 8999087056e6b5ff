// Connections that were refused, of all workers, in the words that an operator looks for.

import type { CountedConnections } from '../observe/recent-connections.ts';
import type { Recent } from '../observe/recent.ts';

export interface RefusedConnectionStatus extends CountedConnections {
  /** What it means, and where to look first. */
  readonly lookAt: string;
}

const LOOK_AT: Readonly<Record<string, string>> = {
  certificate_missing: 'the client showed no certificate, and client_certificate.request is required',
  certificate_untrusted:
    'the certificate of the client is not issued by ca_file, has expired, or is revoked by crl_file',
  certificate_unreadable: 'the certificate of the client cannot be read',
  timed_out:
    'the client connected and did not finish its handshake: a port scan, a health check, or packets that are lost',
  failed: 'the code says how TLS failed',
  proxy_peer_untrusted: 'a peer outside of trusted_peers connected where a PROXY header is required',
  proxy_header_malformed:
    'the peer sends no PROXY header, or not a valid one: switch it on there, or proxy_protocol off here',
  proxy_header_timed_out: 'the peer connected and sent no PROXY header',
  share: 'the client with the most connections lost one: keep it away, or add it to trusted_peers if it is a balancer',
  limit: 'limits.connections are open, and no client has more than the new one',
  handshakes: 'a handshake that hung made room for others of its client',
  descriptors: 'the open files of the process run out: raise the limit of open files',
};

/** By codes of OpenSSL and Node, where the refusal alone says too little. */
const LOOK_AT_CODE: Readonly<Record<string, string>> = {
  ERR_SSL_HTTP_REQUEST: 'plain HTTP on a port that speaks TLS: http instead of https in the client or in the balancer',
  ERR_SSL_NO_SHARED_CIPHER: 'the client offers no cipher suite of tls.profile',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the client speaks a version of TLS below tls.min_version',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what came is not TLS: another protocol, or a PROXY header where proxy_protocol is off',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the client does not trust the certificate of this listener',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'the client does not trust the certificate of this listener',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'the client cannot verify the kind of certificate that this listener has',
  CLIENT_HELLO_TOO_LONG: 'the first message of the client is longer than any client makes it',
  CERT_HAS_EXPIRED: 'the certificate of the client has expired',
  CERT_REVOKED: 'the certificate of the client is revoked by crl_file',
  CRL_HAS_EXPIRED: 'crl_file has expired: no certificate is trusted before it is renewed',
};

export function mergeConnections(parts: readonly Recent[]): readonly CountedConnections[] {
  const kinds = Map.groupBy(
    parts.flatMap(({ connections }) => connections),
    ({ listener, refusal, code }) => JSON.stringify([listener, refusal, code]),
  );
  return [...kinds.values()].map((same) => {
    const newest = same.reduce((one, other) => (other.lastAt > one.lastAt ? other : one));
    return {
      ...newest,
      lastFiveMinutes: same.reduce((sum, one) => sum + one.lastFiveMinutes, 0),
      lastHour: same.reduce((sum, one) => sum + one.lastHour, 0),
    };
  });
}

/** Those of the last minutes first, the most frequent first. */
export function connectionStatus({ connections }: Recent): readonly RefusedConnectionStatus[] {
  return connections
    .map((one) => ({ ...one, lookAt: LOOK_AT_CODE[one.code] ?? LOOK_AT[one.refusal] ?? '' }))
    .toSorted((a, b) => b.lastFiveMinutes - a.lastFiveMinutes || b.lastHour - a.lastHour || b.lastAt - a.lastAt);
}
