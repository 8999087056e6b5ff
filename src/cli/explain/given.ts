// The request that is explained: its parts, however it was described.

import * as z from 'zod';
import { UsageError } from '../arguments.ts';

/** A request as a client sent it. Nothing is checked here. */
export interface GivenRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** As in Host. */
  readonly authority: string;
  /** As in the request line. */
  readonly target: string;
  readonly httpVersion: string;
  /** Names and values in turn, Host included where the client sent it. */
  readonly rawHeaders: readonly string[];
  /** What is wrong with it in a way that no parser takes; undefined: nothing. */
  readonly fault?: string | undefined;
  /** Octets of its body; undefined: not known. */
  readonly body?: number | undefined;
  /** Milliseconds since the epoch; undefined: not known. */
  readonly at?: number | undefined;
}

/** An absolute http or https URL taken apart, without normalising it. @throws UsageError */
export function readUrl(url: string, what: string): Pick<GivenRequest, 'scheme' | 'authority' | 'target'> {
  const [, scheme = '', authority = '', target = ''] = /^(https?):\/\/([^/?#]+)(.*)$/i.exec(url) ?? [];
  if (scheme === '') throw wrong(`${what} must be an absolute URL, such as https://api.example.com/orders/1`);
  const path = target.startsWith('/') ? target : `/${target}`;
  return {
    scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http',
    authority: authority.replace(/^[^@]*@/, ''),
    target: path.replace(/#.*$/, ''),
  };
}

/** A usage error of this command. */
export function wrong(message: string, cause?: unknown): UsageError {
  return new UsageError(message, { command: 'explain', cause });
}

const METHOD_LINE = /^([^ ]+) ([^ ]+) HTTP\/(\d(?:\.\d)?)$/;

/**
 * Reads a request in the form of HTTP/1.1 (RFC 9112 §3), lines ended by CRLF or LF. What the gateway's parser refuses is its `fault`:
 * white space around a field name, folded lines, two lengths, a length next to a coding.
 * @throws UsageError where there is no request line
 */
export function readRawRequest(text: string): GivenRequest {
  const [head = '', ...rest] = text.split(/\r?\n\r?\n/);
  const [first = '', ...lines] = head.replace(/^(?:\r?\n)+/, '').split(/\r?\n/);
  const [, method = '', target = '', httpVersion = ''] = METHOD_LINE.exec(first) ?? [];
  if (method === '') throw wrong('the request must begin with a line such as GET /orders/1 HTTP/1.1');
  const fields = lines.filter((line) => line !== '').map(readLine);
  const rawHeaders = fields.flatMap(({ name, value }) => [name, value]);
  const host = fields.find(({ name }) => name.toLowerCase() === 'host')?.value ?? '';
  const absolute = /^https?:/i.test(target) ? readUrl(target, 'the request target') : undefined;
  return {
    method,
    target,
    scheme: absolute?.scheme ?? 'https',
    authority: absolute?.authority ?? host,
    httpVersion: httpVersion.length === 1 ? `${httpVersion}.0` : httpVersion,
    rawHeaders,
    fault: fields.find(({ fault }) => fault !== undefined)?.fault ?? framingFault(fields),
    body: rest.length === 0 ? 0 : Buffer.byteLength(rest.join('\n\n')),
  };
}

interface Line {
  readonly name: string;
  readonly value: string;
  readonly fault?: string;
}

function readLine(line: string): Line {
  const [, name = line, value = ''] = /^([^:]*):(.*)$/.exec(line) ?? [];
  const read = { name, value: value.trim() };
  if (/^[ \t]/.test(line)) return { ...read, fault: 'a folded line' };
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) ? read : { ...read, fault: 'a field name' };
}

/** RFC 9112 §6.3: a message that two readers end at different places. */
function framingFault(fields: readonly Line[]): string | undefined {
  const named = (name: string) => fields.filter((one) => one.name.toLowerCase() === name).map(({ value }) => value);
  const [lengths, codings] = [named('content-length'), named('transfer-encoding')];
  if (lengths.length > 1 || lengths.some((value) => !/^\d+$/.test(value))) return 'Content-Length';
  return lengths.length > 0 && codings.length > 0 ? 'Content-Length and Transfer-Encoding' : undefined;
}

const HAR = z.object({ log: z.object({ entries: z.array(z.unknown()) }) });

/** What is read of an entry; it comes from somebody's browser, and other members may be anything. */
const HAR_ENTRY = z.object({
  startedDateTime: z.string().default(''),
  request: z.object({
    method: z.string().default('GET'),
    url: z.string(),
    headers: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
    bodySize: z.number().default(-1),
  }),
});

/**
 * Reads one entry of an HTTP archive, as the developer tools of browsers save it.
 * @param entry counts from 1; undefined: the only one
 * @throws UsageError
 */
export function readHar(text: string, entry: string | undefined): GivenRequest {
  const entries = harEntries(text).map((one) => HAR_ENTRY.safeParse(one).data);
  const number = entry === undefined && entries.length === 1 ? 1 : Number(entry);
  const chosen = entries[number - 1];
  if (chosen === undefined) {
    const shown = entries
      .slice(0, 20)
      .map(
        (one, index) =>
          `  ${index + 1}  ${one === undefined ? 'has no request with a URL' : shownRequest(one.request)}`,
      );
    throw wrong(`--entry must be a number from 1 to ${entries.length}:\n${shown.join('\n')}`);
  }
  const { method, url, headers, bodySize } = chosen.request;
  const named = headers.filter(({ name }) => !name.startsWith(':'));
  const { scheme, authority, target } = readUrl(url, 'the URL of the entry');
  const hosts = named.some(({ name }) => name.toLowerCase() === 'host') ? [] : ['Host', authority];
  const at = Date.parse(chosen.startedDateTime);
  return {
    method,
    scheme,
    authority,
    target,
    httpVersion: '1.1',
    rawHeaders: [...hosts, ...named.flatMap(({ name, value }) => [name, value])],
    body: bodySize < 0 ? undefined : bodySize,
    at: Number.isNaN(at) ? undefined : at,
  };
}

function harEntries(text: string): readonly unknown[] {
  let archive: unknown;
  try {
    archive = JSON.parse(text);
  } catch (error) {
    throw wrong('--har: the file is not JSON', error);
  }
  const { data } = HAR.safeParse(archive);
  if (data === undefined) throw wrong('--har: the file is not an HTTP archive, which has log.entries');
  return data.log.entries;
}

/** Without the query, which may hold a code or a token, and without what steers a terminal. */
function shownRequest({ method, url }: { readonly method: string; readonly url: string }): string {
  const text = `${method.slice(0, 20)} ${url.replace(/[?#].*$/s, '').slice(0, 100)}`;
  return text.replace(/[^ -~]/g, '?');
}
