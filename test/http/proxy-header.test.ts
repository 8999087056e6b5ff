// PROXY headers byte by byte: what each version may say, and what it may not.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type ProxyHeader, readProxyHeader } from '../../src/http/proxy-header.ts';
import { block, ipv4, ipv6, vector } from '../support/proxy-headers.ts';

const read = (text: string) => readProxyHeader(Buffer.from(text, 'latin1'));
const ends = (remoteAddress: string, remotePort: number, localAddress: string, localPort: number) => ({
  remoteAddress,
  remotePort,
  localAddress,
  localPort,
});
const ENDS = ends('192.0.2.7', 40_000, '198.51.100.1', 443);
const LINE = 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n';

function header(result: ReturnType<typeof readProxyHeader>): ProxyHeader {
  return typeof result === 'string' ? assert.fail(result) : result;
}

describe('version 1 (§2.1)', () => {
  test('says both ends; what follows the line is not its', () => {
    assert.deepEqual(read(LINE), { length: LINE.length, ends: ENDS });
    assert.deepEqual(read(`${LINE}GET / HTTP/1.1\r\n`), { length: LINE.length, ends: ENDS });
    const six = read('PROXY TCP6 2001:DB8:0:0::7 ::1 65535 0\r\n');
    assert.deepEqual(header(six).ends, ends('2001:db8::7', 65_535, '::1', 0));
  });

  test('an IPv6 address has one spelling here, whatever the sender writes', () => {
    for (const spelling of ['2001:db8::7', '2001:0DB8:0000:0000:0000:0000:0000:0007', '2001:db8:0:0:0:0:0.0.0.7']) {
      assert.equal(header(read(`PROXY TCP6 ${spelling} ::1 1 2\r\n`)).ends?.remoteAddress, '2001:db8::7');
    }
    assert.equal(header(read('PROXY TCP6 ::ffff:c000:207 ::1 1 2\r\n')).ends?.remoteAddress, '::ffff:192.0.2.7');
  });

  test('UNKNOWN is nobody, whatever follows it up to the end of the line', () => {
    const texts = ['', ' ', ' ff:f::f ff:f::f 65535 65535', ' 192.0.2.7 192.0.2.1 1 2', ' \0\xff'];
    for (const text of texts) {
      const line = `PROXY UNKNOWN${text}\r\n`;
      assert.deepEqual(read(`${line}x`), { length: line.length, ends: undefined });
    }
  });

  test('107 bytes are the most: with the line end it is a line, without it is refused', () => {
    const longest = `PROXY UNKNOWN ${'f'.repeat(91)}\r\n`;
    assert.equal(longest.length, 107);
    assert.equal(header(read(longest)).length, 107);
    assert.equal(read(longest.slice(0, 106)), 'incomplete');
    assert.equal(read(`PROXY UNKNOWN ${'f'.repeat(92)}\r\n`), 'malformed');
    assert.equal(read(`PROXY UNKNOWN ${'f'.repeat(93)}`), 'malformed');
  });

  const REFUSED: Readonly<Record<string, string>> = {
    'another protocol': 'PROXY UDP4 192.0.2.7 198.51.100.1 40000 443',
    'lower case': 'PROXY tcp4 192.0.2.7 198.51.100.1 40000 443',
    'UNKNOWN with something glued on': 'PROXY UNKNOWNX',
    'two spaces': 'PROXY TCP4  192.0.2.7 198.51.100.1 40000 443',
    'a tab': 'PROXY TCP4\t192.0.2.7 198.51.100.1 40000 443',
    'a space at the end': 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 ',
    'a member too few': 'PROXY TCP4 192.0.2.7 198.51.100.1 40000',
    'a zero in front of a byte': 'PROXY TCP4 192.0.2.07 198.51.100.1 40000 443',
    'a byte too many': 'PROXY TCP4 192.0.2.7.1 198.51.100.1 40000 443',
    'a byte too large': 'PROXY TCP4 192.0.2.256 198.51.100.1 40000 443',
    'a number for an address': 'PROXY TCP4 3221225991 198.51.100.1 40000 443',
    'a name for an address': 'PROXY TCP4 localhost 198.51.100.1 40000 443',
    'a NUL behind the address': 'PROXY TCP4 192.0.2.7\0 198.51.100.1 40000 443',
    'the other family': 'PROXY TCP4 2001:db8::7 198.51.100.1 40000 443',
    'the other family in the destination': 'PROXY TCP6 2001:db8::7 198.51.100.1 40000 443',
    brackets: 'PROXY TCP6 [2001:db8::7] ::1 40000 443',
    'a zone': 'PROXY TCP6 fe80::7%lo ::1 40000 443',
    'two double colons': 'PROXY TCP6 2001::db8::7 ::1 40000 443',
    'a port beyond 65535': 'PROXY TCP4 192.0.2.7 198.51.100.1 65536 443',
    'a huge port': 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 9999999999999999999999',
    'a zero in front of a port': 'PROXY TCP4 192.0.2.7 198.51.100.1 040000 443',
    'a sign': 'PROXY TCP4 192.0.2.7 198.51.100.1 +40000 443',
    'a hexadecimal port': 'PROXY TCP4 192.0.2.7 198.51.100.1 0x50 443',
  };
  for (const [what, line] of Object.entries(REFUSED)) {
    test(`${what} is refused`, () => assert.equal(read(`${line}\r\n`), 'malformed'));
  }

  test('neither CR nor LF alone ends the line, even with CRLF to come', () => {
    const line = LINE.slice(0, -2);
    assert.equal(read(`${line}\n`), 'malformed');
    assert.equal(read(`${line}\rGET / HTTP/1.1\r\n`), 'malformed');
    assert.equal(read('PROXY UNKNOWN \n\r\n'), 'malformed');
    assert.equal(read(`${line}\r`), 'incomplete');
  });
});

