// X-Forwarded-Client-Cert: one element out, and one complete element in.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { formatXfcc, readXfcc, readXfccElement } from '../../src/certificate/xfcc.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';

const ca = await makeCa();
const { der, cert } = await makeCertificate({
  ca,
  subject: 'CN=client',
  names: ['a.example.com', 'spiffe://example.com/a'],
});
const facts = readCertificate(der, [ca.der]);
assert.ok(facts);
const HASH = createHash('sha256').update(der).digest('hex');
const CERT = encodeURIComponent(`${cert.trim()}\n`);
const other = await makeCertificate({ ca });
const OTHER = encodeURIComponent(`${other.cert.trim()}\n`);

/** Envoy's rules, read independently: elements and pairs end at `,` and `;` outside quotes, and `\` takes the next character. */
function parse(value: string): [string, string][][] {
  const elements: [string, string][][] = [[]];
  let text = '';
  let quoted = false;
  const endPair = () => {
    const at = text.indexOf('=');
    elements.at(-1)!.push([text.slice(0, at), text.slice(at + 1)]);
    text = '';
  };
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!;
    if (quoted && character === '\\') text += value[++at];
    else if (character === '"') quoted = !quoted;
    else if (!quoted && character === ';') endPair();
    else if (!quoted && character === ',') {
      endPair();
      elements.push([]);
    } else text += character;
  }
  assert.equal(quoted, false);
  endPair();
  return elements;
}

describe('what is written', () => {
  test('under chain: hash, certificate, chain with the leaf first, and the names', () => {
    const chain = encodeURIComponent(`${cert.trim()}\n${ca.cert.trim()}\n`);
    const expected = `Hash=${HASH};Cert="${CERT}";Chain="${chain}";Subject="CN=client";URI=spiffe://example.com/a;DNS=a.example.com`;
    assert.equal(formatXfcc(facts, 'chain'), expected);
  });

  test('under possession: hash and certificate alone, because the names are the sender’s own words (RFC 8705 §6.2)', () => {
    assert.equal(formatXfcc(facts, 'possession'), `Hash=${HASH};Cert="${CERT}"`);
  });

  test('of a certificate whose hash alone is known: that hash', () => {
    assert.equal(formatXfcc({ ...facts, der: undefined, subject: '' }, 'possession'), `Hash=${HASH}`);
  });

  test('has no Chain where there is none, and an empty subject in quotes', () => {
    const bare = { ...facts, chain: [], subject: '', uris: [], dnsNames: [] };
    assert.equal(formatXfcc(bare, 'chain'), `Hash=${HASH};Cert="${CERT}";Subject=""`);
  });

  test('a name in a real certificate cannot add an element, a pair or a field line', async () => {
    const names = [
      'a;Cert="x"',
      'a,Hash=00',
      'a",By=x',
      'a\\',
      'a\\",Hash=00;URI="',
      'a\r\nX-Admin: 1',
      'x:a;b=c,d"e\\f',
    ];
    const evil = await makeCertificate({ subject: 'CN=a\\;Cert\\=x\\,Hash\\=00', names });
    const read = readCertificate(evil.der);
    assert.ok(read);
    const value = formatXfcc(read, 'chain');
    assert.match(value, /^[\x20-\x7e]+$/);
    const [element, ...more] = parse(value);
    assert.deepEqual(more, []);
    assert.deepEqual(element?.slice(2), [
      ['Subject', 'CN=a\\;Cert=x\\,Hash=00'],
      ['URI', 'x:a;b=c,d"e\\f'],
      ...names.slice(0, 5).map((name) => ['DNS', name]),
    ]);
    assert.deepEqual(readXfcc(value), evil.der);
  });

  test('any names come back as they were, from one element with the same certificate', () => {
    const name = fc.string({ unit: fc.constantFrom(',', ';', '=', '"', '\\', ' ', 'a', 'B', '/', ':', '%') });
    fc.assert(
      fc.property(name, fc.array(name), fc.array(name), (subject, uris, dnsNames) => {
        const value = formatXfcc({ ...facts, subject, uris, dnsNames }, 'chain');
        const [element, ...more] = parse(value);
        assert.deepEqual(more, []);
        assert.deepEqual(element?.slice(3), [
          ['Subject', subject],
          ...uris.map((uri) => ['URI', uri]),
          ...dnsNames.map((dns) => ['DNS', dns]),
        ]);
        assert.deepEqual(readXfcc(value), der);
      }),
    );
  });
});

