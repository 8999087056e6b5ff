// The log: one JSON line per request, of typed parts that cannot hold a secret.

import { createHmac, randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { BindingName } from '../binding/permit.ts';
import type { Listener, LogRules, Route } from '../policy/policy.ts';
import type { Rejection } from '../rejection/rejection.ts';
import { shownFacts } from '../rejection/facts.ts';
import { shortList, shortText } from '../rejection/short.ts';
import type { OutcomeLabel, SchemeLabel } from './labels.ts';

/** Why a tunnel ended: a closed set, for the log. `stopped`: the gateway closes its connections. */
export type TunnelEnd = 'client' | 'upstream' | 'upstream_broke' | 'idle' | 'total' | 'expired' | 'stopped';

/** How a tunnel went. `received`: bytes from the client. */
export interface TunnelFacts {
  readonly end: TunnelEnd;
  readonly received: number;
}

/** A request that was sent more than once. `after`: what the last attempt before was lost to, a word of upstream/loss.ts. */
export interface Attempts {
  readonly count: number;
  readonly after: string;
}

/** What the log says about one request. Texts of the client are its method, host and path, all of them cut. */
export interface RequestLine {
  readonly requestId: string;
  /** A UUID, the client's where it gave one; undefined: the listener has no such field. */
  readonly interactionId: string | undefined;
  /** undefined: nothing is traced. */
  readonly traceId?: string | undefined;
  readonly listener: Pick<Listener, 'name'>;
  /** undefined: none was found. */
  readonly route: Pick<Route, 'name'> | undefined;
  readonly method: string;
  /** Authority of the request, if it had a good one. */
  readonly host: string | undefined;
  /** The request target as received; the query is not logged. */
  readonly target: string;
  /** Of the answer; undefined: the client was gone before there was one. */
  readonly status: number | undefined;
  /** Of a refusal to a gRPC call, whose `status` is 200; undefined: any other request, or what the upstream said is passed on. */
  readonly grpcStatus: number | undefined;
  readonly scheme: SchemeLabel;
  readonly binding: BindingName;
  readonly outcome: OutcomeLabel;
  readonly rejection: Rejection | undefined;
  /** What the route's shadow would have refused. */
  readonly shadow: Rejection | undefined;
  readonly seconds: number;
  /** IP address of the client; undefined on unix sockets. */
  readonly client: string | undefined;
  /** That of the connection, where a trusted peer stated another one for the client. */
  readonly peer?: string | undefined;
  /** Of the access token of a permitted request, where the log has it; undefined: not asked for, or not known. */
  readonly tokenClient?: { readonly issuer: string; readonly id: string } | undefined;
  /** Bytes of the answer's body, or to the client through its tunnel. */
  readonly sent: number;
  /** How the tunnel of the request went; undefined: none was opened. */
  readonly tunnel: TunnelFacts | undefined;
  /** Name of the one that it was sent to, where its route has several. */
  readonly upstream?: string | undefined;
  /** undefined: it was sent once, or not at all. */
  readonly attempts: Attempts | undefined;
}

/** Fields of an event of the gateway itself: names, addresses, counts. */
export type EventFields = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export interface Log {
  /** Successes are sampled, everything else is always logged: 5xx as `warn`, all others as `info`. */
  request(line: RequestLine): void;
  /** Something about the gateway and no request of anybody: a start, a reload, keys that could not be loaded. */
  event(level: 'info' | 'warn' | 'error', message: string, fields?: EventFields): void;
  /** An exception that nobody expected: its name, code and place. Its message may quote the client, so it stays out. */
  failure(message: string, error: unknown, requestId?: string): void;
  /** Other rules from now on. */
  change(rules: LogRules): void;
  /** Settles when everything logged so far is written, with true; with false where it is not read, or too slowly. */
  flush(): Promise<boolean>;
}

/** Characters of a method, host or path. */
const TEXT_LIMIT = 256;
/** Bytes that wait for a slow reader of standard output; lines beyond are lost, the gateway is not. */
const BUFFER_LIMIT = 16 * 1024 * 1024;
/** Milliseconds without a write after which the reader is given up, and for all that is left to write. */
const FLUSH_PATIENCE = { silence: 1000, all: 2000 };

/**
 * @param to for tests; the default is standard output, written without blocking and flushed at exit
 * @param secret by which clients of tokens are hashed where the policy has no key
 */
export function createLog(
  rules: LogRules,
  to: DestinationStream = standardOutput(),
  secret: Uint8Array = randomBytes(CLIENT_KEY_BYTES),
): Log {
  let { sampleSuccesses } = rules;
  let nameClient = clientNaming(rules, secret);
  const logger = pino(
    {
      level: rules.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  );
  return {
    request(line) {
      const success = line.rejection === undefined && line.status !== undefined && line.status < 500;
      if (success && sampleSuccesses < 1 && Math.random() >= sampleSuccesses) return;
      const status = line.rejection?.status ?? line.status ?? 0;
      const level = status >= 500 ? 'warn' : 'info';
      if (!logger.isLevelEnabled(level)) return;
      logger[level]({ ...requestFields(line), ...nameClient(line.tokenClient) }, 'request');
    },
    event: (level, message, fields = {}) => logger[level](eventFields(fields), message),
    failure: (message, error, requestId) => logger.error({ request_id: requestId, error: errorFields(error) }, message),
    change(next) {
      ({ sampleSuccesses } = next);
      nameClient = clientNaming(next, secret);
      logger.level = next.level;
    },
    flush: async () => {
      const written = await writeRest(logger, to);
      // At the end of the process sonic-boom would try again, and again, for as long as there is no reader.
      if (!written && 'flushSync' in to) to.flushSync = () => {};
      return written;
    },
  };
}

function writeRest(
  logger: Logger,
  to: DestinationStream & Partial<Pick<EventEmitter, 'on' | 'off'>>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = performance.now() + FLUSH_PATIENCE.all;
    const timer = setTimeout(() => settle(false), FLUSH_PATIENCE.silence);
    const progress = () => void (performance.now() < end && timer.refresh());
    const settle = (written: boolean) => {
      clearTimeout(timer);
      to.off?.('write', progress);
      resolve(written);
    };
    to.on?.('write', progress);
    logger.flush(() => settle(true));
  });
}

