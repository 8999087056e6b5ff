// The methods that Holdfast knows: those of Node's parser.

import { METHODS } from 'node:http';

const KNOWN: ReadonlySet<string> = new Set(METHODS);

/** A request line with a token for a method (RFC 9112 §3, RFC 9110 §5.6.2). */
const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ ]+ HTTP\/1\.[01]\r?$/;

/** Whether a method is known; case matters (RFC 9110 §9.1). */
export function isKnownMethod(method: string): boolean {
  return KNOWN.has(method);
}

/** What the parser calls a method that it does not know, or knows from other protocols. */
const OF_METHODS = /^HPE_INVALID_(?:METHOD|VERSION|CONSTANT)$/;

/** What Node's parser says about bytes that it does not take. */
export type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer; readonly bytesParsed?: number };

/**
 * Whether the parser stopped at a request line that is whole and good but for its method, which it does not know. What else it stopped
 * at is malformed.
 */
export function hasUnknownMethod({ code = '', rawPacket: packet, bytesParsed = 0 }: ParserError): boolean {
  if (packet === undefined || !OF_METHODS.test(code)) return false;
  // It stops within the line, or right behind it.
  return [bytesParsed - 1, bytesParsed - 2].some((within) => {
    const line = lineAt(packet, Math.max(0, within));
    return REQUEST_LINE.test(line) && !KNOWN.has(line.slice(0, line.indexOf(' ')));
  });
}

/** The line that begins at or before a place, without its LF; empty where it does not end. */
function lineAt(packet: Buffer, within: number): string {
  const start = packet.lastIndexOf('\n', within) + 1;
  const end = packet.indexOf('\n', start);
  return end < 0 ? '' : packet.subarray(start, end).toString('latin1');
}
