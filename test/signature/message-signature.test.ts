// The checks of a message signature: what passes, and every edit that must not.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { type Reason, Rejection } from '../../src/rejection/rejection.ts';
import { type SignatureTerms, verifyMessageSignature } from '../../src/signature/message-signature.ts';
import { makeCertificate } from '../support/pki.ts';
import {
  factsOf,
  HOLDER,
  HOLDER_KEY,
  makeSent,
  makeSignatureTerms,
  NOW,
  type Sent,
  type SignedWishes,
} from '../support/signed-facts.ts';
import { contentDigest } from '../support/signing.ts';
import { makeKey } from '../support/tokens.ts';

type Edit = (sent: Sent) => Sent;
/** What is wished, how it is edited, and by which terms it is judged. */
type Row = readonly [wishes: SignedWishes, change?: Edit | undefined, over?: Partial<SignatureTerms>];

const THIEF = await makeKey();
const P521 = createPublicKey(KeyObject.from((await makeKey('ES512')).privateKey));
const certified = await makeCertificate();
const CERTIFICATE = readCertificate(certified.der);
assert.ok(CERTIFICATE !== undefined);
const BY_CERTIFICATE: Partial<SignatureTerms> = { proof: undefined, certificate: CERTIFICATE };
const WITH_CERTIFICATE: SignedWishes = { proof: false, by: createPrivateKey(certified.key) };

/** Changes the value of a field. */
const edit =
  (name: string, change: (value: string) => string): Edit =>
  (sent) => ({
    ...sent,
    fields: sent.fields.map(([one, value]) => [one, one === name ? change(value) : value] as const),
  });
const input = (change: (value: string) => string) => edit('Signature-Input', change);
const without =
  (name: string): Edit =>
  (sent) => ({ ...sent, fields: sent.fields.filter(([one]) => one !== name) });
const plus =
  (name: string, value: string): Edit =>
  (sent) => ({ ...sent, fields: [...sent.fields, [name, value]] });
const covering = (more: string) => input((value) => value.replace('"dpop"', `"dpop" ${more}`));

async function verify(wishes: SignedWishes = {}, change: Edit = (same) => same, over: Partial<SignatureTerms> = {}) {
  return verifyMessageSignature(factsOf(change(await makeSent(wishes))), makeSignatureTerms(over));
}

/** Declares one test for each row. */
function refused(reason: Reason, rows: Readonly<Record<string, Row>>): void {
  for (const [what, row] of Object.entries(rows)) {
    it(`${what}: ${reason}`, async () => {
      const result = await verify(...row);
      assert.ok(result instanceof Rejection, 'it passed');
      assert.equal(result.reason, reason);
    });
  }
}

const BODY: SignedWishes = {
  method: 'POST',
  bodyLength: 5,
  fields: [
    ['Content-Type', 'text/plain'],
    ['Content-Digest', contentDigest('hello')],
  ],
};
/** The same certificate, whose key is of a kind that nobody has registered. */
function withUnknownKey(der: Uint8Array): Uint8Array {
  const changed = Buffer.from(der);
  const ecPublicKey = Buffer.from('06072a8648ce3d0201', 'hex');
  changed[changed.indexOf(ecPublicKey) + ecPublicKey.length - 1] = 0x7f;
  return changed;
}
const ALWAYS = ['@method', '@target-uri', 'authorization', 'dpop'];
const digest = (value: string): SignedWishes => ({ ...BODY, fields: [['Content-Digest', value]] });
const tagged = (tag: string): Partial<SignatureTerms> => ({ rules: { ...makeSignatureTerms().rules, tag } });

