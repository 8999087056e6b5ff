// The example of signed payments at work: what was signed is paid, and nothing else.

import assert from 'node:assert/strict';
import { KeyObject } from 'node:crypto';
import type { TestContext } from 'node:test';
import { ORIGIN } from '../support/gateway.ts';
import { contentDigest, signMessage } from '../support/signing.ts';
import { HOLDER, issue, prove, startExample, startIssuer } from './example.ts';

const BODY = '{"amount":"10.00","to":"alice"}';

export async function playSigned(t: TestContext, files: Readonly<Record<string, string>>): Promise<void> {
  const issuer = await startIssuer(t);
  const env = { BANK_ISSUER: issuer };
  const { call, count, upstream } = await startExample(t, 'signed-payments.yaml', files, ['PAYMENTS_URL'], env);
  const token = await issue(issuer, { scope: 'payments' });
  const path = '/payments/1?currency=EUR';
  const pay = async (
    change: { body?: string; path?: string; fields?: readonly (readonly [string, string])[] } = {},
  ) => {
    const { proof } = await prove(token, 'POST', '/payments/1');
    const fields = [
      ['Content-Type', 'application/json'],
      ['Content-Digest', contentDigest(BODY)],
    ] as const;
    const credentials = [['Authorization', `DPoP ${token}`] as const, ['DPoP', proof] as const];
    const message = { method: 'POST', url: ORIGIN + path, fields: [...credentials, ...fields] };
    const signature = await signMessage(KeyObject.from(HOLDER.privateKey), message);
    const sent = [...fields, ...signature, ...(change.fields ?? [])];
    const answer = await call('POST', change.path ?? path, { token, proof, fields: sent, body: change.body ?? BODY });
    return answer.reason ?? answer.status;
  };

  assert.equal(await pay(), 200);
  assert.equal(upstream.seen[0]?.body, BODY);
  assert.equal(await pay({ body: BODY.replace('alice', 'mally') }), 'content_digest_mismatch');
  assert.equal(await pay({ path: '/payments/1?currency=USD' }), 'signature_invalid');
  assert.equal(await pay({ fields: [['Idempotency-Key', '2']] }), 'signature_component_missing');
  const unsigned = await prove(token, 'POST', '/payments/1');
  assert.equal((await call('POST', path, { ...unsigned, body: BODY })).reason, 'signature_missing');
  assert.equal(upstream.seen.length, 1);

  const read = await call('GET', '/payments/1', await prove(token, 'GET', '/payments/1'));
  assert.equal(read.status, 200);
  const shadowed = { route: 'payments-read', mode: 'shadow', reason: 'signature_missing' };
  assert.equal(await count('holdfast_rejections_total', shadowed), 1);
}
