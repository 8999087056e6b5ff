// Compilation of the signed assertion: its keys and its audience.

import { decodeText } from '../../http/content.ts';
import { readSigningKey, SIGNING_KEY_EXPECTED } from '../../jose/signing-key.ts';
import type { AssertionRules } from '../../policy/policy.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';
import type { Compilation } from './compilation.ts';
import { checkSettableField } from './field.ts';

type AssertionConfig = NonNullable<Config['defaults']['forward']['assertion']>;

/**
 * Problems: a field that cannot be set, keys that cannot sign, and no audience where the route has no upstream.
 * @param at of the block: that of the route, or that of the defaults
 * @param upstream name of the route's upstream; '': it has none
 */
export function compileAssertion(
  compilation: Compilation,
  at: ConfigPath,
  config: AssertionConfig,
  upstream: string,
): AssertionRules | undefined {
  checkSettableField(compilation, [...at, 'field'], config.field);
  const keys = config.key_files.flatMap((_, index) => {
    const place = [...at, 'key_files', index];
    const key = readSigningKey(decodeText(compilation.fileAt(place)?.content));
    if (key === undefined) compilation.problem(place, `cannot sign assertions, ${SIGNING_KEY_EXPECTED}`);
    return key === undefined ? [] : [key];
  });
  const audience = config.audience ?? upstream;
  if (audience === '') {
    compilation.problem(at, 'has no audience and its route no upstream to name, expected audience');
  }
  const { field, issuer, lifetime, claims } = config;
  return keys.length === 0 ? undefined : { field, keys, issuer, audience, lifetime, claims };
}
