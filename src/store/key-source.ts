// Where an issuer's key set is read from: a file, a URI, or what its metadata names (RFC 8414 §3, OpenID Connect Discovery §4).

import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import { Agent, request } from 'undici';
import type { Issuer } from '../token/issuer.ts';

/** A document as it came: parsed JSON that nobody has looked at yet. */
export interface KeyDocument {
  readonly json: unknown;
  /** Seconds for which the answer says it is fresh (RFC 9111 §5.2.2.1); undefined: it does not say. */
  readonly maxAge: number | undefined;
}

export interface FetchLimits {
  /** Seconds for one answer, from connecting to its last byte. */
  readonly timeout: number;
  /** Bytes of one answer or file. */
  readonly size: number;
}

/** Why there is no document, in words that are fit for logs: a place without its query, and no word of its content. */
export class KeySourceError extends Error {}

/**
 * Reads the key set document of an issuer. Discovery starts anew each time, so that a moved `jwks_uri` is noticed.
 * @param signal ends it early
 * @throws KeySourceError
 * NOT checked: what is in the document.
 */
export async function readKeyDocument(issuer: Issuer, limits: FetchLimits, signal: AbortSignal): Promise<KeyDocument> {
  const { keys } = issuer;
  if (keys.from === 'jwks_file') return readKeyFile(keys.file, limits.size);
  const agent = keyAgent(issuer, limits);
  const get = (url: URL) => fetchJson(url, agent, limits, signal);
  try {
    return await get(keys.from === 'jwks_uri' ? plainOrTls(keys.uri, issuer) : await discover(issuer, keys.uri, get));
  } finally {
    await agent.destroy();
  }
}

async function readKeyFile(file: string, size: number): Promise<KeyDocument> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new KeySourceError(`${file}: ${codeOf(error)}`);
  });
  if (bytes.length > size) throw new KeySourceError(`${file}: larger than ${size} bytes`);
  // Reading it again costs nothing, so it is as old as it can be at once.
  return { json: parseJson(bytes.toString('utf8'), file), maxAge: 0 };
}

/** An agent for one reading: nothing of it stays open, and a changed CA counts at once. */
function keyAgent(issuer: Issuer, limits: FetchLimits): Agent {
  const ca = issuer.ca === undefined ? {} : { ca: [...getCACertificates('default'), issuer.ca] };
  return new Agent({ maxResponseSize: limits.size, connect: ca });
}

/** Fetches metadata until one document names this very issuer and a place for its keys. */
async function discover(
  issuer: Issuer,
  uri: string | undefined,
  get: (url: URL) => Promise<KeyDocument>,
): Promise<URL> {
  const problems: string[] = [];
  for (const candidate of uri === undefined ? wellKnown(issuer.issuer) : [uri]) {
    try {
      const url = plainOrTls(candidate, issuer);
      return readMetadata((await get(url)).json, url, issuer);
    } catch (error) {
      if (!(error instanceof KeySourceError)) throw error;
      problems.push(error.message);
    }
  }
  throw new KeySourceError(problems.join('; '));
}

/** RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery §4.1 behind it. */
function wellKnown(issuer: string): readonly string[] {
  if (!URL.canParse(issuer)) return [issuer];
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
}

/** RFC 8414 §3.3: metadata of another issuer must not be used. Its keys may well be on another origin, then by TLS. */
function readMetadata(json: unknown, from: URL, issuer: Issuer): URL {
  const metadata = typeof json === 'object' && json !== null ? json : {};
  if (!('issuer' in metadata) || metadata.issuer !== issuer.issuer) {
    throw new KeySourceError(`${placeOf(from)}: its issuer is not ${issuer.issuer}`);
  }
  const uri = 'jwks_uri' in metadata ? metadata.jwks_uri : undefined;
  if (typeof uri !== 'string' || !URL.canParse(uri)) throw new KeySourceError(`${placeOf(from)}: names no jwks_uri`);
  const url = new URL(uri);
  return url.origin === from.origin || issuer.insecureHttp ? plainOrTls(uri, issuer) : overTls(url);
}

/** https; http to loopback, or anywhere where the policy says `insecure_http`. */
function plainOrTls(uri: string, issuer: Issuer): URL {
  if (!URL.canParse(uri)) throw new KeySourceError('the URI of the keys is no URI');
  const url = new URL(uri);
  const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return url.protocol === 'http:' && (loopback || issuer.insecureHttp) ? url : overTls(url);
}

function overTls(url: URL): URL {
  if (url.protocol !== 'https:') throw new KeySourceError(`${placeOf(url)}: must be https`);
  return url;
}

/** One GET. No redirect is followed, not even one on the same origin: the URI in the policy or the metadata is the URI. */
async function fetchJson(url: URL, agent: Agent, limits: FetchLimits, signal: AbortSignal): Promise<KeyDocument> {
  const timeout = AbortSignal.timeout(limits.timeout * 1000);
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher: agent,
      headers: { accept: 'application/json, application/jwk-set+json' },
      signal: AbortSignal.any([timeout, signal]),
    });
    // Whatever else it is, it holds no keys: the body is not read, and the agent's end closes the connection.
    if (statusCode !== 200) throw new KeySourceError(`${placeOf(url)}: answered ${statusCode}`);
    return { json: parseJson(await body.text(), placeOf(url)), maxAge: readMaxAge(headers['cache-control']) };
  } catch (error) {
    if (error instanceof KeySourceError) throw error;
    throw new KeySourceError(
      `${placeOf(url)}: ${timeout.aborted ? `no answer in ${limits.timeout} s` : codeOf(error)}`,
    );
  }
}

/** The media type is not looked at: key sets are served under several, and nothing but JSON parses. */
function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes what it read.
    throw new KeySourceError(`${place}: not JSON`);
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
const placeOf = (url: URL) => `${url.origin}${url.pathname}`;

/** The code of a system or library error, or its name: messages may quote what was received. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
