// Bodies whose every byte both ends know, made from a name, compared by SHA-256.

import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';

const BLOCK = 65_536;

/** The body `name` of so many bytes, in blocks of 64 KiB. */
export function* content(name: string, bytes: number): Generator<Buffer> {
  const block = Buffer.alloc(BLOCK, `${name} `);
  for (let left = bytes; left > 0; left -= BLOCK) yield left < BLOCK ? block.subarray(0, left) : block;
}

export function digestOf(name: string, bytes: number): string {
  const hash = createHash('sha256');
  for (const block of content(name, bytes)) hash.update(block);
  return hash.digest('hex');
}

/** The answer to a small request, 99 bytes. */
export const SMALL = JSON.stringify({ id: 4711, state: 'shipped', note: 'x'.repeat(60) });

/** Settles when a stream can be written again, or never will be; leaves no listener on it. */
export function writable(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      stream.off('drain', end).off('close', end);
      resolve();
    };
    stream.on('drain', end).on('close', end);
    if (stream.destroyed) end();
  });
}
