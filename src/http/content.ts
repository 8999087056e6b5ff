// Text of received content: codings undone within a size, byte order mark dropped.

import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, type InputType, type ZlibOptions } from 'node:zlib';

type Undo = (content: InputType, options: ZlibOptions) => Promise<Buffer>;

/** RFC 9110 §8.4.1; `x-gzip` is gzip. */
const CODINGS: ReadonlyMap<string, Undo> = new Map<string, Undo>([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
]);

/**
 * Undoes the coding of received content.
 * @param coding the Content-Encoding field; empty or `identity`: none
 * @param size bytes that the result may have
 * @returns undefined: a coding that is not known (two of them too)
 * @throws the error of zlib for content that is broken or larger than `size`
 */
export async function undoCoding(content: Uint8Array, coding: string, size: number): Promise<Uint8Array | undefined> {
  const name = coding.trim().toLowerCase();
  if (name === '' || name === 'identity') return content;
  return CODINGS.get(name)?.(content, { maxOutputLength: size });
}

/** UTF-8 text without a byte order mark, which editors put in front of files and some servers in front of JSON. */
export function decodeText(bytes: Uint8Array = new Uint8Array()): string {
  return new TextDecoder().decode(bytes);
}
