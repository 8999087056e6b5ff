// The framing of a message's body (RFC 9112 §6), by its field lines.

/** Octets, or that there is neither field, or the one transfer coding that is undone on the way, or another one. */
export type Framing = number | 'none' | 'chunked' | 'unsupported';

/** Octets of body that the field lines announce: 0 without one, undefined where they do not say how many (RFC 9112 §6.3). */
export function readBodyLength(rawHeaders: readonly string[]): number | undefined {
  const framing = readFraming(rawHeaders);
  if (framing === 'none') return 0;
  return typeof framing === 'number' ? framing : undefined;
}

/** Raw field lines, of which the parsers refuse doubtful ones before: repeated or odd lengths, a length beside a coding. */
export function readFraming(rawHeaders: readonly string[]): Framing {
  let framing: Framing = 'none';
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === 14 && name.toLowerCase() === 'content-length') framing = Number(rawHeaders[at + 1]);
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      const chunked: boolean = framing === 'none' && rawHeaders[at + 1]?.toLowerCase() === 'chunked';
      framing = chunked ? 'chunked' : 'unsupported';
    }
  }
  return framing;
}
