// A command line of curl as a request: the words of a shell, and the options that matter.

import { readFileSync } from 'node:fs';
import { type GivenRequest, readUrl, wrong } from './given.ts';

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0' };
const WORD =
  /'([^']*)'|\$'((?:[^'\\]|\\[^])*)'|"((?:[^"\\]|\\[^])*)"|\\(?:\r?\n|([^]))|([^\s'"\\$`|&;<>()]+)|([$`|&;<>()'"\\])/y;

/**
 * The words of a command for a POSIX shell, or for bash ($'…'): quotes and backslashes undone. Nothing is expanded or run.
 * @throws UsageError for what only a shell can do
 */
export function shellWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (WORD.lastIndex = 0; WORD.lastIndex < text.length; ) {
    const space = /\s+/y;
    space.lastIndex = WORD.lastIndex;
    if (space.test(text)) {
      WORD.lastIndex = space.lastIndex;
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    const [whole = '', single, dollar, double, escaped, plain, foreign] = WORD.exec(text) ?? [];
    if (whole === '' || foreign !== undefined) {
      throw wrong(
        `--curl: ${foreign ?? 'this'} means something to a shell, and none is run here: quote it, or take it out`,
      );
    }
    if (double !== undefined && /(?<!\\)(?:\\\\)*[$`]/.test(double)) {
      throw wrong('--curl: $ or ` in double quotes is expanded by a shell, and none is run here: write its value');
    }
    const isContinuation = whole.startsWith('\\') && escaped === undefined;
    if (isContinuation) continue;
    const part =
      single ??
      dollar?.replace(/\\([^])/g, (_, one: string) => ESCAPES[one] ?? one) ??
      double?.replace(/\\(["\\$`\n])/g, '$1') ??
      escaped ??
      plain ??
      '';
    word = (word ?? '') + part;
  }
  return word === undefined ? words : [...words, word];
}

/** What an option does; `value`: it has one. Options without effect on the request are known, so that they do not stop anybody. */
const OPTIONS: Readonly<Record<string, { readonly does: string; readonly value?: true }>> = {
  ...valued('method', '-X', '--request'),
  ...valued('field', '-H', '--header'),
  ...valued('body', '-d', '--data', '--data-raw', '--data-binary', '--data-ascii', '--data-urlencode', '--json'),
  ...valued('form', '-F', '--form', '--form-string'),
  ...valued('url', '--url'),
  ...valued('user', '-u', '--user'),
  ...valued('bearer', '--oauth2-bearer'),
  ...valued('agent', '-A', '--user-agent'),
  ...valued('referer', '-e', '--referer'),
  ...valued('cookie', '-b', '--cookie'),
  ...valued('cert', '-E', '--cert'),
  ...valued('nothing', '--key', '--cacert', '--capath', '--pass', '--cert-type', '--key-type', '-o', '--output', '-m'),
  ...valued('nothing', '--max-time', '--connect-timeout', '--resolve', '--connect-to', '-w', '--write-out', '--retry'),
  ...valued(
    'nothing',
    '-x',
    '--proxy',
    '--ciphers',
    '--tls-max',
    '--interface',
    '-D',
    '--dump-header',
    '-c',
    '--cookie-jar',
  ),
  ...flags('head', '-I', '--head'),
  ...flags('get', '-G', '--get'),
  ...flags('http1.0', '-0', '--http1.0'),
  ...flags('nothing', '-k', '--insecure', '-s', '--silent', '-S', '--show-error', '-v', '--verbose', '-i', '--include'),
  ...flags(
    'nothing',
    '-L',
    '--location',
    '-f',
    '--fail',
    '--fail-with-body',
    '--compressed',
    '--http1.1',
    '--http2',
    '-N',
  ),
  ...flags('nothing', '--no-buffer', '--tlsv1.2', '--tlsv1.3', '-4', '-6', '--ipv4', '--ipv6', '--path-as-is', '-#'),
  ...flags(
    'nothing',
    '--progress-bar',
    '-g',
    '--globoff',
    '-q',
    '--disable',
    '-O',
    '--http2-prior-knowledge',
    '--anyauth',
  ),
};

function valued(does: string, ...names: readonly string[]) {
  return Object.fromEntries(names.map((name) => [name, { does, value: true as const }]));
}

function flags(does: string, ...names: readonly string[]) {
  return Object.fromEntries(names.map((name) => [name, { does }]));
}

type Given = readonly (readonly [does: string, value: string])[];

/**
 * Reads a command line of curl. Options that change nothing about the request, such as -k and -s, are taken and ignored.
 * @returns the request, and the file of --cert, for `--cert-file` where that is not given
 * @throws UsageError which names an option that is not known
 */
export function readCurl(text: string): { readonly request: GivenRequest; readonly certificate: string | undefined } {
  const [program, ...words] = shellWords(text);
  if (!/(?:^|\/)curl(?:\.exe)?$/.test(program ?? '')) throw wrong('--curl must begin with curl');
  const given = readOptions(words);
  const all = (does: string) => given.filter(([one]) => one === does).map(([, value]) => value);
  const [url = '', second] = all('url');
  if (second !== undefined) throw wrong('--curl names two URLs, expected one');
  const { scheme, authority, target } = readUrl(/^[a-z]+:\/\//i.test(url) ? url : `http://${url}`, 'the URL of --curl');
  const bodies = all('body');
  const inQuery = all('get').length > 0;
  const sends = (bodies.length > 0 || all('form').length > 0) && !inQuery;
  const query = inQuery && bodies.length > 0 ? `${target.includes('?') ? '&' : '?'}${bodies.join('&')}` : '';
  const usual = all('head').length > 0 ? 'HEAD' : sends ? 'POST' : 'GET';
  const request = {
    method: all('method').at(-1) ?? usual,
    scheme,
    authority,
    target: `${target}${query}`,
    httpVersion: all('http1.0').length > 0 ? '1.0' : '1.1',
    rawHeaders: fieldsOf(all, authority, sends ? bodySize(bodies) : undefined),
    body: sends ? bodySize(bodies) : 0,
  };
  return { request, certificate: all('cert')[0]?.replace(/:[^:/\\]*$/, '') };
}

function readOptions(words: readonly string[]): Given {
  const given: (readonly [string, string])[] = [];
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith('-') || word === '-') {
      given.push(['url', word]);
      continue;
    }
    const name = word.startsWith('--') ? word : word.slice(0, 2);
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (option === undefined)
      throw wrong(`--curl: ${name} of curl is not known here, take it out if it does not change the request`);
    const attached = name === word ? undefined : word.slice(2);
    if (option.value === undefined) {
      given.push([option.does, '']);
      // -sSk is -s -S -k.
      if (attached !== undefined) rest.unshift(`-${attached}`);
      continue;
    }
    const value = attached ?? rest.shift();
    if (value === undefined) throw wrong(`--curl: ${name} of curl needs a value`);
    given.push([option.does, value]);
  }
  return given;
}

/** Octets; undefined: of a file, or not counted. */
function bodySize(bodies: readonly string[]): number | undefined {
  return bodies.length === 0 || bodies.some((one) => one.startsWith('@'))
    ? undefined
    : Buffer.byteLength(bodies.join('&'));
}

function fieldsOf(
  all: (does: string) => readonly string[],
  authority: string,
  body: number | undefined,
): readonly string[] {
  const own = all('field')
    .flatMap((line) => (line.startsWith('@') ? fieldFile(line.slice(1)) : [line]))
    .flatMap(readField);
  const has = (name: string) => own.some((one, index) => index % 2 === 0 && one.toLowerCase() === name);
  const added = (name: string, values: readonly string[]) =>
    has(name.toLowerCase()) ? [] : values.slice(-1).flatMap((value) => [name, value]);
  return [
    ...added('Host', [authority]),
    ...added(
      'Authorization',
      all('user').map((user) => `Basic ${Buffer.from(user).toString('base64')}`),
    ),
    ...added(
      'Authorization',
      all('bearer').map((token) => `Bearer ${token}`),
    ),
    ...added('User-Agent', all('agent')),
    ...added('Referer', all('referer')),
    ...added('Cookie', all('cookie')),
    ...added('Content-Length', body === undefined ? [] : [String(body)]),
    ...own,
  ];
}

/** `Name: value`; curl sends `Name;` as an empty field, and `Name:` not at all. */
function readField(line: string): readonly string[] {
  const [, name, value = ''] = /^([^:;]+)(?::\s*([^]*)|;)$/.exec(line) ?? [];
  if (name === undefined) throw wrong('--curl: a field of -H has no colon');
  return value === '' && !line.endsWith(';') ? [] : [name, value.trimEnd()];
}

function fieldFile(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8')
      .split(/\r?\n/)
      .filter((line) => line !== '');
  } catch (error) {
    throw wrong('--curl: a file of -H cannot be read', error);
  }
}
