// The checks of edge and route that `explain` shows before those of the sender.

import type { Connection } from '../../edge/listen/connection.ts';
import type { Listener } from '../../policy/policy.ts';
import { REASON_NAMES, type Reason, type Rejection } from '../../rejection/rejection.ts';
import { shownFacts } from '../../rejection/facts.ts';
import type { CheckedStep } from './checks.ts';
import type { GivenRequest } from './given.ts';
import { shorten } from './words.ts';

/** A request on its way, as far as it is known. */
export interface OnItsWay {
  readonly given: GivenRequest;
  readonly listener: Listener;
  readonly connection: Connection;
  readonly now: number;
  readonly route: string | undefined;
}

interface EdgeCheck {
  readonly reasons: readonly Reason[];
  readonly check: string;
  readonly rfc: string;
  readonly expected: (way: OnItsWay) => string;
  readonly received: (way: OnItsWay) => string;
  readonly owed?: (way: OnItsWay) => boolean;
  /** Of the reason only where the facts say so. */
  readonly only?: (what: string) => boolean;
}

const valuesOf = ({ given: { rawHeaders } }: OnItsWay, names: readonly string[]) =>
  rawHeaders.flatMap((name, index) =>
    index % 2 === 0 && names.includes(name.toLowerCase()) ? [`${name}: ${shorten(rawHeaders[index + 1])}`] : [],
  );
const received = (way: OnItsWay, names: readonly string[]) => valuesOf(way, names).join(', ') || 'none';

const FORWARDING = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'];
const isForwarding = (what: string) => /^(?:forwarded|x-forwarded)/.test(what);

/** Octets of the field lines, with `: ` and CRLF. */
export function headerSize({ rawHeaders }: GivenRequest): number {
  return rawHeaders.reduce((sum, part) => sum + Buffer.byteLength(part) + 2, 0);
}

function believed({ connection, now, listener }: OnItsWay): string {
  if (now > connection.trustedUntil) return `none: ${connection.remoteAddress ?? 'the client'} is not a trusted peer`;
  const kind = connection.forwarding;
  const fields =
    kind === undefined ? 'Forwarded, or X-Forwarded-*' : kind === 'forwarded' ? 'Forwarded' : 'X-Forwarded-*';
  return `${fields} of ${connection.remoteAddress}, a trusted peer of ${listener.name}`;
}

/** In the order of rejections.md. */
const CHECKS: readonly EdgeCheck[] = [
  {
    reasons: ['request_malformed'],
    check: 'framing, Host and target of the request',
    rfc: 'RFC 9112 §3, §6',
    expected: () => 'one Host, one framing, a path that means one thing',
    received: (way) =>
      `${received(way, ['host'])}; ${received(way, ['content-length', 'transfer-encoding'])} for the body`,
    only: (what) => !isForwarding(what),
  },
  {
    reasons: ['request_malformed'],
    check: 'what the proxy in front says',
    rfc: 'RFC 7239 §4',
    expected: believed,
    received: (way) => received(way, FORWARDING),
    owed: ({ connection, now }) => now <= connection.trustedUntil,
    only: isForwarding,
  },
  {
    reasons: ['header_too_large'],
    check: 'size of the fields',
    rfc: 'policy',
    expected: ({ listener: { limits } }) => `at most ${limits.headerSize} bytes`,
    received: ({ given }) => `${headerSize(given)} bytes`,
  },
  {
    reasons: ['method_unknown'],
    check: 'method',
    rfc: 'RFC 9110 §9.1',
    expected: () => 'a registered one',
    received: ({ given }) => shorten(given.method),
  },
  {
    reasons: ['uri_too_long'],
    check: 'length of the URL',
    rfc: 'RFC 9110 §15.5.15',
    expected: ({ listener: { limits } }) => `at most ${limits.urlLength} bytes`,
    received: ({ given }) => `${given.target.length} bytes`,
  },
  {
    reasons: ['expectation_failed'],
    check: 'Expect',
    rfc: 'RFC 9110 §10.1.1',
    expected: () => '100-continue, or no Expect',
    received: (way) => received(way, ['expect']),
  },
  {
    reasons: ['field_forbidden'],
    check: 'no imitation of fields of the gateway',
    rfc: 'policy',
    expected: () => 'no field that differs from one of the gateway by separators alone',
    received: ({ given }) => `${given.rawHeaders.length / 2} in all`,
  },
  {
    reasons: ['misdirected'],
    check: 'origin',
    rfc: 'RFC 9110 §7.4',
    expected: ({ listener: { origins } }) =>
      origins.map((one) => `${one.scheme}://${one.authority}${one.pathPrefix}`).join(' or ') || 'any',
    received: ({ given }) => `${given.scheme}://${shorten(given.authority)}`,
  },
  {
    reasons: ['route_not_found'],
    check: 'route of the path',
    rfc: 'policy',
    expected: () => 'a route for host and path',
    received: ({ given, route }) => route ?? shorten(given.target.replace(/[?#].*$/s, '')),
  },
  {
    reasons: ['preflight_refused'],
    check: 'CORS preflight',
    rfc: 'Fetch §4.8',
    expected: () => 'an origin and a method that a route with cors takes',
    received: (way) => received(way, ['origin', 'access-control-request-method']),
    owed: (way) => way.given.method === 'OPTIONS' && valuesOf(way, ['access-control-request-method']).length > 0,
  },
  {
    reasons: ['method_not_allowed'],
    check: 'method of the route',
    rfc: 'RFC 9110 §15.5.6',
    expected: () => 'one that a route of this path takes',
    received: ({ given }) => shorten(given.method),
  },
];

/** As `listChecks`, for stages `edge` and `route`. */
export function listEdgeChecks(way: OnItsWay, refused: Rejection | undefined): CheckedStep[] {
  const failedAt = refused === undefined ? Number.POSITIVE_INFINITY : REASON_NAMES.indexOf(refused.reason);
  const { what = '', expected: wanted, received: came } = shownFacts(refused?.facts ?? {});
  return CHECKS.map(({ reasons, check, rfc, expected, received, owed, only }) => {
    const isCause = refused !== undefined && reasons.includes(refused.reason) && (only?.(what) ?? true);
    const first = Math.min(...reasons.map((reason) => REASON_NAMES.indexOf(reason)));
    const outcome = isCause
      ? 'failed'
      : first > failedAt
        ? 'not reached'
        : (owed?.(way) ?? true)
          ? 'passed'
          : 'not needed';
    return {
      check,
      rfc,
      expected: (isCause && wanted) || expected(way),
      received: (isCause && came) || received(way),
      outcome,
    };
  });
}