describe('version 2 (§2.2)', () => {
  test('says both ends, of IPv4 and of IPv6', () => {
    assert.deepEqual(readProxyHeader(block()), { length: 28, ends: ENDS });
    const addresses = ipv6('20010db8000000000000000000000007', '00000000000000000000000000000001');
    const result = header(readProxyHeader(Buffer.concat([block({ kind: 0x21, addresses }), Buffer.from('x')])));
    assert.deepEqual(result, { length: 52, ends: ends('2001:db8::7', 40_000, '::1', 443) });
  });

  test('LOCAL is nobody, and everything it brings is skipped unread', () => {
    for (const [kind, addresses] of [
      [0x00, ''],
      [0x11, ipv4()],
      [0x11, 'odd'],
      [0x21, ''],
      [0x00, '\x20\xff\xffx'],
    ] as const) {
      const bytes = block({ command: 0x20, kind, addresses: Buffer.from(addresses) });
      assert.deepEqual(readProxyHeader(bytes), { length: bytes.length, ends: undefined });
    }
  });

  test('PROXY for what is not TCP over IP is nobody: unspecified, UDP, unix sockets', () => {
    const unix = Buffer.alloc(216, 'a');
    const six = Buffer.alloc(36);
    for (const [kind, addresses] of [
      [0x00, Buffer.alloc(0)],
      [0x00, Buffer.from('anything')],
      [0x01, Buffer.alloc(12)],
      [0x10, ipv4()],
      [0x12, ipv4()],
      [0x20, six],
      [0x22, six],
      [0x31, unix],
      [0x32, unix],
    ] as const) {
      const bytes = block({ kind, addresses });
      assert.deepEqual(readProxyHeader(bytes), { length: bytes.length, ends: undefined }, kind.toString(16));
    }
  });

  test('unassigned versions, commands, families and transports are refused, before their length is waited for', () => {
    for (const command of [0x00, 0x01, 0x11, 0x22, 0x2f, 0x31, 0xff]) {
      assert.equal(readProxyHeader(block({ command }).subarray(0, 13)), 'malformed', `command ${command}`);
    }
    for (const kind of [0x13, 0x1f, 0x23, 0x41, 0xf1, 0xff]) {
      assert.equal(readProxyHeader(block({ kind }).subarray(0, 14)), 'malformed', `kind ${kind}`);
    }
  });

  test('a length too short for its addresses is refused', () => {
    const sizes = { 17: 12, 18: 12, 33: 36, 49: 216 };
    for (const [kind, size] of Object.entries(sizes)) {
      const bytes = block({ kind: Number(kind), addresses: Buffer.alloc(size - 1) });
      assert.equal(readProxyHeader(bytes), 'malformed', kind);
    }
  });

  test('4096 bytes are the most; what says more is refused at once, and not waited for', () => {
    const most = block({ vectors: [vector(0x04, Buffer.alloc(4096 - 28 - 3))] });
    assert.equal(header(readProxyHeader(most)).length, 4096);
    assert.equal(readProxyHeader(block({ length: 4081 }).subarray(0, 16)), 'malformed');
    assert.equal(readProxyHeader(block({ command: 0x20, length: 65_535 })), 'malformed');
  });

  test('vectors are skipped, client names among them; their framing is checked', () => {
    const ssl = Buffer.concat([Buffer.from([7, 0, 0, 0, 0]), vector(0x22, 'admin.example.com')]);
    const vectors = [
      vector(0x01, 'h2'),
      vector(0x02, 'api.example.com'),
      vector(0x20, ssl),
      vector(0xea, '\x01vpce-1'),
      vector(0x04),
    ];
    assert.deepEqual(header(readProxyHeader(block({ vectors }))).ends, ENDS);
    for (const broken of ['\x04', '\x04\0', '\x04\0\x01', '\x04\xff\xff', '\x04\0\0\x04']) {
      assert.equal(readProxyHeader(block({ vectors: [Buffer.from(broken, 'latin1')] })), 'malformed');
    }
  });
});

