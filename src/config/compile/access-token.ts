// Compilation of the marks of access tokens.

import { type AccessTokenMark, type MarkRule, namesAnotherKind } from '../../token/token-kind.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';
import type { Compilation } from './compilation.ts';

type MarkConfig = Config['issuers'][string]['access_token'];

/**
 * The mark of access tokens at `access_token`; undefined where there is none. Problems: a value that names ID tokens, refresh
 * tokens or the like, which never are access tokens. Warns of `any`, which takes every token that does not say what it is.
 */
export function compileAccessToken(
  compilation: Compilation,
  at: ConfigPath,
  config: MarkConfig,
): AccessTokenMark | undefined {
  if (config === 'any') {
    compilation.warning(
      at,
      'takes every token for an access token that does not say what it is: ID tokens for this audience too',
    );
    return 'any';
  }
  if (config === undefined) return undefined;
  return Object.entries(config).map(([claim, written]) => {
    const rule: MarkRule = { claim, anyOf: valuesOf(written) };
    if (namesAnotherKind(rule)) {
      const message = 'names tokens of another kind, which are refused whatever is configured';
      compilation.problem([...at, claim], `${message}, expected what marks access tokens, such as access or Bearer`);
    }
    return rule;
  });
}

function valuesOf(written: Exclude<MarkConfig, 'any' | undefined>[string]): MarkRule['anyOf'] {
  if (written === 'present') return undefined;
  return Array.isArray(written) ? written : [written];
}
