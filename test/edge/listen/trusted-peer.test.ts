// Trusted peers: known by address, by a name that a CA vouched for, or by both.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTrustedPeers, trustedUntil, trustOf } from '../../../src/edge/listen/trusted-peer.ts';
import type { CertificateEvidence } from '../../../src/request-facts.ts';

const END = 1_900_000_000;

function evidence(over: Partial<CertificateEvidence> = {}): CertificateEvidence {
  const facts = {
    der: new Uint8Array(),
    thumbprint: '',
    chain: [],
    subject: 'CN=lb.internal',
    issuer: '',
    uris: ['spiffe://example.com/lb'],
    dnsNames: ['LB.internal'],
    notBefore: 0,
    notAfter: END,
  };
  return { facts, verify: 'chain', trusted: true, ...over };
}

const byNetwork = compileTrustedPeers([
  { cidr: '10.0.0.0/8', certificateSan: undefined },
  { cidr: '2001:db8::/32', certificateSan: undefined },
  { cidr: '192.0.2.7', certificateSan: undefined },
]);

test('nobody is trusted where no peer is listed, nor by a rule without a condition', () => {
  assert.equal(trustedUntil([], '127.0.0.1', evidence()), 0);
  const empty = compileTrustedPeers([{ cidr: undefined, certificateSan: undefined }]);
  assert.equal(trustedUntil(empty, '127.0.0.1', evidence()), 0);
});

test('a peer inside a network is trusted for ever, one outside never', () => {
  for (const address of ['10.0.0.1', '10.255.255.255', '2001:db8:1::1', '192.0.2.7']) {
    assert.equal(trustedUntil(byNetwork, address, undefined), Number.POSITIVE_INFINITY, address);
  }
  for (const address of ['11.0.0.1', '2001:db9::1', '192.0.2.8', undefined]) {
    assert.equal(trustedUntil(byNetwork, address, evidence()), 0, String(address));
  }
});

test('a peer with the name is trusted as long as its certificate lasts', () => {
  const byName = compileTrustedPeers([{ cidr: undefined, certificateSan: 'lb.internal' }]);
  assert.equal(trustedUntil(byName, undefined, evidence()), END);
  const byUri = compileTrustedPeers([{ cidr: undefined, certificateSan: 'spiffe://example.com/lb' }]);
  assert.equal(trustedUntil(byUri, '192.0.2.9', evidence()), END);
  const byOther = compileTrustedPeers([{ cidr: undefined, certificateSan: 'internal' }]);
  assert.equal(trustedUntil(byOther, undefined, evidence()), 0);
});

test('a name that no CA vouched for trusts nobody', () => {
  const byName = compileTrustedPeers([{ cidr: undefined, certificateSan: 'lb.internal' }]);
  assert.equal(trustedUntil(byName, '10.0.0.1', undefined), 0);
  assert.equal(trustedUntil(byName, '10.0.0.1', evidence({ trusted: false })), 0);
  assert.equal(trustedUntil(byName, '10.0.0.1', evidence({ verify: 'possession' })), 0);
});

test('where both conditions are given, both must hold', () => {
  const both = compileTrustedPeers([{ cidr: '10.0.0.0/8', certificateSan: 'lb.internal' }]);
  assert.equal(trustedUntil(both, '10.0.0.1', evidence()), END);
  assert.equal(trustedUntil(both, '10.0.0.1', undefined), 0);
  assert.equal(trustedUntil(both, '192.0.2.1', evidence()), 0);
});

test('the fields that are believed are those of the first entry that fits', () => {
  const peers = compileTrustedPeers([
    { cidr: '10.0.0.7/32', certificateSan: undefined, forwarding: 'forwarded' },
    { cidr: undefined, certificateSan: 'lb.internal' },
    { cidr: '10.0.0.0/8', certificateSan: undefined, forwarding: 'x-forwarded' },
  ]);
  assert.deepEqual(trustOf(peers, '10.0.0.7', undefined), { until: Infinity, forwarding: 'forwarded' });
  assert.deepEqual(trustOf(peers, '10.0.0.8', undefined), { until: Infinity, forwarding: 'x-forwarded' });
  assert.deepEqual(trustOf(peers, '10.0.0.8', evidence()), { until: Infinity, forwarding: undefined });
  assert.deepEqual(trustOf(peers, '192.0.2.1', evidence()), { until: END, forwarding: undefined });
  assert.deepEqual(trustOf(peers, '192.0.2.1', undefined), { until: 0, forwarding: undefined });
});
