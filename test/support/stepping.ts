// The replay table as generators, stopped before every access to shared memory.

import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import type { Fingerprint } from '../../src/memory/replay-table.ts';

type Answer = 'fresh' | 'replayed' | 'full';
/** A call of one thread; `next` is its next access to shared memory. Never calling it again is the thread's death. */
export type Call<T = Answer> = Generator<undefined, T, undefined>;

/** As ReplayTable, in steps. */
export interface SteppedTable {
  insert(key: Fingerprint, second: number, tick: number): Call;
  count(tick: number): Call<number>;
}

type Constructor = new (memory: SharedArrayBuffer, capacity: number) => SteppedTable;

const source = readFileSync(new URL('../../src/memory/replay-table.ts', import.meta.url), 'utf8');
const stepped = wrapCalls(stripTypeScriptTypes(source))
  .replace(/^ {2}(#?\w+\(.*\)\s*\{)$/gm, (line, head: string) => (head.startsWith('constructor') ? line : `  *${head}`))
  .replaceAll('Atomics.', '(yield, Atomics).')
  .replace(/\b(words|this\.#words)\[at\]/g, '(yield, $1[at])');
const module: { ReplayTable: Constructor } = await import(`data:text/javascript,${encodeURIComponent(stepped)}`);

export const SteppedReplayTable = module.ReplayTable;

/** `this.#name(…)` → `(yield* this.#name(…))`, also inside of one another. */
function wrapCalls(text: string): string {
  const call = /this\.#\w+\(/g;
  let result = '';
  let from = 0;
  for (let match = call.exec(text); match !== null; match = call.exec(text)) {
    let end = call.lastIndex;
    for (let depth = 1; depth > 0; end++) depth += text[end] === '(' ? 1 : text[end] === ')' ? -1 : 0;
    const inside = wrapCalls(text.slice(call.lastIndex, end - 1));
    result += `${text.slice(from, match.index)}(yield* ${match[0]}${inside}))`;
    from = end;
    call.lastIndex = end;
  }
  return result + text.slice(from);
}

/** Runs a call to its end. */
export function finish<T>(call: Call<T>): T {
  for (;;) {
    const { done, value } = call.next();
    if (done === true) return value;
  }
}

/** Lets a call take `steps` steps. @returns its answer, or undefined when it is not at its end */
export function advance(call: Call, steps: number): Answer | undefined {
  for (let step = 0; step < steps; step++) {
    const { done, value } = call.next();
    if (done === true) return value;
  }
  return undefined;
}
