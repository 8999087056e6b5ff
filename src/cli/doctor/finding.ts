// A finding of the doctor: what was looked at, what was there, and what to do next.

import type { NameResolver } from '../../dns/resolver.ts';

/** `unknown`: it could not be looked at, mostly because of another finding. */
export type Verdict = 'ok' | 'warning' | 'fault' | 'unknown';

export interface DoctorFinding {
  /** What was looked at: `issuer login`, `upstream orders http://127.0.0.1:9000`. */
  readonly subject: string;
  readonly check: string;
  readonly verdict: Verdict;
  readonly found: string;
  readonly expected?: string;
  /** What the operator does about it; '': nothing. */
  readonly next: string;
}

/** What all checks may take, and what they go by. */
export interface Terms {
  /** Seconds for one question: a connection, an answer. */
  readonly each: number;
  /** Ends all of them. */
  readonly signal: AbortSignal;
  /** Seconds since the epoch. */
  readonly now: () => number;
  readonly names: Pick<NameResolver, 'lookup' | 'resolve'>;
}

/** Makes the findings about one subject. */
export function findingsOf(subject: string) {
  const make =
    (verdict: Exclude<Verdict, 'ok'>) =>
    (check: string, found: string, next: string, expected?: string): DoctorFinding => ({
      subject,
      check,
      verdict,
      found,
      next,
      ...(expected === undefined ? {} : { expected }),
    });
  return {
    ok: (check: string, found: string): DoctorFinding => ({ subject, check, verdict: 'ok', found, next: '' }),
    warning: make('warning'),
    fault: make('fault'),
    unknown: make('unknown'),
  };
}

/** Days before its end from which a certificate is warned of. */
const SOON = 21;

/** A certificate's end as a finding. @param to seconds since the epoch. @param next what renews it */
export function endOf(
  { subject, check, next }: Pick<DoctorFinding, 'subject' | 'check' | 'next'>,
  to: number,
  now: number,
): DoctorFinding {
  const { ok, warning, fault } = findingsOf(subject);
  const day = new Date(to * 1000).toISOString().slice(0, 10);
  const days = Math.floor((to - now) / 86_400);
  if (to <= now) return fault(check, `ended on ${day}`, next, 'a certificate that is valid now');
  const found = `ends on ${day}, in ${days} ${days === 1 ? 'day' : 'days'}`;
  return days < SOON ? warning(check, found, next, `more than ${SOON} days`) : ok(check, found);
}

/** What makes a connection fail, by the code of Node, OpenSSL or undici: in words, and what to do. */
const CONNECTIONS: readonly (readonly [RegExp, string, string])[] = [
  [/^ENOTFOUND$/, 'the name does not exist', 'Mend the name, or the DNS that this machine asks (/etc/resolv.conf).'],
  [/^EAI_AGAIN$/, 'DNS does not answer', 'See that this machine reaches its DNS servers (/etc/resolv.conf).'],
  [/^ECONNREFUSED$/, 'refused: no server has this port', 'Start the server, or mend host and port.'],
  [
    /^(?:ENOENT|EACCES)$/,
    'no socket can be opened there',
    'Start the server, and give its socket to the user of the gateway.',
  ],
  [
    /^(?:timeout|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|UND_ERR_HEADERS_TIMEOUT|ABORT_ERR|AbortError|TimeoutError)$/,
    'no answer in time',
    'Look for a firewall, a network policy or a server that hangs.',
  ],
  [/^E(?:HOST|NET)UNREACH$/, 'there is no way to it', 'Look at routes and network policies of this machine.'],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    'its certificate is not for this name',
    'Call it by a name of its certificate, or give it one for this name.',
  ],
  [/^CERT_HAS_EXPIRED$/, 'its certificate has expired', 'Renew the certificate there.'],
  [/^CERT_NOT_YET_VALID$/, 'its certificate is not valid yet', 'Compare the clocks of both machines.'],
  [
    /^(?:UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_SELF|CERT_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/,
    'its certificate is not trusted',
    'Name the CA that signed it in tls.ca_file of this block, or let the server send its intermediate certificates.',
  ],
  [
    /^(?:EPROTO|ERR_SSL_|ERR_TLS)/,
    'no TLS came about',
    'See that the port speaks TLS, 1.2 or later; or write http://.',
  ],
  [
    /^(?:ECONNRESET|EPIPE|UND_ERR_SOCKET|UPSTREAM_RESET)$/,
    'the connection was closed',
    'Look at the log of the server: it, or what is in between, ended the connection.',
  ],
  [/^HTTP2_NOT_SPOKEN$/, 'it does not speak HTTP/2', 'Write http2: false for this upstream, or turn HTTP/2 on there.'],
];

/** Why a connection or a question failed. @param code of Node, OpenSSL or undici */
export function connectionTrouble(code: string): { readonly found: string; readonly next: string } {
  const [, said, next] = CONNECTIONS.find(([pattern]) => pattern.test(code)) ?? [];
  if (said === undefined || next === undefined) return { found: code, next: 'Look at the log of the server.' };
  return { found: `${said} (${code})`, next };
}
