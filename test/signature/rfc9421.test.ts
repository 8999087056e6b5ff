// The examples of RFC 9421 Appendix B, read and verified as the gateway does.

import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { describe, test } from 'node:test';
import { BodyDigest } from '../../src/http/body-digest.ts';
import { Components, signatureBase } from '../../src/signature/components.ts';
import { algorithmOf, verifyMessage } from '../../src/signature/confirmed-key.ts';
import { readContentDigest } from '../../src/signature/content-digest.ts';
import { readPresentedSignature } from '../../src/signature/presented-signature.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import { makeFacts } from '../support/facts.ts';
import rfc9421 from '../vectors/rfc9421.json' with { type: 'json' };

/** What our reading of an example is. */
function read({ method, target, fields, key: name }: (typeof rfc9421.cases)[number]) {
  const rawHeaders = fields.flat();
  const authority = rawHeaders[rawHeaders.indexOf('Host') + 1] ?? '';
  const request = makeFacts({
    method,
    target,
    query: target.split('?')[1],
    origin: { scheme: 'https', authority, pathPrefix: '' },
    message: { rawHeaders },
  });
  const components = new Components(request);
  const presented = readPresentedSignature(components, undefined);
  assert.ok(!(presented instanceof Rejection));
  const base = signatureBase(presented.covered, presented.parameters, components) ?? '';
  const pem = rfc9421.keys[name as keyof typeof rfc9421.keys];
  return { presented, base, key: { key: createPublicKey(pem), thumbprint: '' } };
}

/** All of Appendix B that sign a request without a shared secret or a parameter of the query. */
const SECTIONS = ['B.2.1', 'B.2.3', 'B.2.6', 'B.3'];

describe('RFC 9421', () => {
  test('all examples are looked at', () => {
    assert.deepEqual(
      rfc9421.cases.map((example) => example.section),
      SECTIONS,
    );
  });
  for (const example of rfc9421.cases) {
    test(`${example.section}: the base is the same and the signature verifies`, () => {
      const { presented, base, key } = read(example);
      assert.equal(base, example.base);
      const algorithm = algorithmOf(key);
      assert.ok(algorithm !== undefined);
      assert.equal(verifyMessage(key, algorithm, base, presented.bytes), true);
      assert.equal(verifyMessage(key, algorithm, `${base} `, presented.bytes), false);
    });
  }
});

test('RFC 9530: the digest of the body of Appendix B of RFC 9421 is that of its field', () => {
  const fields = rfc9421.cases[0]?.fields.flat() ?? [];
  const digests = readContentDigest(fields[fields.indexOf('Content-Digest') + 1] ?? '');
  assert.ok(digests !== undefined);
  const whole = new BodyDigest(digests);
  for (const piece of rfc9421.body) whole.update(Buffer.from(piece));
  assert.equal(whole.matches(), true);
  const cut = new BodyDigest(digests);
  cut.update(Buffer.from(rfc9421.body.slice(0, -1)));
  assert.equal(cut.matches(), false);
});
