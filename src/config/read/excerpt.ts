// Excerpts: the line of a configuration file at which something is wrong, fit to be shown.

import type { Excerpt } from '../problem.ts';
import { withoutFillers } from '../content.ts';
import { withoutUserinfo } from '../userinfo.ts';

/** Keys under which a secret stands where a file was meant; `client_secret_file` and `access_token` are none of them. */
const SECRET =
  /((?<![\w-])(?!access_token\b)(?:[\w-]*(?:secret|password|passwd|passphrase|credential)|[\w-]+[-_](?:token|key))s?["']?\s*:\s+)("[^"]*"?|'[^']*'?|[^\s,}\]#[{][^,}\]]*)/gi;

/**
 * The line around an offset, and the column of that offset in it. Left out are user information of URLs, values of keys that
 * sound like secrets, and `hidden`: the value of a key that should not be there may be one too.
 * @param text with contents filled (content.ts)
 * @param hidden offsets of text that is not shown
 */
export function excerptAt(text: string, offset: number, hidden?: readonly [from: number, to: number]): Excerpt {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const next = text.indexOf('\n', offset);
  const end = next === -1 ? text.length : next;
  const [from, to] = hidden === undefined || hidden[0] >= end ? [end, end] : [hidden[0], Math.min(hidden[1], end)];
  const shown = from === end ? text.slice(start, end) : `${text.slice(start, from)}…${text.slice(to, end)}`;
  return { line: plain(shown), column: plain(text.slice(start, offset)).length + 1 };
}

function plain(text: string): string {
  const clean = withoutUserinfo(text.replace(/\r$/, '').replaceAll('\t', ' '));
  return withoutFillers(clean).replaceAll(SECRET, '$1…');
}
