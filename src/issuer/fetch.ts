// Documents of an issuer over HTTP: deadline, size, TLS, redirects, and metadata.

import type { LookupFunction } from 'node:net';
import { getCACertificates } from 'node:tls';
import { Agent, type Dispatcher } from 'undici';
import { isLoopback } from '../http/address.ts';
import { names } from '../dns/resolver.ts';
import { decodeText, undoCoding } from '../http/content.ts';
import type { Issuer } from '../token/issuer.ts';

/** A document as it came: parsed JSON that nobody has looked at yet. */
export interface IssuerDocument {
  readonly text: string;
  /** Seconds for which the answer says it is fresh (RFC 9111 §5.2.2.1); undefined: it does not say. */
  readonly maxAge: number | undefined;
  /** Lower-cased, without parameters. */
  readonly mediaType: string;
}

export interface FetchLimits {
  /** Seconds for one answer, from connecting to its last byte. */
  readonly timeout: number;
  /** Bytes of one answer or file. */
  readonly size: number;
}

/** Why there is no document, in words that are fit for logs: a place without its query, and no word of its content. */
export class IssuerFailure extends Error {
  /** The connection broke before there was an answer: it may have been closed while it was idle. */
  readonly broken: boolean;
  /** `error` of RFC 6749 §5.2, where the issuer gave one that is made like a registered code. */
  readonly error: string | undefined;
  /** Of the answer, where there was one that is not 200. */
  readonly status: number | undefined;
  /** Of Node or undici, where there was no answer: `ECONNREFUSED`; `timeout`: not in time. */
  readonly code: string | undefined;
  constructor(message: string, more: FailureFacts = {}) {
    super(message);
    this.broken = more.broken ?? false;
    this.error = more.error;
    this.status = more.status;
    this.code = more.code;
  }
}

interface FailureFacts {
  readonly broken?: boolean;
  readonly error?: string | undefined;
  readonly status?: number;
  readonly code?: string;
}

/** Connections to one issuer. @param more client certificate, how many connections at most, and for tests how names are resolved */
export function issuerAgent(
  { ca }: Pick<Issuer, 'ca'>,
  { size }: Pick<FetchLimits, 'size'>,
  more: {
    readonly cert?: string;
    readonly key?: string;
    readonly connections?: number;
    readonly lookup?: LookupFunction | undefined;
  } = {},
): Agent {
  const { connections, lookup = names.lookup, ...certificate } = more;
  const authorities = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
  return new Agent({
    maxResponseSize: size,
    connect: { ...authorities, ...certificate, lookup },
    ...(connections === undefined ? {} : { connections }),
  });
}

/** How one document is asked for. */
export interface FetchTerms {
  readonly agent: Dispatcher;
  readonly limits: FetchLimits;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** The default is a GET. */
  readonly post?: { readonly fields: Readonly<Record<string, string>>; readonly body: string };
  readonly accept: string;
  /** Told of every answer, redirects and refusals too. */
  readonly onAnswer?: (answer: Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'>) => void;
}

/** Redirects after which there has to be an answer. */
const REDIRECTS = 3;

/**
 * One document. Redirects are followed on the same origin alone, of a POST only those that keep it one (RFC 9110 §15.4).
 * @throws IssuerFailure unless the answer is 200, complete, in time and not too large, with the issuer's `error` if it gave one
 */
export async function fetchText(url: URL, terms: FetchTerms): Promise<IssuerDocument> {
  const { timeout: seconds } = terms.limits;
  const timeout = AbortSignal.timeout(seconds * 1000);
  const signal = AbortSignal.any([timeout, terms.signal]);
  let at = url;
  try {
    for (let followed = 0; ; followed++) {
      const answer = await send(at, terms, signal);
      terms.onAnswer?.(answer);
      if (answer.statusCode === 200) return await readDocument(answer, at, terms.limits);
      const next = followed < REDIRECTS ? redirectOf(answer, at, terms) : undefined;
      if (next === undefined) throw await refusal(answer, at);
      discard(answer);
      at = next;
    }
  } catch (error) {
    if (error instanceof IssuerFailure) throw error;
    const code = timeout.aborted ? 'timeout' : codeOf(error);
    const why = timeout.aborted ? `no answer in ${seconds} s` : code;
    throw new IssuerFailure(`${placeOf(at)}: ${why}`, { broken: BROKEN.has(code), code });
  }
}

function send(url: URL, { agent, post, accept }: FetchTerms, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  return agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    ...(post === undefined ? { method: 'GET' } : { method: 'POST', body: post.body }),
    // A server that codes all the same is understood (undoCoding).
    headers: { accept, 'accept-encoding': 'identity', ...post?.fields },
    signal,
  });
}

async function readDocument(
  { headers, body }: Dispatcher.ResponseData,
  at: URL,
  { size }: FetchLimits,
): Promise<IssuerDocument> {
  const coding = String(headers['content-encoding'] ?? '');
  const content = await undoCoding(await body.bytes(), coding, size);
  if (content === undefined) throw new IssuerFailure(`${placeOf(at)}: a Content-Encoding that was not asked for`);
  return { text: decodeText(content), maxAge: readMaxAge(headers['cache-control']), mediaType: mediaTypeOf(headers) };
}

