// Trailer fields: which of an answer pass, and what TE says about them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTrailers, takesTrailers } from '../../../src/edge/fields/trailers.ts';
import { makeRules } from '../../support/forwarding.ts';

test('trailers of gRPC and of others pass as received, repeated lines in order', () => {
  const received = ['grpc-status', '0', 'grpc-message', '', 'x-sum', 'a', 'X-Sum', 'b'];
  assert.deepEqual(answerTrailers(received, makeRules()), [
    'grpc-status',
    '0',
    'grpc-message',
    '',
    'x-sum',
    'a',
    'x-sum',
    'b',
  ]);
});

test('what is removed from answers or has its meaning before the body is removed, in any case', () => {
  for (const name of [
    'Connection',
    'Transfer-Encoding',
    'Trailer',
    'Keep-Alive',
    'Client-Cert',
    'client-cert-chain',
    'Via',
    'Vary',
    'Cache-Control',
    'DPoP-Nonce',
    'Content-Length',
    'Content-Type',
    'Content-Encoding',
    'Content-Range',
    'Set-Cookie',
    'WWW-Authenticate',
    'Location',
    'Access-Control-Allow-Origin',
    'Host',
    'Date',
  ]) {
    assert.deepEqual(answerTrailers([name, 'a', 'x', 'b'], makeRules()), ['x', 'b'], name);
  }
});

test('TE takes trailers where one of its codings is trailers', () => {
  for (const te of ['trailers', 'Trailers', 'gzip, trailers', 'trailers , deflate;q=0.5'])
    assert.ok(takesTrailers(te), te);
  for (const te of ['', 'gzip', 'trailers2', 'x-trailers', 'undefined']) assert.ok(!takesTrailers(te), te);
});
