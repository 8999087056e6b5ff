// The duties of an intermediary (RFC 9110 §7.6): Connection, Max-Forwards and Via.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const OPEN = {
  routes: `- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }`,
};

type Line = readonly [name: string, value: string];

/** Sends fields and gives those that the upstream got; undefined: none reached it. */
async function sent(gateway: TestGateway, method: string, fields: readonly Line[]) {
  const before = gateway.upstream.seen.length;
  const answer = await gateway.request(method, '/orders/1', { fields });
  return { answer, seen: gateway.upstream.seen[before]?.fields };
}

describe('Connection (§7.6.1)', () => {
  test('what it names goes with it, in any case, behind it or before it; options that name no field do no harm', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    const { seen } = await sent(gateway, 'GET', [
      ['X-One', '1'],
      ['Connection', 'close, x-ONE , X-Two,, x-none'],
      ['X-Two', '2'],
      ['x-three', '3'],
    ]);
    assert.deepEqual([seen?.all('x-one'), seen?.all('x-two'), seen?.all('x-three')], [[], [], ['3']]);
  });

  test('fields that are always about one connection go, named or not', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    const names = ['Close', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Upgrade'];
    const { seen } = await sent(gateway, 'GET', [...names.map((name): Line => [name, 'x']), ['Connection', 'close']]);
    for (const name of names) assert.deepEqual(seen?.all(name), [], name);
  });

  test('the gateway names only the options of its connection, to the upstream and to the client', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    gateway.upstream.answer = (_request, response) =>
      response.writeHead(200, ['Connection', 'x-hop, keep-alive', 'X-Hop', '1', 'Proxy-Connection', 'x']).end();
    const { answer, seen } = await sent(gateway, 'GET', [['Connection', 'close, x-mine']]);
    for (const fields of [answer.fields, seen]) {
      const option = fields?.one('connection') ?? '';
      assert.match(option, /^(?:keep-alive|close)$/);
      if (option === 'close') assert.deepEqual(fields?.all('keep-alive'), []);
      for (const name of ['x-hop', 'proxy-connection', 'te', 'upgrade']) assert.deepEqual(fields?.all(name), [], name);
    }
  });
});

describe('Max-Forwards (§7.6.2)', () => {
  test('zero, however spelled, is answered here and goes no further', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    for (const zero of ['0', '00', '000000000000']) {
      const { answer, seen } = await sent(gateway, 'OPTIONS', [['Max-Forwards', zero]]);
      assert.deepEqual([answer.status, seen], [204, undefined], zero);
    }
  });

  test('a greater value goes on as one less, or as the most that we support', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    for (const [value, next] of [
      ['1', '0'],
      ['10', '9'],
      ['007', '6'],
      ['12345678901234567890', '999999999'],
      ['9'.repeat(400), '999999999'],
    ] as const) {
      const { seen } = await sent(gateway, 'OPTIONS', [['Max-Forwards', value]]);
      assert.equal(seen?.one('max-forwards'), next);
    }
  });

  test('TRACE is answered here, whatever it says', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    for (const value of ['0', '5']) {
      const { answer, seen } = await sent(gateway, 'TRACE', [['Max-Forwards', value]]);
      assert.deepEqual([answer.status, seen], [405, undefined]);
    }
  });
});

describe('Via (§7.6.3)', () => {
  test('every message that is forwarded gets one member more, with the version received and a pseudonym, behind the others', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    gateway.upstream.answer = (_request, response) => response.writeHead(200, ['Via', '1.0 inner']).end();
    const { answer, seen } = await sent(gateway, 'GET', [
      ['Via', '1.0 fred'],
      ['via', '2 p.example.net (comment)'],
    ]);
    const pseudonym = `holdfast-${gateway.policy.id}`;
    assert.equal(seen?.one('via'), `1.0 fred, 2 p.example.net (comment), 1.1 ${pseudonym}`);
    assert.equal(answer.fields.one('via'), `1.0 inner, 1.1 ${pseudonym}`);
    assert.match(pseudonym, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
  });

  test('a request that has been here before is refused instead of going round', async (t) => {
    const gateway = await startTestGateway(t, OPEN);
    const first = await sent(gateway, 'GET', []);
    const again = await sent(gateway, 'GET', [['Via', first.seen?.one('via') ?? '']]);
    assert.deepEqual([again.answer.reason, again.seen], ['request_malformed', undefined]);
  });
});

test('methods, fields and status codes that are not registered are forwarded (§7.6)', async (t) => {
  const gateway = await startTestGateway(t, OPEN);
  gateway.upstream.answer = (_request, response) => response.writeHead(299, ['X-Unheard', 'of']).end();
  const { answer } = await sent(gateway, 'PROPFIND', [['X-Unknown', 'too']]);
  assert.deepEqual([answer.status, answer.fields.one('x-unheard')], [299, 'of']);
  assert.deepEqual(
    gateway.upstream.seen.map(({ method, fields }) => [method, fields.one('x-unknown')]),
    [['PROPFIND', 'too']],
  );
});