function redirectOf({ statusCode, headers }: Dispatcher.ResponseData, at: URL, { post }: FetchTerms): URL | undefined {
  if (!(post === undefined ? [301, 302, 303, 307, 308] : [307, 308]).includes(statusCode)) return undefined;
  const { location } = headers;
  const next = typeof location === 'string' && URL.canParse(location, at) ? new URL(location, at) : undefined;
  return next?.origin === at.origin && next.username === '' && next.password === '' ? next : undefined;
}

/** What the issuer says went wrong: `error` of RFC 6749 §5.2. Only what is made like a registered code, since the rest may quote anything. */
async function refusal(answer: Dispatcher.ResponseData, at: URL): Promise<IssuerFailure> {
  const { statusCode } = answer;
  const error = statusCode >= 400 && /\bjson$/.test(mediaTypeOf(answer.headers)) ? await errorOf(answer) : undefined;
  if (error === undefined) discard(answer);
  const redirect = statusCode >= 300 && statusCode < 400 ? ', and a redirect is followed on the same origin only' : '';
  const because = error === undefined ? redirect : ` (${error})`;
  return new IssuerFailure(`${placeOf(at)}: answered ${statusCode}${because}`, { error, status: statusCode });
}

async function errorOf({ body }: Dispatcher.ResponseData): Promise<string | undefined> {
  const answer: unknown = await body.json().catch(() => undefined); // without a code the status says what is known
  const error = typeof answer === 'object' && answer !== null && 'error' in answer ? answer.error : undefined;
  return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? error : undefined;
}

/** Drops an answer: its body is not read, and its connection is closed. */
function discard({ body }: Dispatcher.ResponseData): void {
  body.on('error', () => {}).destroy();
}

function mediaTypeOf(headers: Dispatcher.ResponseData['headers']): string {
  return String(headers['content-type'] ?? '')
    .replace(/;.*/s, '')
    .trim()
    .toLowerCase();
}

const BROKEN: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/**
 * Fetches metadata until one document names this very issuer and what is looked for.
 * @param uri the only place where it is; undefined: the well-known ones (RFC 8414 §3, OpenID Connect Discovery §4)
 * @param read what is looked for, from the metadata of this issuer and the place it came from
 * @throws IssuerFailure
 */
export async function discover<T>(
  issuer: Issuer,
  uri: string | undefined,
  get: (url: URL) => Promise<unknown>,
  read: (metadata: object, from: URL) => T,
): Promise<T> {
  const problems: string[] = [];
  for (const candidate of uri === undefined ? wellKnown(issuer.issuer) : [uri]) {
    try {
      const url = plainOrTls(candidate, issuer);
      return read(ownMetadata(await get(url), url, issuer), url);
    } catch (error) {
      if (!(error instanceof IssuerFailure)) throw error;
      problems.push(error.message);
    }
  }
  throw new IssuerFailure(problems.join('; '));
}

/** RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery §4.1 behind it. */
export function wellKnown(issuer: string): readonly string[] {
  if (!URL.canParse(issuer)) return [issuer];
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
}

/** RFC 8414 §3.3: metadata of another issuer must not be used. */
function ownMetadata(json: unknown, from: URL, issuer: Issuer): object {
  const metadata = typeof json === 'object' && json !== null ? json : {};
  if (!('issuer' in metadata) || metadata.issuer !== issuer.issuer) {
    const said = 'issuer' in metadata ? metadata.issuer : undefined;
    const shown = typeof said === 'string' && /^[\x21-\x7e]{1,256}$/.test(said) ? ` but ${said}` : '';
    throw new IssuerFailure(`${placeOf(from)}: its issuer is not ${issuer.issuer}${shown}`);
  }
  return metadata;
}

/**
 * A place that metadata names. It may well be on another origin, then by TLS.
 * @throws IssuerFailure
 */
export function placeNamed(name: string, value: unknown, from: URL, issuer: Issuer): URL {
  if (typeof value !== 'string' || !URL.canParse(value)) throw new IssuerFailure(`${placeOf(from)}: names no ${name}`);
  const url = new URL(value);
  return url.origin === from.origin || issuer.insecureHttp ? plainOrTls(value, issuer) : overTls(url);
}

/** https; http to loopback, or anywhere where the policy says `insecure_http`. @throws IssuerFailure */
export function plainOrTls(uri: string, issuer: Issuer): URL {
  if (!URL.canParse(uri)) throw new IssuerFailure('the URI of the issuer is not a valid URI');
  const url = new URL(uri);
  return url.protocol === 'http:' && (isLoopback(url.hostname) || issuer.insecureHttp) ? url : overTls(url);
}

function overTls(url: URL): URL {
  if (url.protocol !== 'https:') throw new IssuerFailure(`${placeOf(url)}: must be https`);
  return url;
}

/** The parser's message quotes what it read, so it is not passed on. @throws IssuerFailure */
export function parseFetched(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new IssuerFailure(`${place}: not JSON`);
  }
}

/** An answer that must not be reused (RFC 9111 §5.2.2) is as old as it can be. */
function readMaxAge(field: string | string[] | undefined): number | undefined {
  const text = String(field ?? '').toLowerCase();
  if (/(?:^|[\s,])no-(?:store|cache)(?:$|[\s,;])/.test(text)) return 0;
  const seconds = /(?:^|[\s,])max-age="?(\d{1,10})/.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** Without userinfo and query, where secrets live. */
export const placeOf = (url: URL) => `${url.origin}${url.pathname}`;

/** The code of a system or library error, or its name: messages may quote what was received. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