describe('a request that was signed as a whole passes', () => {
  const GOOD: Readonly<Record<string, Row>> = {
    'without a body': [{}],
    'with a body': [BODY],
    'with a body whose length nobody knows': [{ ...BODY, bodyLength: undefined }],
    'with an empty body and its digest': [{ fields: [['Content-Digest', contentDigest('')]] }],
    'with digests, one of an unknown algorithm': [
      digest(`x=:AAAA:, ${contentDigest('hello')}, ${contentDigest('hello', 'sha-512')}`),
    ],
    'by a certificate, without a proof': [WITH_CERTIFICATE, undefined, BY_CERTIFICATE],
    'with keyid and alg of the key': [{ keyid: HOLDER.jkt, alg: 'ecdsa-p256-sha256' }],
    'with the thumbprint of the certificate as keyid': [
      { ...WITH_CERTIFICATE, keyid: CERTIFICATE.thumbprint },
      undefined,
      BY_CERTIFICATE,
    ],
    'over authority, path and query apart': [
      { covered: ['@authority', '@path', '@query', '@method', '@scheme', 'dpop', 'authorization'] },
    ],
    'over a query without characters': [{ target: '/?' }],
    'with a field that Connection takes away and nobody covered': [
      {},
      (sent) => plus('Connection', 'X-Hop, Idempotency-Key')(plus('Idempotency-Key', '1')(plus('X-Hop', '1')(sent))),
    ],
    'over an absent query': [
      { target: '/', covered: ['@authority', '@path', '@query', '@method', 'dpop', 'authorization'] },
    ],
    'over a field of two lines with blanks around': [
      {
        fields: [
          ['X-Note', 'a'],
          ['X-Note', ' b\t'],
          ['X-Empty', ''],
        ],
        more: ['x-note', 'x-empty'],
      },
    ],
    'with any tag where none is asked for': [{ tag: 'else' }],
    'with the tag that is asked for': [{ tag: 'orders' }, undefined, tagged('orders')],
    'next to a strange signature with another tag': [
      { tag: 'orders' },
      (sent) =>
        edit('Signature', (v) => `${v}, b=:AAAA:`)(input((v) => `${v}, b=("x";sf "x");tag="b", c="x", d;tag=1`)(sent)),
      tagged('orders'),
    ],
    'in two lines of each field': [
      { tag: 'orders' },
      (sent) => plus('Signature-Input', 'b=()')(plus('Signature', 'b=:AAAA:')(sent)),
      tagged('orders'),
    ],
    'with more blanks and another label': [
      {},
      (sent) =>
        edit('Signature', (v) => v.replace('sig=', 'else='))(
          input((v) => v.replace('sig=', 'else=').replaceAll('" ', '"  ').replaceAll(';', ';  '))(sent),
        ),
    ],
    'with parameters that nobody knows': [{}, (sent) => sent],
    'at the edges of its time': [{ created: NOW - 60.4 + 0.9 }],
    'with expires in the past but for the tolerance': [{ expires: Math.floor(NOW) - 14 }],
    'whatever its time, with a nonce of ours in the proof': [
      { created: NOW - 3600 },
      undefined,
      { proof: { ...makeSignatureTerms().proof!, nonce: 'shared' } },
    ],
  };
  for (const [what, row] of Object.entries(GOOD)) {
    it(what, async () => {
      const result = await verify(...row);
      assert.ok(!(result instanceof Rejection), result instanceof Rejection ? result.reason : '');
    });
  }

  for (const alg of ['ES256', 'ES384', 'EdDSA', 'PS256']) {
    it(`with a key of ${alg}, and with no other`, async () => {
      const key = await makeKey(alg);
      const by = KeyObject.from(key.privateKey);
      const proof = { key: createPublicKey(by), jkt: key.jkt, nonce: 'none' } as const;
      assert.ok(!((await verify({ by, keyid: key.jkt }, undefined, { proof })) instanceof Rejection));
      const other = await verify({ by }, undefined, {});
      assert.ok(other instanceof Rejection && other.reason === 'signature_invalid');
    });
  }

  it('and says which digests the body must have, and until when it must be remembered', async () => {
    const result = await verify(BODY);
    assert.ok(!(result instanceof Rejection));
    assert.deepEqual(
      result.digests?.map(({ algorithm }) => algorithm),
      ['sha256'],
    );
    assert.equal(result.rememberUntil, Math.floor(NOW) + 75);
    assert.match(result.id, /^signature:[\w-]{43}$/);
    const none = await verify();
    assert.ok(!(none instanceof Rejection));
    assert.equal(none.digests, undefined);
  });
});

