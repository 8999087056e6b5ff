// Compilation of the request id: the name of its field.

import { type Compilation, unlessNone } from './compilation.ts';
import { checkSettableField } from './field.ts';

/** @returns undefined: no field has it. Problems: a field that cannot be set. */
export function compileRequestId(compilation: Compilation): string | undefined {
  const name = unlessNone(compilation.read.config.request_id);
  if (name !== undefined) checkSettableField(compilation, ['request_id'], name);
  return name;
}