describe('CRC32C (§2.2.3)', () => {
  // By another program, bit by bit from the polynomial 1EDC6F41, which gives E3069283 for the digits 1 to 9.
  const CHECKSUM = '151e0668';
  const checked = (crc: string) => block({ vectors: [vector(0x04, 'pad'), vector(0x03, Buffer.from(crc, 'hex'))] });

  test('a checksum that is right passes, and any changed bit of it or of what it covers is refused', () => {
    const good = checked(CHECKSUM);
    assert.deepEqual(header(readProxyHeader(good)).ends, ENDS);
    const type = good.length - 7;
    for (let bit = 16 * 8; bit < good.length * 8; bit += 1) {
      if (bit >> 3 === type) continue; // a vector of another type is no checksum
      const bad = Buffer.from(good);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(readProxyHeader(bad), 'malformed', `bit ${bit}`);
    }
  });

  test('it is four bytes, and there once', () => {
    for (const vectors of [[vector(0x03, 'abc')], [vector(0x03, 'abcde')], [vector(0x03)]]) {
      assert.equal(readProxyHeader(block({ vectors })), 'malformed');
    }
    const twice = [vector(0x03, Buffer.from(CHECKSUM, 'hex')), vector(0x03, Buffer.from(CHECKSUM, 'hex'))];
    assert.equal(readProxyHeader(block({ vectors: twice })), 'malformed');
  });
});

describe('neither version', () => {
  test('is refused at the first byte that is wrong', () => {
    for (const text of [
      'G',
      'PROX ',
      'proxy ',
      'PROXYTCP4',
      ' PROXY',
      '\x16\x03\x01',
      '\r\n\r\n\0\r\nQUIX',
      '\0',
      'PUT / HTTP/1.1',
    ]) {
      assert.equal(read(text), 'malformed', JSON.stringify(text));
    }
  });

  test('of a good header every beginning is incomplete, and the header with anything behind it is the same header', () => {
    const headers = [
      Buffer.from(LINE),
      Buffer.from('PROXY UNKNOWN\r\n'),
      block(),
      block({ command: 0x20, kind: 0, addresses: Buffer.alloc(0) }),
      block({ kind: 0x31, addresses: Buffer.alloc(216), vectors: [vector(0x04, 'pad')] }),
    ];
    for (const bytes of headers) {
      for (let length = 0; length < bytes.length; length += 1) {
        assert.equal(readProxyHeader(bytes.subarray(0, length)), 'incomplete', bytes.toString('latin1', 0, length));
      }
      assert.equal(header(readProxyHeader(Buffer.concat([bytes, bytes]))).length, bytes.length);
    }
  });

  const START = fc.constantFrom(
    Buffer.alloc(0),
    Buffer.from('PROXY '),
    Buffer.from('PROXY TCP4 '),
    block().subarray(0, 13),
    block().subarray(0, 16),
  );

  test('whatever comes: never an exception, never more than 4096 bytes waited for, and one verdict however it is cut', () => {
    fc.assert(
      fc.property(START, fc.uint8Array({ maxLength: 300 }), (start, random) => {
        const bytes = Buffer.concat([start, random]);
        const verdict = readProxyHeader(bytes);
        const padded = readProxyHeader(Buffer.concat([bytes, Buffer.alloc(4096)]));
        assert.notEqual(padded, 'incomplete');
        if (verdict !== 'incomplete') assert.deepEqual(padded, verdict);
        for (let length = 0; length < bytes.length; length += 1) {
          const early = readProxyHeader(bytes.subarray(0, length));
          if (early !== 'incomplete') assert.deepEqual(early, verdict);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('every pair of ends survives being written and read, in both versions', () => {
    const port = fc.integer({ min: 0, max: 65_535 });
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), port, port, (source, destination, from, to) => {
        const expected = ends(source, from, destination, to);
        assert.deepEqual(
          header(readProxyHeader(block({ addresses: ipv4(source, destination, from, to) }))).ends,
          expected,
        );
        assert.deepEqual(header(read(`PROXY TCP4 ${source} ${destination} ${from} ${to}\r\n`)).ends, expected);
      }),
    );
    const hex = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'));
    fc.assert(
      fc.property(hex, hex, port, port, (source, destination, from, to) => {
        const colons = (digits: string) => digits.replaceAll(/.{4}(?=.)/g, '$&:');
        const line = header(read(`PROXY TCP6 ${colons(source)} ${colons(destination)} ${from} ${to}\r\n`)).ends;
        const addresses = ipv6(source, destination, from, to);
        assert.deepEqual(header(readProxyHeader(block({ kind: 0x21, addresses }))).ends, line);
      }),
    );
  });
});