describe('one that was changed or signed otherwise is refused', () => {
  refused('signature_missing', {
    'no signature': [{}, (sent) => without('Signature')(without('Signature-Input')(sent))],
    'no Signature': [{}, without('Signature')],
    'no Signature-Input': [{}, without('Signature-Input')],
    'an empty dictionary': [{}, input(() => '')],
    'no tag where one is asked for': [{}, undefined, tagged('orders')],
    'another tag': [{ tag: 'Orders' }, undefined, tagged('orders')],
  });
  refused('signature_repeated', {
    'two signatures': [{}, input((v) => `${v}, b=("@method");created=1`)],
    'two with the tag': [{ tag: 'orders' }, input((v) => `${v}, b=();tag="orders"`), tagged('orders')],
  });
  refused('signature_malformed', {
    'a trailing comma': [{}, input((v) => `${v},`)],
    'no inner list': [{}, input(() => 'sig="x";created=1')],
    'Signature without bytes': [{}, edit('Signature', () => 'sig="x"')],
    'bytes under another label': [{}, edit('Signature', (v) => v.replace('sig=', 'gis='))],
    'a base64 that is none': [{}, edit('Signature', () => 'sig=:***:')],
    'no created': [{ created: null }],
    'created that is a text': [{}, input((v) => v.replace(/created=(\d+)/, 'created="$1"'))],
    'created that is a date': [{}, input((v) => v.replace('created=', 'created=@'))],
    'created with a fraction': [{}, input((v) => v.replace(/created=(\d+)/, 'created=$1.5'))],
    'a keyid that is a token': [{}, input((v) => `${v};keyid=a`)],
    'a nonce of 257 characters': [{}, input((v) => `${v};nonce="${'a'.repeat(257)}"`)],
    'more than 8 KiB': [{}, input((v) => `${v};x="${'a'.repeat(8192)}"`)],
    'a hundred signatures': [{}, input((v) => `${v}${Array.from({ length: 100 }, (_, n) => `, s${n}=()`).join('')}`)],
  });
  refused('signature_key_unusable', {
    'no key': [{ proof: false }, undefined, { proof: undefined }],
    'the hash of a certificate alone': [
      WITH_CERTIFICATE,
      undefined,
      { ...BY_CERTIFICATE, certificate: { ...CERTIFICATE, der: undefined } },
    ],
    'a certificate with a key of an unknown kind': [
      WITH_CERTIFICATE,
      undefined,
      { ...BY_CERTIFICATE, certificate: { ...CERTIFICATE, der: withUnknownKey(certified.der) } },
    ],
    'a key P-521': [{}, undefined, { proof: { key: P521, jkt: '', nonce: 'none' } }],
  });
  refused('signature_key_mismatch', {
    'keyid of another key': [{ keyid: THIEF.jkt }],
    'keyid that is a name': [{ ...WITH_CERTIFICATE, keyid: 'alice' }, undefined, BY_CERTIFICATE],
    'an empty keyid': [{}, input((v) => `${v};keyid=""`)],
  });
  refused('signature_algorithm_refused', {
    'the algorithm of another key': [{ alg: 'ed25519' }],
    'a symmetric algorithm': [{ alg: 'hmac-sha256' }],
    'the name of a JWS algorithm': [{ alg: 'ES256' }],
  });
  refused('signature_component_refused', {
    'a component twice': [{}, covering('"dpop"')],
    'a component that is a token': [{}, covering('date')],
    'a component in capitals': [{ fields: [['X-Note', 'a']] }, covering('"X-Note"')],
    'an empty component': [{}, covering('""')],
    'a field that is absent': [{}, covering('"x-gone"')],
    'a field that Connection takes away': [
      { fields: [['Idempotency-Key', '1']], more: ['idempotency-key'] },
      plus('Connection', 'close, Idempotency-Key'),
    ],
    'a query without characters, apart from the target': [
      { target: '/orders/1', covered: ['@authority', '@path', '@query', '@method', 'dpop', 'authorization'] },
      (sent) => ({ ...sent, target: '/orders/1?' }),
    ],
    'the request target': [{ more: ['@request-target'] }],
    'a parameter of the query': [{ more: ['@query-param;name="a"'] }],
    'a status': [{}, covering('"@status"')],
    'the parameters themselves': [{}, covering('"@signature-params"')],
    'what every object has': [{}, covering('"@constructor" "constructor"')],
    'a hundred components': [{}, covering(Array.from({ length: 100 }, (_, n) => `"x${n}"`).join(' '))],
    ...Object.fromEntries(
      ['sf', 'bs', 'key="a"', 'req', 'tr', 'name="a"'].map((one) => [
        `a component with ;${one}`,
        [{}, input((v) => v.replace('"dpop"', `"dpop";${one}`))] as const,
      ]),
    ),
  });
  refused('signature_component_missing', {
    ...Object.fromEntries(
      ALWAYS.map((name) => [`${name} is not covered`, [{ covered: ALWAYS.filter((one) => one !== name) }] as const]),
    ),
    'the query is not covered': [{ covered: ['@method', '@authority', '@path', 'authorization', 'dpop'] }],
    'the authority is not covered': [{ covered: ['@method', '@path', '@query', 'authorization', 'dpop'] }],
    'the digest of a body is not covered': [{ ...BODY, covered: [...ALWAYS, 'content-type'] }],
    'a body was added': [{}, (sent) => ({ ...sent, bodyLength: 5 })],
    'a body of unknown length was added': [{}, (sent) => ({ ...sent, bodyLength: undefined })],
    'a body and its digest were added': [
      {},
      (sent) => plus('Content-Digest', contentDigest('hello'))({ ...sent, bodyLength: 5 }),
    ],
    'a digest was added to no body': [{}, plus('Content-Digest', contentDigest(''))],
    'the type of the content is not covered': [{ ...BODY, covered: [...ALWAYS, 'content-digest'] }],
    'a field that the rules name was added': [{}, plus('Idempotency-Key', '1')],
    'it was made to ask for a WebSocket': [{}, (sent) => plus('Upgrade', 'websocket')({ ...sent, upgrade: {} })],
    'nothing is covered': [{ covered: [] }],
  });
  refused('signature_stale', {
    'created too long ago': [{ created: NOW - 61.5 }],
    expired: [{ created: NOW - 30, expires: Math.floor(NOW) - 16 }],
    'expired, whatever the nonce of the proof': [
      { expires: Math.floor(NOW) - 16 },
      undefined,
      { proof: { ...makeSignatureTerms().proof!, nonce: 'own' } },
    ],
    'made before the memory began, without a proof': [
      WITH_CERTIFICATE,
      undefined,
      { ...BY_CERTIFICATE, rememberedSince: NOW },
    ],
    'forgotten when a reload raised max_age': [
      { created: NOW - 30 },
      undefined,
      { shorterMemories: [{ until: NOW, rememberedFor: 20 }] },
    ],
  });
  refused('signature_from_future', { 'created in the future': [{ created: NOW + 16 }] });
  refused('content_digest_invalid', {
    'no known algorithm': [digest('md5=:AAAA:, sha=:AAAA:')],
    'a digest that is too short': [digest('sha-256=:AAAA:')],
    'a digest that is too long': [digest(`sha-256=:${'A'.repeat(44)}:`)],
    'a digest that is a text': [digest('sha-256="AAAA"')],
    'no dictionary': [digest(':AAAA:')],
    'an unknown algorithm whose value is no bytes': [digest(`x=1, ${contentDigest('hello')}`)],
    'nothing at all': [digest('')],
  });
  refused('signature_invalid', {
    'another key': [{ by: KeyObject.from(THIEF.privateKey) }],
    'no bytes at all': [{}, edit('Signature', () => 'sig=::')],
    'other bytes': [{}, edit('Signature', () => `sig=:${'A'.repeat(86)}==:`)],
    'another method': [{}, (sent) => ({ ...sent, method: 'DELETE' })],
    'another order of components': [{}, input((v) => v.replace('"@method" "@target-uri"', '"@target-uri" "@method"'))],
    'another created': [{}, input((v) => v.replace(/created=(\d+)/, (_, at) => `created=${Number(at) - 1}`))],
    'another nonce': [{ nonce: 'a' }, input((v) => v.replace('nonce="a"', 'nonce="b"'))],
    'another expires': [
      { expires: Math.floor(NOW) + 5 },
      input((v) => v.replace(/expires=(\d+)/, 'expires=9999999999')),
    ],
    'a parameter more': [{}, input((v) => `${v};nonce="a"`)],
    'a component less': [{ fields: [['X-Note', 'a']], more: ['x-note'] }, input((v) => v.replace(' "x-note"', ''))],
    'another token': [{}, edit('Authorization', () => 'DPoP other')],
    'another proof': [{}, edit('DPoP', () => 'other')],
    'another digest': [BODY, edit('Content-Digest', () => contentDigest('hallo'))],
    'another type of content': [BODY, edit('Content-Type', () => 'text/html')],
    'a second line of a covered field': [BODY, plus('Content-Type', 'text/plain')],
    'a value that is not ASCII': [{ fields: [['X-Note', 'é']], more: ['x-note'] }],
    ...Object.fromEntries(
      [
        '/orders/1',
        '/orders/1?',
        '/orders/1?a=1&b',
        '/orders/1?A=1',
        '/orders/%31?a=1',
        '/orders/1?a=%31',
        '/orders/1/?a=1',
        '/orders/2?a=1',
      ].map((target) => [`the target ${target}`, [{}, (sent: Sent) => ({ ...sent, target })] as const]),
    ),
  });
});

it('a refusal says what this request has to sign, by names of the policy alone', async () => {
  const result = await verify({ ...BODY, covered: [] }, plus('X-Secret', 'MARK'), tagged('orders'));
  assert.ok(result instanceof Rejection);
  const wanted = [...ALWAYS, 'content-digest', 'content-type'].map((name) => `"${name}"`).join(' ');
  assert.equal(result.facts.acceptSignature, `sig=(${wanted});created;tag="orders"`);
});

it('one id names a signature however it is spelled, and another nonce makes another', async () => {
  const ids = new Set<string>();
  const sent = await makeSent({ ...WITH_CERTIFICATE, nonce: 'a' });
  for (const change of [sent, input((v) => v.replaceAll(';', ' ;').replaceAll(' ;', '; '))(sent)]) {
    const result = verifyMessageSignature(factsOf(change), makeSignatureTerms(BY_CERTIFICATE));
    assert.ok(!(result instanceof Rejection));
    ids.add(result.id);
  }
  assert.equal(ids.size, 1);
  const other = await verify({ ...WITH_CERTIFICATE, nonce: 'b' }, undefined, BY_CERTIFICATE);
  assert.ok(!(other instanceof Rejection) && !ids.has(other.id));
  assert.ok(HOLDER_KEY);
});
