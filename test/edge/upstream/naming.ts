// A resolver of names for upstreams.

import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** A resolver that knows what it is told. */
export function resolver(names: Record<string, readonly string[]>) {
  const state = { names, asked: 0 };
  const lookup: LookupFunction = (name, _options, callback) => {
    state.asked += 1;
    const found: LookupAddress[] = (state.names[name] ?? []).map((address) => ({ address, family: 4 }));
    if (found.length === 0) callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
    else setImmediate(() => callback(null, found));
  };
  return { state, lookup };
}
