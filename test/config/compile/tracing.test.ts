// Compilation of tracing: secrets that would travel in the clear, and addresses.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertProblems, policyOf, warningsOf } from '../../support/policies.ts';

const tracing = (keys: string) => ({ more: `tracing: { ${keys} }` });
const TOKEN = { files: { 'tracing.header_files.Authorization': 'Bearer x\n' } };

describe('tracing', () => {
  test('has /v1/traces where no path is given, and the path that is', () => {
    const endpointOf = (url: string) => policyOf(tracing(`otlp_endpoint: "${url}"`)).tracing?.endpoint;
    assert.equal(endpointOf('https://collector.example'), 'https://collector.example/v1/traces');
    assert.equal(endpointOf('http://127.0.0.1:4318/'), 'http://127.0.0.1:4318/v1/traces');
    assert.equal(endpointOf('https://collector.example/otlp/x'), 'https://collector.example/otlp/x');
    assert.equal(policyOf({}).tracing, undefined);
  });

  test('samples one in a hundred, continues traces of trusted peers, and says no addresses, unless told otherwise', () => {
    const { sample, trust, clientAddress, queue, timeout } =
      policyOf(tracing('otlp_endpoint: "http://localhost:4318"')).tracing ?? {};
    assert.deepEqual([sample, trust, clientAddress, queue, timeout], [0.01, 'peers', false, 2048, 10]);
  });

  test('keeps secrets off the wire: header_files with http beyond loopback are refused', () => {
    const keys = 'otlp_endpoint: «"http://collector:4318", header_files: { Authorization: otlp-token }';
    assertProblems(
      tracing(keys),
      ['tracing.otlp_endpoint: is http beyond loopback, where header_files can be read, expected https'],
      TOKEN,
    );
    const policy = policyOf(tracing(keys.replace('«', '').replace('collector', 'localhost')), TOKEN);
    assert.deepEqual(policy.tracing?.headers, new Map([['Authorization', 'Bearer x']]));
  });

  test('warns of spans in the clear, and of clients that choose', () => {
    const warned = warningsOf(tracing('otlp_endpoint: "http://collector:4318", trust: all')).filter((text) =>
      text.startsWith('tracing'),
    );
    assert.deepEqual(warned, [
      'tracing.otlp_endpoint: is http beyond loopback: anyone on the way reads hosts, paths and outcomes of requests',
      'tracing.trust: is all: every client chooses which of its requests are recorded, and to which trace they belong',
    ]);
  });

  test('refuses a header that is none, a URL with a secret in it, and CAs for http', () => {
    assertProblems(
      tracing('otlp_endpoint: "https://collector", header_files: { Authorization: «otlp-token }'),
      ['tracing.header_files.Authorization: holds no value of a field, expected one line of ASCII'],
      { files: { 'tracing.header_files.Authorization': 'two\nlines' } },
    );
    for (const url of ['https://user:password@collector', 'https://collector/v1?key=1', 'grpc://collector:4317']) {
      assert.throws(() => policyOf(tracing(`otlp_endpoint: "${url}"`)), /an http or https URI/, url);
    }
  });
});
