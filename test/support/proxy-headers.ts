// PROXY headers for tests, built from proxy-protocol.txt alone.

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

export interface BlockWishes {
  /** Version and command; the default is PROXY of version 2. */
  readonly command?: number;
  /** Family and transport; the default is TCP over IPv4. */
  readonly kind?: number;
  readonly addresses?: Buffer;
  readonly vectors?: readonly Buffer[];
  /** What the length field says, whatever follows. */
  readonly length?: number;
}

/** A header of version 2, from 192.0.2.7:40000 to 198.51.100.1:443 unless wished otherwise. */
export function block(wishes: BlockWishes = {}): Buffer {
  const { command = 0x21, kind = 0x11, addresses = ipv4(), vectors = [] } = wishes;
  const rest = Buffer.concat([addresses, ...vectors]);
  const length = wishes.length ?? rest.length;
  return Buffer.concat([SIGNATURE, Buffer.from([command, kind, length >> 8, length & 0xff]), rest]);
}

export function ipv4(source = '192.0.2.7', destination = '198.51.100.1', from = 40_000, to = 443): Buffer {
  return Buffer.concat([
    Buffer.from(source.split('.').map(Number)),
    Buffer.from(destination.split('.').map(Number)),
    ports(from, to),
  ]);
}

/** @param source 32 hex digits */
export function ipv6(source: string, destination: string, from = 40_000, to = 443): Buffer {
  return Buffer.concat([Buffer.from(source, 'hex'), Buffer.from(destination, 'hex'), ports(from, to)]);
}

function ports(from: number, to: number): Buffer {
  return Buffer.from([from >> 8, from & 0xff, to >> 8, to & 0xff]);
}

/** One type-length-value vector (§2.2). */
export function vector(type: number, value: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([type, bytes.length >> 8, bytes.length & 0xff]), bytes]);
}
