// Readers of challenges, written after the sources of client libraries.

import { customFetch, protectedResourceRequest, WWWAuthenticateChallengeError } from 'oauth4webapi';

/** An answer as a client library sees it. */
export interface Seen {
  readonly status: number;
  /** Values of the WWW-Authenticate field lines, in order. */
  readonly lines: readonly string[];
}

/** A library, and the error that it finds in an answer; undefined: it finds none. */
export interface Reader {
  readonly name: string;
  /** Of the scheme that the library speaks. */
  readonly scheme: 'DPoP' | 'Bearer';
  /** It looks for `use_dpop_nonce` and for nothing else. */
  readonly nonceOnly: boolean;
  readonly error: (seen: Seen) => string | undefined | Promise<string | undefined>;
}

const USE_NONCE = 'use_dpop_nonce';
const nonce = (found: boolean | undefined) => (found === true ? USE_NONCE : undefined);
const unquoted = (text: string | undefined) => text?.replace(/^"|"$/g, '');
/** Fetch joins lines (Fetch §2.2.2 “get”). */
const joined = ({ lines }: Seen) => lines.join(', ');

/** .NET hands out challenges one by one: scheme, and everything behind it as one text. */
function dotnet({ lines }: Seen): { scheme: string; parameter: string }[] {
  return lines.map((line) => {
    const [, scheme = '', parameter = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
    return { scheme, parameter };
  });
}

/** The parameters of one challenge at commas, white space taken off or left. */
function pairs(text: string, comma: string, trim: boolean): Map<string, string> {
  return new Map(
    text.split(comma).flatMap((piece) => {
      const at = piece.indexOf('=');
      const [name, value] = at < 0 ? [piece, ''] : [piece.slice(0, at), piece.slice(at + 1)];
      return [[trim ? name.trim() : name, unquoted(trim ? value.trim() : value) ?? ''] as const];
    }),
  );
}

export const READERS: readonly Reader[] = [
  {
    // The first DPoP challenge, at each comma, without trimming; a piece with exactly one "=" whose name is exactly "error".
    name: 'Duende.AccessTokenManagement (.NET)',
    scheme: 'DPoP',
    nonceOnly: false,
    error(seen) {
      const parameter = dotnet(seen).find(({ scheme }) => scheme === 'DPoP')?.parameter;
      const pieces = parameter?.split(',').map((piece) => piece.split('=').filter((part) => part !== ''));
      return unquoted(pieces?.find((parts) => parts.length === 2 && parts[0] === 'error')?.[1]);
    },
  },
  {
    // OkHttp gives the last line of a name; at ", ", and the scheme stays in front of the first name.
    name: 'Auth0.Android (OkHttp)',
    scheme: 'DPoP',
    nonceOnly: true,
    error: ({ status, lines }) =>
      nonce(status === 401 && pairs(lines.at(-1) ?? '', ', ', true).get('DPoP error') === USE_NONCE),
  },
  {
    // Exactly one challenge, of scheme DPoP, whose parameters begin with the error.
    name: 'a .NET client that takes exactly one challenge',
    scheme: 'DPoP',
    nonceOnly: true,
    error(seen) {
      const [only, ...others] = dotnet(seen);
      const begins = only?.parameter.toLowerCase().startsWith(`error="${USE_NONCE}"`);
      return nonce(seen.status === 401 && others.length === 0 && only?.scheme === 'DPoP' && begins);
    },
  },
  {
    name: 'atproto oauth-client (fetch)',
    scheme: 'DPoP',
    nonceOnly: true,
    error: (seen) =>
      nonce(seen.status === 401 && joined(seen).startsWith('DPoP') && joined(seen).includes(`error="${USE_NONCE}"`)),
  },
  {
    name: 'auth0-spa-js (fetch)',
    scheme: 'DPoP',
    nonceOnly: true,
    error: (seen) => nonce(seen.status === 401 && joined(seen).includes(USE_NONCE)),
  },
  {
    // All lines as one: the scheme is what stands before the first blank, of a repeated parameter the last one counts.
    name: 'okta-auth-js (fetch)',
    scheme: 'DPoP',
    nonceOnly: true,
    error(seen) {
      const all = joined(seen);
      const found = new Map<string, string>();
      const parameter = /([\w!#$%&'*+\-.^`|~]+)=(?:"([\w!#$%&'*+\-.,^`|~ /:]+)"|([\w!#$%&'*+\-.^`|~/:]+))/g;
      for (const [, name = '', quoted, bare] of all.slice(all.indexOf(' ') + 1).matchAll(parameter)) {
        found.set(name, quoted ?? bare ?? '');
      }
      return all.startsWith('DPoP ') ? nonce(found.get('error') === USE_NONCE) : undefined;
    },
  },
  ...(['DPoP', 'Bearer'] as const).map(
    (scheme): Reader => ({
      // The first line, if it begins with the scheme; the first text that looks like error="…".
      name: `Nimbus OAuth 2.0 SDK, ${scheme}TokenError (Java)`,
      scheme,
      nonceOnly: false,
      error({ lines: [line = ''] }) {
        const ours = line.toLowerCase().startsWith(scheme.toLowerCase());
        const [, quoted, bare] = /error=(?:"([\w-]+)"|([\w-]+))/.exec(ours ? line : '') ?? [];
        return quoted ?? bare;
      },
    }),
  ),
  {
    // The first line, if it is of scheme Bearer, at each comma with trimming.
    name: 'Spring Security, authorization failures of WebClient (Java)',
    scheme: 'Bearer',
    nonceOnly: false,
    error: ({ lines: [line = ''] }) =>
      line.toLowerCase().startsWith('bearer') ? pairs(line.slice('bearer'.length), ',', true).get('error') : undefined,
  },
  ...(['DPoP', 'Bearer'] as const).map(
    (scheme): Reader => ({
      name: `oauth4webapi itself, under openid-client too (${scheme})`,
      scheme,
      nonceOnly: false,
      error: (seen) => byOauth4webapi(seen, scheme.toLowerCase()),
    }),
  ),
  ...(['DPoP', 'Bearer'] as const).map(
    (scheme): Reader => ({
      name: `the grammar of RFC 9110 §11.6.1 (${scheme})`,
      scheme,
      nonceOnly: false,
      error: (seen) => byGrammar(seen, scheme.toLowerCase()),
    }),
  ),
];

/** A resource request whose answer is this one. */
async function byOauth4webapi({ status, lines }: Seen, wanted: string): Promise<string | undefined> {
  const headers = lines.map((line): [string, string] => ['WWW-Authenticate', line]);
  const url = new URL('https://api.example.com/orders');
  const answering = { [customFetch]: async () => new Response('', { status, headers }) };
  try {
    await protectedResourceRequest('token', 'GET', url, undefined, undefined, answering);
  } catch (error) {
    if (!(error instanceof WWWAuthenticateChallengeError)) throw error;
    return error.cause.find(({ scheme }) => scheme === wanted)?.parameters.error;
  }
  return undefined;
}

/** RFC 9110 §11.6.1 over all lines: names without "=" behind them are schemes. */
function byGrammar(seen: Seen, wanted: string): string | undefined {
  let scheme = '';
  for (const [, name = '', value] of joined(seen).matchAll(/([\w!#$%&'*+\-.^`|~]+)(?:="((?:[^"\\]|\\.)*)")?/g)) {
    if (value === undefined) scheme = name.toLowerCase();
    else if (scheme === wanted && name.toLowerCase() === 'error') return value;
  }
  return undefined;
}