describe('what is read', () => {
  for (const [what, value] of [
    [
      'as Envoy writes it',
      `By=spiffe://example.com/front;Hash=${HASH};Cert="${CERT}";Subject="CN=a\\,b";URI=https://a/?b=c;URI=x;DNS=`,
    ],
    ['the certificate alone', `Cert="${CERT}"`],
    ['with several proxies and names', `By=a;By=b;Cert="${CERT}";URI=a;URI=b;DNS=a;DNS=b`],
    ['without quotes', `Cert=${CERT}`],
    ['with a semicolon at its end, as Azure Container Apps has it', `Hash=${HASH};Cert="${CERT}";Chain="${CERT}";`],
    ['with keys in another case', `HASH=${HASH.toUpperCase()};cert="${CERT}"`],
    [
      'with a second certificate inside a quoted name',
      `Hash=${HASH};Cert="${CERT}";Subject="x\\";Cert=${OTHER},Cert=\\""`,
    ],
  ] as const) {
    test(`is the certificate: ${what}`, () => {
      assert.deepEqual(readXfcc(value), der);
    });
  }

  for (const [what, value] of [
    ['nothing', ''],
    ['no Cert', `Hash=${HASH};Subject="CN=client"`],
    ['a Hash of something else', `Hash=${HASH.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))};Cert="${CERT}"`],
    ['an empty Hash', `Hash=;Cert="${CERT}"`],
    ['two elements', `Cert="${CERT}",Cert="${OTHER}"`],
    ['two equal elements', `Cert="${CERT}",Cert="${CERT}"`],
    ['an empty second element', `Cert="${CERT}",`],
    ['an empty first element', `,Cert="${CERT}"`],
    ['two equal hashes', `Hash=${HASH};Hash=${HASH};Cert="${CERT}"`],
    ['two chains', `Cert="${CERT}";Chain="${CERT}";Chain="${CERT}"`],
    ['two subjects', `Cert="${CERT}";Subject="a";Subject="a"`],
    ['a Hash of a Cert that does not parse', `Hash=${HASH};Cert="junk"`],
    ['two certificates', `Cert="${CERT}";Cert="${OTHER}"`],
    ['a certificate in a bare name, as Envoy passes it on', `Hash=${HASH};Cert="${CERT}";URI=x;Cert=${OTHER}`],
    ['a hash in a bare name', `Hash=${HASH};URI=x;Hash=00;Cert="${CERT}"`],
    ['an element in a bare name', `Hash=${HASH};Cert="${CERT}";DNS=x,Cert=${OTHER}`],
    ['two PEM blocks in Cert', `Cert="${CERT}${OTHER}"`],
    ['an open quote', `Cert="${CERT}`],
    ['text after a quote', `Cert="${CERT}"x`],
    ['a quote inside a bare value', `URI=x"y;Cert="${CERT}"`],
    ['a trailing semicolon twice', `Cert="${CERT}";;`],
    ['a semicolon alone', ';'],
    ['a leading semicolon', `;Cert="${CERT}"`],
    ['an empty pair', `Cert="${CERT}";;Hash=${HASH}`],
    ['a key that Envoy does not have', `xHash=00;Cert="${CERT}"`],
    ['no pair', `Cert="${CERT}";Hash`],
    ['white space between pairs', `Hash=${HASH}; Cert="${CERT}"`],
    ['PEM that is not percent-encoded', `Cert="${cert.trim()}"`.replaceAll('\n', '')],
    ['base64 of the DER', `Cert="${der.toString('base64')}"`],
  ] as const) {
    test(`is refused: ${what}`, () => {
      assert.equal(readXfcc(value), undefined);
    });
  }

  test('at most 64 KiB are looked at', () => {
    const padded = (length: number) => `Cert="${CERT}";Subject="`.padEnd(length - 1, 'x') + '"';
    assert.deepEqual(readXfcc(padded(65_536)), der);
    assert.equal(readXfcc(padded(65_537)), undefined);
  });
});

