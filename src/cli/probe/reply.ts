// An answer as the probe reads it: bounded, untrusted, and shown without any text of it.

/** An answer over HTTP/1. */
export interface Answered {
  readonly status: number;
  readonly lines: readonly (readonly [name: string, value: string])[];
  /** Latin-1, at most CONTENT characters. */
  readonly content: string;
}

/**
 * Why there is no answer: `closed`: the connection or its handshake was ended; `late`: in time there was none; `garbage`: no HTTP;
 * `unreachable`: no connection; `untrusted`: the server's certificate.
 */
export interface NoAnswer {
  readonly kind: 'closed' | 'late' | 'garbage' | 'unreachable' | 'untrusted';
  /** Of Node or OpenSSL; no text of the server. */
  readonly code: string;
}

export type Reply = Answered | NoAnswer;

/** Characters of a header section, and of content, beyond which nothing is read. */
const HEAD = 65_536;
const CONTENT = 65_536;
/** Interim answers before the answer. */
const INTERIM = 10;

/**
 * Reads what has come so far.
 * @param ended nothing will follow
 * @returns undefined: more is needed
 */
export function readReply(text: string, method: string, ended: boolean): Answered | NoAnswer | undefined {
  let rest = text;
  for (let interim = 0; ; interim++) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) return withoutHead(rest, ended);
    const [start = '', ...fields] = rest.slice(0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.[01] ([1-5][0-9]{2})(?: |$)/.exec(start)?.[1] ?? 0);
    if (status === 0 || interim > INTERIM) return { kind: 'garbage', code: '' };
    rest = rest.slice(end + 4);
    if (status < 200 && status !== 101) continue;
    const lines = fields.map((line) => line.split(/:[ \t]*([^]*)/).slice(0, 2) as [string, string]);
    const content = method === 'HEAD' ? '' : readContent(rest, { status, lines }, ended);
    return content === undefined ? undefined : { status, lines, content: content.slice(0, CONTENT) };
  }
}

function withoutHead(text: string, ended: boolean): NoAnswer | undefined {
  if (text === '' && ended) return { kind: 'closed', code: '' };
  const begins = 'HTTP/1.'.startsWith(text.slice(0, 7));
  return ended || !begins || text.length > HEAD ? { kind: 'garbage', code: '' } : undefined;
}

/** undefined: more is needed. What a broken connection cut off counts as far as it came. */
function readContent(text: string, head: Pick<Answered, 'status' | 'lines'>, ended: boolean): string | undefined {
  if (head.status === 101 || head.status === 204 || head.status === 304) return '';
  const enough = ended || text.length >= CONTENT;
  if (/chunked/i.test(fieldOf(head, 'transfer-encoding') ?? '')) {
    const { content, whole } = unchunk(text);
    return enough || whole ? content : undefined;
  }
  const length = fieldOf(head, 'content-length');
  if (length !== undefined && text.length >= Number(length)) return text.slice(0, Number(length));
  return enough ? text : undefined;
}

/** One walk over the chunks (RFC 9112 §7.1), as far as they came; `whole`: and over the trailer section behind them. */
function unchunk(text: string): { readonly content: string; readonly whole: boolean } {
  let [rest, content] = [text, ''];
  for (;;) {
    const [line, size] = /^([0-9a-f]{1,8})[^\r\n]*\r\n/i.exec(rest) ?? [];
    if (line === undefined || size === undefined) return { content, whole: false };
    const length = Number.parseInt(size, 16);
    // The end of the line with the last size begins the empty line where there are no trailers.
    if (length === 0) return { content, whole: rest.includes('\r\n\r\n', line.length - 2) };
    content += rest.slice(line.length, line.length + length);
    rest = rest.slice(line.length + length + 2);
  }
}

/** The first line of that name. @param name in lower case */
export function fieldOf({ lines }: Pick<Answered, 'lines'>, name: string): string | undefined {
  return lines.find(([field]) => field.toLowerCase() === name)?.[1];
}

export interface ReadChallenge {
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const SCHEME = new RegExp(`[ \\t,]*(${TOKEN})`, 'y');
const NEXT_SCHEME = new RegExp(`[ \\t]*,[ \\t,]*(${TOKEN})`, 'y');
const TOKEN68 = /[ ]+[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const PAIR = `(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))`;
const FIRST = new RegExp(` +${PAIR}`, 'y');
const NEXT = new RegExp(`[ \\t]*,[ \\t,]*${PAIR}`, 'y');
const END = /[ \t,]*$/y;

/** The challenges of all WWW-Authenticate lines (RFC 9110 §11.6.1). @returns undefined: they break the grammar */
export function readChallenges({ lines }: Answered): readonly ReadChallenge[] | undefined {
  const values = lines.filter(([name]) => name.toLowerCase() === 'www-authenticate').map(([, value]) => value.trim());
  const text = values.join(', ');
  const challenges: ReadChallenge[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  while (take(END) === null) {
    const scheme = take(challenges.length === 0 ? SCHEME : NEXT_SCHEME)?.[1];
    if (scheme === undefined || !/^(?:[ \t,]|$)/.test(text.slice(at))) return undefined;
    const parameters = new Map<string, string>();
    if (take(TOKEN68) === null) {
      for (let found = take(FIRST); found !== null; found = take(NEXT)) {
        parameters.set((found[1] ?? '').toLowerCase(), found[2] ?? found[3] ?? '');
      }
    }
    challenges.push({ scheme, parameters });
  }
  return challenges;
}

/** The error codes of all challenges (RFC 6750 §3.1, RFC 9449 §7.1), those that look like registered ones. */
export function errorsOf(answer: Answered): readonly string[] {
  const errors = (readChallenges(answer) ?? []).flatMap(({ parameters }) => parameters.get('error') ?? []);
  return [...new Set(errors)].filter((error) => /^[a-z_]{1,40}$/.test(error));
}

/** What came, in a few words of ours: nothing that a server wrote can steer a terminal or end up in a report. */
export function shownReply(reply: Reply): string {
  if ('kind' in reply) return reply.code === '' ? NO_ANSWER[reply.kind] : `${NO_ANSWER[reply.kind]} (${reply.code})`;
  // Holdfast's own answers name their reason.
  const reason = /"reason":"([a-z_]{1,40})"/.exec(reply.content)?.[1];
  return [String(reply.status), ...errorsOf(reply), ...(reason === undefined ? [] : [`(${reason})`])].join(' ');
}

const NO_ANSWER: Readonly<Record<NoAnswer['kind'], string>> = {
  closed: 'connection closed',
  late: 'no answer in time',
  garbage: 'not HTTP',
  unreachable: 'no connection',
  untrusted: 'its certificate is not trusted',
};
