// The senders that a rate limit counts together, and those it never counts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clientKey, rateKey, type RateKey, type Sender } from '../../src/rate/limit.ts';

const key = (by: RateKey, over: Partial<Sender> = {}) =>
  rateKey(by, { issuer: 'https://login.example.com', claims: {}, thumbprint: 'abc', address: '192.0.2.1', ...over });
const claims = (more: Record<string, unknown>, issuer = 'https://login.example.com') => ({ issuer, claims: more });

describe('client', () => {
  test('is the first of client_id, azp, cid and appid that is a string', () => {
    const all = { client_id: 'a', azp: 'b', cid: 'c', appid: 'd' };
    const byA = key('client', claims(all));
    assert.equal(key('client', claims({ client_id: 'a' })), byA);
    assert.equal(key('client', claims({ client_id: 7, azp: 'a' })), byA);
    assert.equal(key('client', claims({ client_id: '', azp: '', cid: 'a' })), byA);
    assert.equal(key('client', claims({ appid: 'a' })), byA);
    assert.notEqual(key('client', claims({ azp: 'b' })), byA);
  });
});

describe('subject and client', () => {
  for (const [by, name] of [
    ['client', 'client_id'],
    ['subject', 'sub'],
  ] as const) {
    test(`${by} belongs to its issuer`, () => {
      const one = key(by, claims({ [name]: 'a' }));
      assert.notEqual(key(by, claims({ [name]: 'a' }, 'https://other.example.com')), one);
      assert.notEqual(key(by, claims({ [name]: 'b' })), one);
      assert.equal(key(by, { ...claims({ [name]: 'a' }), thumbprint: 'other', address: '192.0.2.9' }), one);
    });
    test(`${by}: tokens without it share one key per issuer, which nobody can claim`, () => {
      const without = key(by, claims({}));
      assert.equal(key(by, claims({ [name]: 7 })), without);
      assert.equal(key(by, claims({ [name]: '' })), without);
      assert.notEqual(key(by, claims({}, 'https://other.example.com')), without);
      for (const value of ['undefined', ' ', 'null']) assert.notEqual(key(by, claims({ [name]: value })), without);
    });
    test(`${by}: an issuer whose tokens say no iss is another one than its neighbour, whatever iss a token claims`, () => {
      const same = { [name]: 'a', iss: 'https://claimed.example.com' };
      assert.equal(key(by, claims(same)), key(by, claims({ [name]: 'a' })));
      assert.notEqual(key(by, claims({ [name]: 'a' }, 'https://other.example.com')), key(by, claims({ [name]: 'a' })));
    });
    test(`${by}: an issuer and a value that are split at another place are others`, () => {
      assert.notEqual(key(by, claims({ [name]: 'b c' }, 'a')), key(by, claims({ [name]: 'c' }, 'a b')));
    });
  }
  test('are different keys', () => {
    assert.notEqual(key('client', claims({ client_id: 'a' })), key('subject', claims({ sub: 'a' })));
  });
});

test('thumbprint is the one of the key or certificate; senders without one share a key', () => {
  assert.notEqual(key('thumbprint'), key('thumbprint', { thumbprint: 'other' }));
  assert.equal(
    key('thumbprint', { thumbprint: undefined }),
    key('thumbprint', { thumbprint: undefined, address: 'x' }),
  );
});

describe('address', () => {
  const address = (value: string | undefined) => key('address', { address: value, claims: undefined });
  test('is the whole IPv4 address', () => {
    assert.notEqual(address('192.0.2.1'), address('192.0.2.2'));
  });
  test('is the /64 of an IPv6 address, however it is written', () => {
    const one = address('2001:db8::1');
    for (const other of [
      '2001:0DB8:0:0::ffff',
      '2001:db8:0000::1:2:3:4',
      '2001:db8:0:0:1:2:3:4',
      '2001:db8::1.2.3.4',
    ]) {
      assert.equal(address(other), one, other);
    }
    for (const other of [
      '2001:db8:0:1::1',
      '2001:db9::1',
      '2001:db8:1::',
      '::1',
      '::2001:db8',
      '2001:db8:0:1:1:2:3:4',
    ]) {
      assert.notEqual(address(other), one, other);
    }
    assert.equal(address('1:2::3:4:5:1.2.3.4'), address('1:2:0:3::'));
    assert.equal(address('::1'), address('::'));
    assert.equal(address('::192.0.2.1'), address('::1'));
    assert.equal(address('fe80::1%eth0'), address('fe80::2'));
  });
  test('that is not known is one key', () => {
    assert.equal(address(undefined), address(undefined));
    assert.notEqual(address(undefined), address('192.0.2.1'));
  });
});

test('one client, where something is shared fairly, is a subject, else a client of the issuer, else an address', () => {
  const at = (address: string | undefined, claims?: Record<string, string>) =>
    clientKey({ issuer: claims && 'https://login.example.com', claims, thumbprint: 'x', address });
  assert.equal(at('192.0.2.1', { sub: 'ann', client_id: 'app' }), at('192.0.2.2', { sub: 'ann', client_id: 'other' }));
  assert.notEqual(at('192.0.2.1', { sub: 'ann' }), at('192.0.2.1', { sub: 'bob' }));
  assert.equal(at('192.0.2.1', { client_id: 'app' }), at('192.0.2.2', { azp: 'app', sub: '' }));
  assert.notEqual(at('192.0.2.1', { sub: 'app' }), at('192.0.2.1', { client_id: 'app' }));
  assert.equal(at('192.0.2.1', {}), at('192.0.2.1'));
  assert.equal(at('2001:db8::1'), at('2001:db8:0:0:ffff::2'));
  assert.notEqual(at('2001:db8::1'), at('2001:db8:0:1::1'));
  assert.equal(at(undefined), at(undefined));
});