describe('which element is the client', () => {
  const OTHER_HASH = createHash('sha256').update(other.der).digest('hex');
  const client = `Hash=${HASH};Cert="${CERT}";Subject="CN=client";URI=spiffe://example.com/a`;
  const gateway = `By=spiffe://cluster.local/ns/a/sa/b;Hash=${OTHER_HASH};Subject="";URI=spiffe://cluster.local/ns/edge/sa/gateway`;
  const both = `${client},${gateway}`;

  test('only: two are refused, one is read, with its certificate or its hash alone', () => {
    assert.equal(readXfccElement(both, 'only'), undefined);
    assert.deepEqual(readXfccElement(client, 'only'), { der });
    assert.deepEqual(readXfccElement(gateway, 'only'), { hash: OTHER_HASH });
  });

  test('a number: the first of exactly that many; fewer say that the client showed none, more are refused', () => {
    assert.deepEqual(readXfccElement(both, 2), { der });
    assert.deepEqual(readXfccElement(`${client};,${gateway};`, 2), { der });
    assert.equal(readXfccElement(gateway, 2), 'none', 'the gateway’s own certificate is not the client’s');
    assert.equal(readXfccElement(`${gateway},${both}`, 2), undefined, 'somebody wrote one before the first proxy');
    assert.deepEqual(readXfccElement(`${client},${gateway},${gateway}`, 3), { der });
  });

  test('a name that injects an element makes one too many', () => {
    const injected = `Hash=${OTHER_HASH};Cert="${OTHER}";URI=x,Hash=${HASH};Cert="${CERT}"`;
    assert.equal(readXfccElement(injected, 'only'), undefined);
    assert.equal(readXfccElement(`${injected},${gateway}`, 2), undefined);
  });

  test('last: the one that the peer added, whatever stands before', () => {
    assert.deepEqual(readXfccElement(`${gateway},${client}`, 'last'), { der });
    assert.deepEqual(readXfccElement(client, 'last'), { der });
    assert.deepEqual(readXfccElement(both, 'last'), { hash: OTHER_HASH });
  });

  test('every element has to be one, also those that do not count', () => {
    for (const wrong of ['', 'junk', 'Foo=1', 'Hash="', `${gateway};Hash=00`, ';']) {
      assert.equal(readXfccElement(`${client},${wrong}`, 2), undefined, wrong);
      assert.equal(readXfccElement(`${wrong},${client}`, 'last'), undefined, wrong);
    }
  });

  test('a hash alone is 64 hex digits, in any case', () => {
    assert.deepEqual(readXfccElement(`Hash=${HASH.toUpperCase()};URI=x`, 'only'), { hash: HASH });
    for (const wrong of ['', HASH.slice(1), `${HASH}0`, HASH.replace(/./, 'g'), `"${HASH}\\""`]) {
      assert.equal(readXfccElement(`Hash=${wrong};URI=x`, 'only'), undefined, wrong);
    }
    assert.equal(
      readXfccElement(`Hash=${HASH};Cert="junk"`, 'only'),
      undefined,
      'a Cert that does not parse is not passed over',
    );
    assert.equal(readXfccElement('By=a;URI=x', 'only'), undefined);
  });
});
