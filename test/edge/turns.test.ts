// Turns of requests that came together.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as lookAtSockets } from 'node:timers/promises';
import { owesSignature, Turns } from '../../src/edge/turns.ts';
import type { Demand } from '../../src/policy/policy.ts';
import { verifyAccessToken } from '../../src/token/access-token.ts';
import { makeIssuer, makePorts, makeRoute } from '../support/enforcing.ts';
import { makeKey, makeToken } from '../support/tokens.ts';

/** Takes turns for clients in this order; @returns their addresses in the order in which they went on, as it grows */
function queue(turns: Turns, addresses: readonly (string | undefined)[]): readonly string[] {
  const went: string[] = [];
  for (const address of addresses) void turns.take(address)?.then(() => went.push(String(address)));
  return went;
}

const times = (count: number, address: string) => Array.from({ length: count }, () => address);

describe('turns', () => {
  test('requests that came together go on together, in the order in which they came', async () => {
    const went = queue(new Turns(), ['192.0.2.1', '192.0.2.2', '192.0.2.3', undefined]);
    await Promise.resolve();
    assert.deepEqual(went, [], 'none goes on while others may be read');
    await lookAtSockets();
    assert.deepEqual(went, ['192.0.2.1', '192.0.2.2', '192.0.2.3', 'undefined']);
  });

  test('a client with many requests waits for itself: those of others go on between its own', async () => {
    const went = queue(new Turns(), [...times(200, '192.0.2.1'), '192.0.2.2', '192.0.2.3', '192.0.2.2']);
    await lookAtSockets();
    assert.deepEqual(went.slice(0, 6), ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.1', '192.0.2.2', '192.0.2.1']);
  });

  test('one host with all addresses of its network is one client', async () => {
    const many = Array.from({ length: 100 }, (_, nth) => `2001:db8::${nth.toString(16)}`);
    const went = queue(new Turns(), [...many, '2001:db8:0:1::1']);
    await lookAtSockets();
    assert.equal(went[1], '2001:db8:0:1::1');
  });

  test('after 32 the sockets are looked at, and the next begin where the row was left', async () => {
    const clients = Array.from({ length: 40 }, (_, nth) => `192.0.2.${nth}`);
    const went = queue(new Turns(), [...clients, ...clients]);
    await lookAtSockets();
    assert.equal(went.length, 32);
    await lookAtSockets();
    assert.deepEqual(went.slice(0, 64), [...clients, ...clients.slice(0, 24)]);
    await lookAtSockets();
    assert.equal(went.length, 80);
  });

  test('where connections come, of which Node takes one between two looks, fewer go on: the next one is not far', async () => {
    const turns = new Turns();
    const went = queue(turns, times(80, '192.0.2.1'));
    turns.connectionCame();
    await lookAtSockets();
    assert.equal(went.length, 4);
    await lookAtSockets();
    assert.equal(went.length, 4 + 32, 'no other came meanwhile');
    turns.connectionCame();
    await lookAtSockets();
    assert.equal(went.length, 4 + 32 + 4);
  });

  test('one that comes while others go on has a turn as well', async () => {
    const turns = new Turns();
    await turns.take('192.0.2.1')?.then(async () => await turns.take('192.0.2.1'));
    await turns.take('192.0.2.2');
  });

  test('a client with a thousand requests waits for itself as well: none of its own goes on before its turn', async () => {
    const went = queue(new Turns(), [...times(1000, '192.0.2.1'), '192.0.2.2']);
    await Promise.resolve();
    assert.deepEqual(went, []);
    await lookAtSockets();
    assert.deepEqual(went.slice(0, 3), ['192.0.2.1', '192.0.2.2', '192.0.2.1']);
  });

  test('one that finds 1,024 waiting goes on at once, of whichever client it is: what waits takes memory', async () => {
    const turns = new Turns();
    const has = (address: string) => turns.take(address) !== undefined;
    assert.equal(times(1023, '192.0.2.1').filter(has).length, 1023);
    assert.equal(has('192.0.2.2'), true);
    assert.equal(has('192.0.2.1'), false);
    assert.equal(has('192.0.2.3'), false);
    await lookAtSockets();
    assert.equal(times(40, '192.0.2.3').filter(has).length, 32, 'as many places as were served');
    for (let look = 0; look < 1024 / 32; look += 1) await lookAtSockets();
    assert.equal(has('192.0.2.1'), true, 'and all were served in the end');
  });
});

const NOW = 1_800_000_000;
const [KEY, STRANGER] = await Promise.all([makeKey('ES256', 'k1'), makeKey('ES256', 'k1')]);
const [KNOWN, UNSEEN, INVENTED] = await Promise.all([
  makeToken(KEY, NOW),
  makeToken(KEY, NOW, { claims: { jti: 'unseen' } }),
  makeToken(STRANGER, NOW),
]);
const LOGIN = makeIssuer();
const { demand: STRICT } = makeRoute(LOGIN);
const PUBLIC = { ...STRICT, requirement: 'public' } as const;
const SIGNED = { ...STRICT, signature: { label: 'sig1' } as unknown as NonNullable<Demand['signature']> };

/** Of ports that have seen a token that is good, and one that somebody invented. */
async function rig() {
  const ports = await makePorts([KEY]);
  const terms = { ...ports, issuers: [LOGIN], audience: undefined, now: NOW, client: undefined, cache: ports.tokens };
  await verifyAccessToken(KNOWN, terms);
  await verifyAccessToken(INVENTED, terms);
  const owes = (demand: Demand, authorization: readonly string[], dpop: readonly string[] = [], shadow?: Demand) =>
    owesSignature({ authorization, dpop }, { demand, shadow }, ports.tokens);
  return { ports, owes };
}

describe('a signature may have to be verified', () => {
  test('of a token that was not verified yet, or cannot be', async () => {
    const { owes } = await rig();
    assert.equal(owes(STRICT, [`Bearer ${UNSEEN}`]), true);
    assert.equal(owes(STRICT, [`bearer   ${INVENTED}`]), true);
  });
  test('of a proof, of a message, and for a shadow alone', async () => {
    const { owes } = await rig();
    assert.equal(owes(STRICT, [`DPoP ${KNOWN}`], ['a.b.c']), true);
    assert.equal(owes(SIGNED, [`Bearer ${KNOWN}`]), true);
    assert.equal(owes(STRICT, [`Bearer ${KNOWN}`], [], SIGNED), true);
    assert.equal(owes(PUBLIC, [`DPoP ${KNOWN}`], ['a.b.c'], STRICT), true);
    assert.equal(owes(PUBLIC, [`Bearer ${UNSEEN}`], [], STRICT), true);
  });
  test('not of a token that is known, of one without a signature, and of anything on a public route', async () => {
    const { owes } = await rig();
    assert.equal(owes(STRICT, [`Bearer ${KNOWN}`]), false);
    assert.equal(owes(PUBLIC, [`Bearer ${KNOWN}`], [], STRICT), false);
    assert.equal(owes(STRICT, ['Bearer opaque']), false);
    assert.equal(owes(STRICT, []), false);
    for (const shadow of [undefined, PUBLIC]) assert.equal(owes(PUBLIC, [`DPoP ${UNSEEN}`], ['a.b.c'], shadow), false);
  });
  test('of a known token again when its key was withdrawn', async () => {
    const { owes, ports } = await rig();
    for (const key of ports.keysOf(LOGIN).current(NOW) ?? []) key.current = false;
    assert.equal(owes(STRICT, [`Bearer ${KNOWN}`]), true);
  });
});
