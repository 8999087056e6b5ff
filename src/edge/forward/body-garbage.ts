// Garbage collection for pieces of bodies, which keeps memory flat.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of bodies after which young objects are collected. */
const AFTER = 8 * 1024 * 1024;

// V8 hands its collector out to contexts that are made after this flag was set, and to this function alone.
setFlagsFromString('--expose-gc');
const collect = runInNewContext('globalThis.gc') as ((options: { readonly type: 'minor' }) => void) | undefined;

let passed = 0;

/**
 * Told of every piece of a body. A piece is a small object to V8, whose 64 KiB lie outside the heap and are freed with it: left to itself
 * V8 lets up to 64 MiB of them pile up in each thread. Small requests reach the limit rarely (decision 39).
 */
export function countPiece(bytes: number): void {
  passed += bytes;
  if (passed < AFTER) return;
  passed = 0;
  collect?.({ type: 'minor' });
}
