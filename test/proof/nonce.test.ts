// Nonces: only what a secret of ours minted, and only until it expires.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NonceKeys } from '../../src/proof/nonce.ts';

const secret = (byte: number) => Buffer.alloc(32, byte);

test('a nonce tells when it was minted and when it expires, until then and no longer', () => {
  const keys = new NonceKeys([secret(1)], 120);
  const nonce = keys.mint(1000.75);
  assert.deepEqual(keys.read(nonce, 1000.75), { mintedAt: 1000.75, expiresAt: 1120.75 });
  assert.notEqual(keys.read(nonce, 1120.75), undefined);
  assert.equal(keys.read(nonce, 1120.751), undefined);
});

test('clients share a nonce for a second, and a clock that steps back gets one of its own time', () => {
  const keys = new NonceKeys([secret(1)], 120);
  const nonce = keys.mint(1000.75);
  assert.equal(keys.mint(1001.5), nonce);
  assert.notEqual(keys.mint(1001.75), nonce);
  assert.equal(keys.read(keys.mint(900), 900)?.mintedAt, 900);
});

test('the first secret mints, all verify, and a secret that is gone verifies nothing', () => {
  const old = new NonceKeys([secret(1)], 120).mint(1000);
  const rotated = new NonceKeys([secret(2), secret(1)], 120);
  assert.notEqual(rotated.read(old, 1000), undefined);
  assert.equal(new NonceKeys([secret(2)], 120).read(old, 1000), undefined);
  assert.notEqual(new NonceKeys([secret(2)], 120).read(rotated.mint(1000), 1000), undefined);
});

test('a changed lifetime does not move the moment at which an older nonce was minted', () => {
  const nonce = new NonceKeys([secret(1)], 600).mint(1000);
  assert.deepEqual(new NonceKeys([secret(1)], 60).read(nonce, 1001), { mintedAt: 1000, expiresAt: 1600 });
});

test('two processes without a configured secret do not accept the nonces of each other', () => {
  assert.equal(new NonceKeys([], 120).read(new NonceKeys([], 120).mint(1000), 1000), undefined);
});

test('a nonce is made of time, lifetime and secret alone, so that instances of any version accept it', () => {
  assert.equal(new NonceKeys([secret(1)], 120).mint(1_800_000_000.5), 'AaMYXia0AHiOYv24-9l0xUJF_wwz3pam');
});

test('no nonce with one changed character is read', () => {
  const keys = new NonceKeys([secret(1)], 120);
  const nonce = keys.mint(1000);
  for (let i = 0; i < nonce.length; i++) {
    const other = nonce[i] === 'A' ? 'B' : 'A';
    assert.equal(keys.read(nonce.slice(0, i) + other + nonce.slice(i + 1), 1000), undefined);
  }
  for (const text of ['', nonce.slice(1), `${nonce}A`, `${nonce}=`, ` ${nonce}`, 'x'.repeat(100_000), '\u0000', '🙂']) {
    assert.equal(keys.read(text, 1000), undefined);
  }
});
