// Answers that a route gives by itself to what is permitted: a fixed one, or a redirect.

import type { Field } from '../http/field.ts';
import { type GrpcCall, grpcMessage } from '../http/grpc.ts';
import { hostOf } from '../http/uri.ts';
import type { Answer } from '../rejection/answer.ts';
import { GRPC_CODES, GRPC_STATUS } from '../rejection/grpc-status.ts';
import type { RequestFacts } from '../request-facts.ts';
import type { PathRewrite } from './edits.ts';
import { rewrittenTarget } from './rewritten-target.ts';

/** In place of an upstream. */
export type OwnAnswer = FixedAnswer | Redirect;

export interface FixedAnswer {
  readonly kind: 'respond';
  readonly status: number;
  readonly body: string;
  /** undefined: there is no body. */
  readonly contentType: string | undefined;
}

/** What is undefined stays as the client called it. */
export interface Redirect {
  readonly kind: 'redirect';
  readonly status: number;
  readonly scheme: 'http' | 'https' | undefined;
  /** Without port, as in authorities. */
  readonly host: string | undefined;
  /** undefined: the default port of `scheme` where that is given, else the one that the client called. */
  readonly port: number | undefined;
  readonly path: PathRewrite | undefined;
}

/** What an answer depends on in a request. */
type Answered = Pick<RequestFacts, 'origin' | 'target'>;

const DEFAULT_PORT = { http: 80, https: 443 };
/** A client whose call ends with a status that has no name here cannot tell why. */
const UNKNOWN = 2;

/**
 * The answer of a route by itself. To a gRPC call a fixed status from 400 is one of trailers alone, as refusals are (decision 72).
 * NOT checked: that the request is permitted.
 */
export function makeOwnAnswer(own: OwnAnswer, request: Answered, grpc?: GrpcCall): Answer {
  if (own.kind === 'redirect') {
    return { status: own.status, fields: [['Location', locationOf(own, request)]], body: '' };
  }
  const { status, body, contentType } = own;
  if (grpc !== undefined && status >= 400) {
    const fields: Field[] = [
      ['Content-Type', grpc.contentType],
      ['grpc-status', String(grpcCodeFor(status))],
      ['grpc-message', grpcMessage(body)],
    ];
    return { status: 200, fields: [...fields, NOT_STORED], body: '' };
  }
  const fields: Field[] = [];
  if (contentType !== undefined) fields.push(['Content-Type', contentType], ['X-Content-Type-Options', 'nosniff']);
  return { status, fields: [...fields, NOT_STORED], body };
}

const NOT_STORED: Field = ['Cache-Control', 'no-store'];

/** The code of gRPC that says what an HTTP status says. */
export function grpcCodeFor(status: number): number {
  const known: Readonly<Record<number, keyof typeof GRPC_CODES>> = GRPC_STATUS;
  const name = known[status];
  return name === undefined ? UNKNOWN : GRPC_CODES[name];
}

/**
 * Where a redirect leads: scheme, host and port are those of the listener's origin that the client called, unless the policy says others,
 * so that no field of the request leads elsewhere. The query stays. A default port is left out. Characters that no URI has are encoded.
 */
export function locationOf(redirect: Redirect, { origin, target }: Answered): string {
  const scheme = redirect.scheme ?? origin.scheme;
  const called = hostOf(origin.authority);
  const calledPort = Number(origin.authority.slice(called.length + 1)) || DEFAULT_PORT[origin.scheme];
  const port = redirect.port ?? (redirect.scheme === undefined ? calledPort : DEFAULT_PORT[scheme]);
  const authority = `${redirect.host ?? called}${port === DEFAULT_PORT[scheme] ? '' : `:${port}`}`;
  // What a proxy in front strips, the client has to see again; at another host it means nothing.
  const stripped = redirect.host === undefined ? origin.pathPrefix : '';
  return `${scheme}://${authority}${escaped(`${stripped}${rewrittenTarget(target, redirect.path)}`)}`;
}

/** Octets that a request may bring and a URI may not have (RFC 3986 §2). */
function escaped(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]|["<>\\^`{|}]/g, (odd) => {
    const code = odd.charCodeAt(0);
    return `%${(code & 0xff).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}
