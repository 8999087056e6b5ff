// The `:scheme` over HTTP/2: the listener's, or the one of a trusted peer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileIntake, readFacts } from '../../../src/edge/intake/facts.ts';
import { compileManagedFields } from '../../../src/policy/managed-fields.ts';
import type { Listener } from '../../../src/policy/policy.ts';
import { Rejection } from '../../../src/rejection/rejection.ts';
import { HTTPS_ORIGIN, makeListener } from '../../support/edge.ts';

const HOST = ['Host', 'api.example.com'];
const STATED = [...HOST, 'X-Forwarded-Proto', 'https'];
const TLS = { tls: { certificates: [], minVersion: 'TLSv1.2' } } as const;
const PLAIN: Partial<Listener> = { tls: undefined, origins: [HTTPS_ORIGIN] };

function outcome(scheme: string, over: Partial<Listener>, rawHeaders: readonly string[], trusted = false): string {
  const listener = makeListener(over);
  const rules = compileIntake(listener, compileManagedFields([], [listener]), 'holdfast-test');
  const connection = {
    remoteAddress: '192.0.2.7',
    remotePort: 1,
    localAddress: '192.0.2.1',
    localPort: 2,
    servername: undefined,
    evidence: undefined,
    trustedUntil: trusted ? Number.POSITIVE_INFINITY : 0,
  };
  const request = { method: 'GET', target: '/orders/1', httpVersion: '2.0', scheme, rawHeaders };
  const facts = readFacts(request, connection, rules, 1);
  return facts instanceof Rejection ? facts.reason : `${facts.origin.scheme}://${facts.origin.authority}`;
}

test('on a listener with TLS it is https', () => {
  assert.equal(outcome('https', TLS, HOST), 'https://api.example.com');
  for (const scheme of ['http', '', 'ftp', 'HTTPS'])
    assert.equal(outcome(scheme, TLS, HOST), 'request_malformed', scheme);
});

test('without TLS a trusted peer may repeat what its client used, or say how it connected itself', () => {
  assert.equal(outcome('https', PLAIN, STATED, true), 'https://api.example.com');
  assert.equal(outcome('http', PLAIN, STATED, true), 'https://api.example.com');
  assert.equal(outcome('ftp', PLAIN, STATED, true), 'request_malformed');
});

test('a stranger without TLS cannot claim https', () => {
  assert.equal(outcome('https', PLAIN, STATED), 'request_malformed');
  assert.equal(outcome('http', PLAIN, STATED), 'misdirected');
});