/**
 * Bytes in one write: what a pipe takes as a whole (POSIX.1, PIPE_BUF), so that the lines of several threads are never mixed. No
 * line is longer.
 */
const WRITE_LIMIT = 4096;

/**
 * Each line is written at once; the 1 is what makes sonic-boom's flush wait for the line in flight. A line that cannot be written, as
 * on a full disk, is tried again with the next one. Without a listener its error would end the thread, and then sonic-boom would
 * try for ever at the end of the process; everything was flushed before where that could be done.
 */
function standardOutput(): DestinationStream {
  const stream = destination({ dest: 1, sync: false, minLength: 1, maxWrite: WRITE_LIMIT, maxLength: BUFFER_LIMIT });
  return stream.on('error', () => {
    stream.flushSync = () => {};
  });
}

/**
 * Makes writes to a standard output that is a pipe or a socket fail instead of wait where there is no reader (sonic-boom repeats them).
 * A write that waits holds one of the four threads that also look up names and read files, and the process cannot end before it.
 * @returns whether it is so; a terminal and a file go on waiting
 */
export function unblockStandardOutput(): boolean {
  // Node opens pipes and sockets without blocking, and sets them back at the end.
  return process.stdout instanceof Socket && !process.stdout.isTTY;
}

/** Bytes of a text, and of a whole list, in an event. */
const TEXT_BYTES = 500;
const LIST_BYTES = 2500;

function eventFields(fields: EventFields) {
  const short = (value: EventFields[string]) => {
    if (typeof value === 'string') return shortText(value, TEXT_BYTES);
    return typeof value === 'object' ? shortList(value, LIST_BYTES) : value;
  };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, short(value)]));
}

/** Members that are undefined are left out of the line. */
function requestFields(line: RequestLine) {
  return {
    request_id: line.requestId,
    interaction_id: line.interactionId,
    trace_id: line.traceId,
    listener: line.listener.name,
    route: line.route?.name,
    method: line.method.slice(0, TEXT_LIMIT),
    host: line.host?.slice(0, TEXT_LIMIT),
    path: pathOf(line.target).slice(0, TEXT_LIMIT),
    status: line.status,
    grpc_status: line.grpcStatus,
    scheme: line.scheme,
    binding: line.binding,
    outcome: line.outcome,
    ...(line.rejection === undefined ? undefined : rejectionFields(line.rejection)),
    shadow: line.shadow === undefined ? undefined : rejectionFields(line.shadow),
    duration_ms: Math.round(line.seconds * 1e6) / 1e3,
    client: line.client,
    peer: line.peer,
    sent_bytes: line.sent,
    received_bytes: line.tunnel?.received,
    tunnel_end: line.tunnel?.end,
    upstream: line.upstream,
    attempts: line.attempts?.count,
    resent_after: line.attempts?.after,
  };
}

export type RequestMembers = ReturnType<typeof requestFields>;

/** Bytes of the key of clients' hashes, at least; and characters of a hash. */
const CLIENT_KEY_BYTES = 32;
const HASH_LENGTH = 22;

/** @param secret the key where the policy has none */
function clientNaming({ client, clientKey }: LogRules, secret: Uint8Array) {
  return (of: RequestLine['tokenClient']): object | undefined => {
    if (of === undefined || client === undefined) return undefined;
    if (client === 'id') return { token_client: shortText(of.id, TEXT_LIMIT) };
    const hash = createHmac('sha256', clientKey ?? secret)
      .update(`${of.issuer}\0${of.id}`)
      .digest('base64url');
    return { token_client_hash: hash.slice(0, HASH_LENGTH) };
  };
}

/** Neither the query nor, of a target in absolute form, the userinfo. */
export function pathOf(target: string): string {
  return /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#]*)?(?<path>[^?#]*)/i.exec(target)?.groups?.['path'] ?? '';
}

function rejectionFields({ reason, stage, facts }: Rejection) {
  return { reason, stage, ...(Object.keys(facts).length > 0 && { facts: shownFacts(facts) }) };
}

function errorFields(error: unknown) {
  if (!(error instanceof Error)) return { name: typeof error };
  const places =
    error.stack
      ?.replace(error.message, '')
      .split('\n')
      .filter((line) => /^ {4}at /.test(line)) ?? [];
  return {
    name: error.name,
    code: 'code' in error && typeof error.code === 'string' ? error.code : undefined,
    at: shortList(
      places.map((line) => line.trim()),
      LIST_BYTES,
    ),
  };
}
