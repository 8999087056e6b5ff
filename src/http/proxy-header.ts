// The PROXY protocol header, versions 1 and 2: both ends of the client's connection.

import { spellAddress } from './address.ts';

/** The two ends of a connection; what is undefined nobody knows. */
export interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

export interface ProxyHeader {
  /** Bytes of the header; what follows them is the client's. */
  readonly length: number;
  /** In canonical form; undefined: nobody's, for the sender does not say, or speaks for itself. */
  readonly ends: Ends | undefined;
}

/** The longest line of version 1 (§2.1), CR and LF included. */
const LINE = 107;

/** The longest header of version 2 that is read: as nginx has it. Addresses take 52 bytes, known vectors a few hundred. */
const LONGEST = 4096;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const LINE_START = Buffer.from('PROXY ', 'latin1');

/**
 * Reads the header with which a connection begins; `bytes` is everything that came so far. `incomplete`: more is needed, and
 * at most 4096 bytes in all. `malformed` is said as soon as the first bytes are those of neither version.
 * Nobody's are: v1 UNKNOWN, v2 LOCAL, and of PROXY whatever is not TCP over IPv4 or IPv6 (§2.2 lets a receiver treat the rest so).
 * Of the vectors of v2 the framing is checked, and CRC32C where it is there (§2.2.3); all others are ignored, PP2_TYPE_SSL
 * and its names of client certificates among them: they are what the sender says, and no evidence. NOT checked: who sent it.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  if (startsAs(bytes, LINE_START)) return readLine(bytes);
  if (startsAs(bytes, SIGNATURE)) return readBlock(bytes);
  return 'malformed';
}

/** Whether the bytes begin with these, or may yet. */
function startsAs(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

const LINE_FORM =
  /^PROXY (?:(?<unknown>UNKNOWN)(?: .*)?|(?<form>TCP4|TCP6) (?<source>\S+) (?<destination>\S+) (?<from>\d+) (?<to>\d+))$/s;

/** §2.1. UNKNOWN may be followed by anything. */
function readLine(bytes: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  const line = bytes.toString('latin1', 0, LINE);
  const end = /[\r\n]/.exec(line)?.index;
  if (end === undefined || end === line.length - 1) {
    return (end !== undefined && line[end] === '\n') || bytes.length >= LINE ? 'malformed' : 'incomplete';
  }
  if (line.slice(end, end + 2) !== '\r\n') return 'malformed';
  const {
    unknown,
    form,
    source = '',
    destination = '',
    from = '',
    to = '',
  } = LINE_FORM.exec(line.slice(0, end))?.groups ?? {};
  const length = end + 2;
  if (unknown !== undefined) return { length, ends: undefined };
  if (form === undefined) return 'malformed';
  const family = form === 'TCP4' ? 'ipv4' : 'ipv6';
  const ends = spellEnds(family, [source, destination], [readPort(from), readPort(to)]);
  return ends === undefined ? 'malformed' : { length, ends };
}

/** Without zeros in front (§2.1). */
function readPort(digits: string): number {
  return /^(?:0|[1-9]\d{0,4})$/.test(digits) ? Number(digits) : Number.NaN;
}

/** @param addresses source and destination @param ports of both */
function spellEnds(
  family: 'ipv4' | 'ipv6',
  [source, destination]: readonly [string, string],
  [remotePort, localPort]: readonly [number, number],
): Ends | undefined {
  const [remoteAddress, localAddress] = [spellAddress(source, family), spellAddress(destination, family)];
  if (remoteAddress === undefined || localAddress === undefined || !(remotePort <= 65_535 && localPort <= 65_535))
    return undefined;
  return { remoteAddress, remotePort, localAddress, localPort };
}

const FIXED = 16;

/** Address family of v2 → bytes of both ends. UNSPEC has none that anybody could know. */
const SIZES: readonly (number | undefined)[] = [undefined, 12, 36, 216];

/** §2.2. */
function readBlock(bytes: Buffer): ProxyHeader | 'incomplete' | 'malformed' {
  const [command, kind] = [bytes[12] ?? 0x20, bytes[13] ?? 0];
  const [family, transport] = [kind >> 4, kind & 0x0f];
  if ((command !== 0x20 && command !== 0x21) || family > 3 || transport > 2) return 'malformed';
  if (bytes.length < FIXED) return 'incomplete';
  const length = FIXED + bytes.readUInt16BE(14);
  if (length > LONGEST) return 'malformed';
  const size = SIZES[family];
  // §2.2: of LOCAL everything is discarded, whatever it is.
  const discarded = command === 0x20 || size === undefined;
  if (!discarded && length < FIXED + size) return 'malformed';
  if (bytes.length < length) return 'incomplete';
  if (discarded) return { length, ends: undefined };
  const block = bytes.subarray(0, length);
  if (!areVectors(block, FIXED + size)) return 'malformed';
  return { length, ends: kind === 0x11 || kind === 0x21 ? readAddresses(block, family === 1 ? 4 : 16) : undefined };
}

function readAddresses(block: Buffer, size: number): Ends | undefined {
  const addressAt = (start: number) => formatAddress(block.subarray(start, start + size));
  const ports = FIXED + 2 * size;
  const family = size === 4 ? 'ipv4' : 'ipv6';
  return spellEnds(
    family,
    [addressAt(FIXED), addressAt(FIXED + size)],
    [block.readUInt16BE(ports), block.readUInt16BE(ports + 2)],
  );
}

function formatAddress(bytes: Buffer): string {
  return bytes.length === 4 ? bytes.join('.') : bytes.toString('hex').replaceAll(/.{4}(?=.)/g, '$&:');
}

const CRC32C = 0x03;

/** Type, length and value in turn, up to the very end; a checksum at most once, and right. */
function areVectors(block: Buffer, start: number): boolean {
  let checksum: number | undefined;
  for (let at = start; at < block.length; ) {
    if (at + 3 > block.length) return false;
    const [type, length] = [block[at], block.readUInt16BE(at + 1)];
    at += 3;
    if (type === CRC32C) {
      if (checksum !== undefined || length !== 4 || at + 4 > block.length) return false;
      checksum = at;
    }
    at += length;
    if (at > block.length) return false;
  }
  return checksum === undefined || block.readUInt32BE(checksum) === crc32cWithout(block, checksum);
}

/** CRC32C (RFC 4960 appendix B) with the four bytes of the checksum itself as zeros; node:zlib has the other polynomial only. */
function crc32cWithout(block: Buffer, checksum: number): number {
  let crc = 0xff_ff_ff_ff;
  for (const [at, byte] of block.entries()) {
    crc ^= at >= checksum && at < checksum + 4 ? 0 : byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82_f6_3b_78 : 0);
  }
  return ~crc >>> 0;
}
