// The field lines of the upstream's answer as the client gets them.

import type { Field } from '../../http/field.ts';
import { type Quota, quotaFields } from '../../rate/quota.ts';
import { withDefault } from '../intake/correlation.ts';
import { applyEdits } from './edits.ts';
import { type FieldRules, joinLines, requestAction, withoutNamed } from './fields.ts';

/** What we add to answers of upstreams. */
export interface OwnAnswerFields {
  /** Names and values in turn: CORS, without `Vary`, where the route has it, and the request id. */
  readonly fields: readonly string[];
  /** The interaction id. */
  readonly unlessThere?: Field | undefined;
}

/**
 * Raw field lines of an answer → names and values in turn, for `writeHead` (C7.1 to C7.5). Hop-by-hop fields, Client-Cert and
 * Client-Cert-Chain (RFC 9440 §2.2) are removed; a `Vary` that names a field which we add, change or remove becomes `*`; `Via` is
 * appended to, with the version that the upstream speaks; at most one `DPoP-Nonce`, and the upstream's only on routes where it gets
 * the credentials as received. Edits of the route come before what we add. Node adds `Date` where there is none.
 * Does not check values: `writeHead` refuses those that are none.
 * @param freshNonce value of our own DPoP-Nonce, which also makes the answer `no-store`
 * @param own our fields; without them the upstream's request id is removed all the same
 * @param quota what the route's rate limit leaves; the upstream's fields for that are removed where the route has a limit
 */
export function answerFields(
  rawHeaders: readonly string[],
  rules: FieldRules,
  own: OwnAnswerFields,
  { freshNonce, quota }: { readonly freshNonce?: string | undefined; readonly quota?: Quota | undefined } = {},
): string[] {
  const passed: string[] = [];
  const kept = { connection: '', via: '', vary: '' };
  let nonce = freshNonce;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    const lower = name.toLowerCase();
    const action = rules.answer.get(lower);
    if (action === undefined) {
      if (!(rules.cors && lower.startsWith('access-control-'))) passed.push(name, value);
    } else if (action === 'cache-control') {
      if (freshNonce === undefined) passed.push(name, value);
    } else if (action === 'dpop-nonce') {
      nonce ??= value;
    } else if (action !== 'drop') kept[action] = joinLines(kept[action], value);
  }
  const named = withoutNamed(passed, kept.connection);
  const fields =
    rules.answerEdits === undefined
      ? named
      : applyEdits(named, rules.answerEdits, freshNonce === undefined ? undefined : 'cache-control');
  fields.push('Via', joinLines(kept.via, `${rules.upstreamVersion} ${rules.pseudonym}`));
  if (nonce !== undefined) fields.push('DPoP-Nonce', nonce);
  if (freshNonce !== undefined) fields.push('Cache-Control', 'no-store');
  const vary = mergeVary(rules, kept.vary);
  if (vary !== '') fields.push('Vary', vary);
  fields.push(...own.fields);
  if (quota !== undefined) fields.push(...quotaFields(quota).flat());
  return withDefault(fields, own.unlessThere);
}

/** RFC 9110 §12.5.5. A cache in front holds fields of the client's request against `Vary`, the upstream saw others. */
function mergeVary(rules: FieldRules, vary: string): string {
  if (vary === '') return rules.cors ? 'Origin' : '';
  const names = vary.split(',').map((name) => name.trim());
  if (
    names.includes('*') ||
    names.some((name) => requestAction(rules, name) !== 'pass' || rules.requestEdits?.changes(name) === true)
  )
    return '*';
  return rules.cors && !names.some((name) => name.toLowerCase() === 'origin') ? joinLines(vary, 'Origin') : vary;
}
