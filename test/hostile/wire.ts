// A strict reader of HTTP/1.1 bytes: messages, and what remains.

/** A request or an answer. */
export interface Message {
  /** Request line or status line. */
  readonly start: string;
  readonly lines: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: string;
}

export interface ReadWire {
  readonly messages: readonly Message[];
  /** What follows the last complete message. */
  readonly rest: string;
  /** What no message can look like; undefined: nothing is wrong so far. */
  readonly broken: string | undefined;
}

const REQUEST_LINE = /^[A-Z-]+ [\x21-\x7e]+ HTTP\/1\.1$/;
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [\t\x20-\x7e\x80-\xff]*$/;
const FIELD_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

/** All requests in what a server received on one connection. */
export function readRequests(bytes: string): ReadWire {
  return readMessages(bytes, REQUEST_LINE, () => true);
}

/** All answers in what a client received on one connection; interim ones too. @param methods of the requests, in their order */
export function readAnswers(bytes: string, methods: readonly string[] = []): ReadWire {
  let answered = 0;
  return readMessages(bytes, STATUS_LINE, (start) => {
    const status = Number(start.slice(9, 12));
    if (status < 200) return false;
    const method = methods[answered];
    answered += 1;
    return method !== 'HEAD' && status !== 204 && status !== 304;
  });
}

function readMessages(bytes: string, startLine: RegExp, mayHaveBody: (start: string) => boolean): ReadWire {
  const messages: Message[] = [];
  let rest = bytes;
  for (;;) {
    const message = readMessage(rest, startLine, mayHaveBody);
    if (typeof message === 'string') return { messages, rest, broken: message };
    if (message === undefined) return { messages, rest, broken: undefined };
    messages.push(message.message);
    rest = message.rest;
  }
}

type One = { readonly message: Message; readonly rest: string } | string | undefined;

/** @returns undefined where more bytes could make it a message, a string where none can */
function readMessage(bytes: string, startLine: RegExp, mayHaveBody: (start: string) => boolean): One {
  const end = bytes.indexOf('\r\n\r\n');
  const head = end === -1 ? bytes : bytes.slice(0, end);
  if (/(?:^|[^\r])\n|\r(?!\n|$)|\0/.test(head)) return 'a bare CR or LF, or NUL';
  if (end === -1) return undefined;
  const [start = '', ...texts] = head.split('\r\n');
  if (!startLine.test(start)) return `start line ${JSON.stringify(start.slice(0, 80))}`;
  const lines: (readonly [string, string])[] = [];
  for (const text of texts) {
    const [, name, value = ''] = FIELD_LINE.exec(text) ?? [];
    if (name === undefined) return `field line ${JSON.stringify(text.slice(0, 80))}`;
    lines.push([name, value]);
  }
  const after = bytes.slice(end + 4);
  if (!mayHaveBody(start)) return { message: { start, lines, body: '', trailers: '' }, rest: after };
  return readBody(start, lines, after);
}

function readBody(start: string, lines: Message['lines'], after: string): One {
  const valuesOf = (wanted: string) =>
    lines.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
  const [lengths, codings] = [valuesOf('content-length'), valuesOf('transfer-encoding')];
  if (lengths.length + codings.length > 1) return 'framed twice';
  if (codings.length === 1) return codings[0] === 'chunked' ? readChunks(start, lines, after) : `coding ${codings[0]}`;
  if (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0] ?? '')) return `length ${lengths[0]}`;
  const length = Number(lengths[0] ?? 0);
  if (after.length < length) return undefined;
  return { message: { start, lines, body: after.slice(0, length), trailers: '' }, rest: after.slice(length) };
}

function readChunks(start: string, lines: Message['lines'], after: string): One {
  let [body, rest] = ['', after];
  for (;;) {
    const [line, size] = /^([0-9A-Fa-f]{1,8})\r\n/.exec(rest) ?? [];
    if (line === undefined || size === undefined) return /^[0-9A-Fa-f]{0,8}\r?$/.test(rest) ? undefined : 'chunk size';
    const length = Number.parseInt(size, 16);
    rest = rest.slice(line.length);
    if (length === 0) break;
    if (rest.length < length + 2) return undefined;
    if (rest.slice(length, length + 2) !== '\r\n') return 'end of a chunk';
    body += rest.slice(0, length);
    rest = rest.slice(length + 2);
  }
  const end = `\r\n${rest}`.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  return { message: { start, lines, body, trailers: rest.slice(0, end) }, rest: rest.slice(end + 2) };
}
