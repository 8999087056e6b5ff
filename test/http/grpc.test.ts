// gRPC calls by their content type, and what a grpc-message may hold.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grpcMessage, readGrpcCall } from '../../src/http/grpc.ts';

const typed = (contentType: string, httpVersion = '2.0', method = 'POST') =>
  readGrpcCall({ method, httpVersion, rawHeaders: ['te', 'trailers', 'Content-Type', contentType] });

test('the content types of gRPC and gRPC-Web are calls, and the answer keeps the format of the messages', () => {
  for (const [sent, contentType, web] of [
    ['application/grpc', 'application/grpc', false],
    ['application/grpc+proto', 'application/grpc+proto', false],
    ['Application/GRPC+JSON', 'application/grpc+json', false],
    ['application/grpc; charset=utf-8', 'application/grpc', false],
    ['application/grpc-web', 'application/grpc-web', true],
    ['application/grpc-web+proto', 'application/grpc-web+proto', true],
    ['application/grpc-web-text', 'application/grpc-web-text', true],
    ['application/grpc-web-text+proto', 'application/grpc-web-text+proto', true],
  ] as const) {
    assert.deepEqual(typed(sent), { contentType, web }, sent);
  }
});

test('gRPC-Web comes over any version of HTTP, gRPC over HTTP/2 alone', () => {
  for (const version of ['1.0', '1.1']) {
    assert.equal(typed('application/grpc', version), undefined);
    assert.equal(typed('application/grpc-web+proto', version)?.web, true);
  }
});

test('what only looks like a call is none', () => {
  for (const sent of [
    '',
    'application/json',
    'application/grpcx',
    'application/grpc-webx',
    'application/grpc-websocket',
    'application/grpc+',
    'application/grpc+a b',
    `application/grpc+${'x'.repeat(33)}`,
    'application/grpc, application/json',
    ' application/grpc',
    'text/application/grpc',
    'application/grpc+<script>',
  ]) {
    assert.equal(typed(sent), undefined, sent);
  }
  for (const method of ['GET', 'OPTIONS', 'post']) assert.equal(typed('application/grpc', '2.0', method), undefined);
  const repeated = ['content-type', 'application/grpc', 'content-type', 'application/grpc'];
  assert.equal(readGrpcCall({ method: 'POST', httpVersion: '2.0', rawHeaders: repeated }), undefined);
  assert.equal(readGrpcCall({ method: 'POST', httpVersion: '2.0', rawHeaders: [] }), undefined);
});

test('a grpc-message holds visible ASCII and blanks; everything else and "%" is percent-encoded', () => {
  assert.equal(grpcMessage('The nonce is "stale".'), 'The nonce is "stale".');
  assert.equal(grpcMessage('100 %, café\r\n€'), '100 %25, caf%C3%A9%0D%0A%E2%82%AC');
  assert.equal(grpcMessage(String.fromCharCode(0xd800).concat('😀\x7f\0')), '%EF%BF%BD%F0%9F%98%80%7F%00');
  assert.match(grpcMessage(Array.from({ length: 0x300 }, (_, code) => String.fromCharCode(code)).join('')), /^[ -~]+$/);
});
