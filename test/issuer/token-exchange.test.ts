// Token exchange against hostile servers: answers, outages, caches, shares of clients.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type TokenExchangeEvent, type TokenExchangeLimits, TokenExchanger } from '../../src/issuer/token-exchange.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import type { TokenExchangeTerms } from '../../src/token/exchanged-token.ts';
import { answering, type Asked, JSON_FIELDS, NOW, SECRET } from '../support/introspector.ts';
import { breakOff, json, makeIssuer, type Served, serve, status } from '../support/issuer-server.ts';

const ORDERS: TokenExchangeTerms = {
  audience: ['orders'],
  resource: [],
  scope: [],
  name: 'one',
  form: 'audience=orders',
};
const INVOICES: TokenExchangeTerms = {
  audience: ['invoices'],
  resource: [],
  scope: [],
  name: 'one',
  form: 'audience=invoices',
};
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const ISSUED = { access_token: 'for-orders', issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 300 };

const issuing = (over: object = {}) => json({ ...ISSUED, ...over }, JSON_FIELDS);
const refusing =
  (code: number, error: unknown): Served['answer'] =>
  (_request, response) =>
    response.writeHead(code, JSON_FIELDS).end(JSON.stringify({ error }));

interface Wishes {
  readonly limits?: Partial<TokenExchangeLimits>;
  readonly cache?: number;
  readonly endpoint?: string | undefined;
}

async function start(t: TestContext, answer: Served['answer'], wishes: Wishes = {}) {
  const server = await serve(t);
  const asked: Asked[] = [];
  server.answer = answering(asked, answer);
  const events: TokenExchangeEvent[] = [];
  const { cache = 60, limits, endpoint = `${server.origin}/token` } = wishes;
  const exchanger = new TokenExchanger({
    issuer: makeIssuer({ from: 'discovery', uri: undefined }, { issuer: server.origin }),
    rules: {
      endpoint: 'endpoint' in wishes ? wishes.endpoint : endpoint,
      clientId: 'gateway',
      credentials: SECRET,
      cache,
    },
    onEvent: (event) => events.push(event),
    ...(limits && { limits }),
  });
  t.after(() => exchanger.close());
  const exchange = async ({ token = 'of-a-client', client = 'alice', terms = ORDERS, now = NOW } = {}) => {
    const got = await exchanger.exchange({ token, client }, terms, now);
    return got instanceof Rejection ? got.reason : got;
  };
  return { server, asked, events, exchanger, exchange };
}

describe('nothing is sent on, and nothing is remembered, after an answer', () => {
  const hostile: Readonly<Record<string, { answer: Served['answer']; error: RegExp }>> = {
    'that is no JSON': { answer: json('access_token=x', JSON_FIELDS), error: /not one JSON object/ },
    'that is a list': { answer: json([ISSUED], JSON_FIELDS), error: /not one JSON object/ },
    'with a member twice': {
      answer: json(JSON.stringify(ISSUED).replace('{', '{"access_token":"other",'), JSON_FIELDS),
      error: /not one JSON object/,
    },
    'of another media type': { answer: json(ISSUED, { 'content-type': 'text/html' }), error: /not application\/json/ },
    'without a token': { answer: issuing({ access_token: undefined }), error: /not a bearer token/ },
    'with an empty token': { answer: issuing({ access_token: '' }), error: /not a bearer token/ },
    'with a field of its own in the token': {
      answer: issuing({ access_token: 'x\r\nX-Auth-Subject: admin' }),
      error: /not a bearer token/,
    },
    'with a space in the token': { answer: issuing({ access_token: 'x, Basic y' }), error: /not a bearer token/ },
    'with a token that is no text': { answer: issuing({ access_token: ['x'] }), error: /not a bearer token/ },
    'with a token beyond the size of one': {
      answer: issuing({ access_token: 'x'.repeat(16_385) }),
      error: /not a bearer/,
    },
    'with the token of the client': { answer: issuing({ access_token: 'of-a-client' }), error: /came back unchanged/ },
    'with a DPoP token, which a key belongs to': {
      answer: issuing({ token_type: 'DPoP' }),
      error: /token_type is not/,
    },
    'with N_A, which is not a token to be shown': {
      answer: issuing({ token_type: 'N_A' }),
      error: /token_type is not/,
    },
    'without token_type': { answer: issuing({ token_type: undefined }), error: /token_type is not Bearer/ },
    'without issued_token_type': {
      answer: issuing({ issued_token_type: undefined }),
      error: /issued_token_type is not/,
    },
    'with an ID token': {
      answer: issuing({ issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' }),
      error: /issued_token_type is not/,
    },
    'that is larger than it may be': { answer: issuing({ pad: 'x'.repeat(70_000) }), error: /MAX_SIZE/ },
    'with 500': { answer: status(500), error: /answered 500/ },
    'with 201': {
      answer: (_request, response) => response.writeHead(201, JSON_FIELDS).end(JSON.stringify(ISSUED)),
      error: /answered 201/,
    },
    'that redirects elsewhere': {
      answer: status(307, { location: 'https://elsewhere.example/' }),
      error: /answered 307/,
    },
    'that breaks off': { answer: breakOff, error: /UND_ERR_SOCKET|ECONNRESET/ },
    invalid_client: { answer: refusing(401, 'invalid_client'), error: /answered 401 \(invalid_client\)/ },
    invalid_target: { answer: refusing(400, 'invalid_target'), error: /answered 400 \(invalid_target\)/ },
    'with an error that is made up': { answer: refusing(400, 'Bearer secret'), error: /answered 400$/ },
  };
  for (const [name, { answer, error }] of Object.entries(hostile)) {
    test(name, async (t) => {
      const { exchange, events, server } = await start(t, answer);
      assert.equal(await exchange(), 'token_exchange_unavailable');
      assert.equal(await exchange(), 'token_exchange_unavailable');
      const failed = events.flatMap((event) => (event.result === 'failed' ? [event.error] : []));
      assert.equal(failed.length, 2);
      for (const text of failed) assert.match(text, error);
      assert.doesNotMatch(failed.join(), /of-a-client|for-orders|secret/);
      server.answer = issuing();
      assert.equal(await exchange(), 'for-orders');
    });
  }

  test('that never ends: the time for one is the time for it', async (t) => {
    const { exchange } = await start(t, () => {}, { limits: { timeout: 0.05 } });
    assert.equal(await exchange(), 'token_exchange_unavailable');
  });
});

describe('an exchange', () => {
  test('is a POST with what RFC 8693 §2.1 wants and the credentials of the gateway, and no line break parts it', async (t) => {
    const { exchange, asked } = await start(t, issuing({ token_type: 'bearer' }));
    const form = 'audience=orders&audience=invoices&resource=https%3A%2F%2Forders.internal%2F&scope=read+write';
    const terms = {
      audience: ['orders', 'invoices'],
      resource: ['https://orders.internal/'],
      scope: ['read', 'write'],
      name: 'all',
      form,
    };
    assert.equal(await exchange({ terms, token: 'a+b&c=d' }), 'for-orders');
    const [{ method, path, fields, body } = assert.fail()] = asked;
    assert.deepEqual([method, path], ['POST', '/token']);
    assert.match(fields.authorization ?? '', /^Basic /);
    assert.deepEqual(
      [...body],
      [
        ['grant_type', 'urn:ietf:params:oauth:grant-type:token-exchange'],
        ['subject_token', 'a+b&c=d'],
        ['subject_token_type', ACCESS_TOKEN],
        ['requested_token_type', ACCESS_TOKEN],
        ['audience', 'orders'],
        ['audience', 'invoices'],
        ['resource', 'https://orders.internal/'],
        ['scope', 'read write'],
      ],
    );
  });

  test('goes to the token endpoint that metadata of this very issuer names', async (t) => {
    const limits = { endpoint: { keep: 600, retry: 0 } };
    const { exchange, server, asked } = await start(t, issuing(), { endpoint: undefined, limits });
    const metadata = (issuer: string) => json({ issuer, token_endpoint: `${server.origin}/found` }, JSON_FIELDS);
    const answer = server.answer;
    const withMetadata =
      (issuer: string): Served['answer'] =>
      (request, response) =>
        (request.method === 'GET' ? metadata(issuer) : answer)(request, response);
    server.answer = withMetadata('https://evil.example');
    assert.equal(await exchange(), 'token_exchange_unavailable');
    assert.deepEqual(asked, []);
    server.answer = withMetadata(server.origin);
    assert.equal(await exchange(), 'for-orders');
    assert.deepEqual(
      asked.map(({ path }) => path),
      ['/found'],
    );
  });

  test('is one call however many ask for it at once', async (t) => {
    const { exchange, asked } = await start(t, issuing());
    const got = await Promise.all(Array.from({ length: 50 }, () => exchange()));
    assert.deepEqual(new Set(got), new Set(['for-orders']));
    assert.equal(asked.length, 1);
  });

  test('that fails fails for all who wait for it, and no one gets the token of the client', async (t) => {
    const { exchange, asked } = await start(t, status(503));
    const got = await Promise.all(Array.from({ length: 20 }, () => exchange()));
    assert.deepEqual(new Set(got), new Set(['token_exchange_unavailable']));
    assert.equal(asked.length, 1);
  });
});

describe('what was issued is used again', () => {
  const numbered = () => {
    let issued = 0;
    return (over: object = {}): Served['answer'] =>
      (request, response) => {
        issued += 1;
        issuing({ access_token: `n${issued}`, ...over })(request, response);
      };
  };

  test('for the same token and audience alone', async (t) => {
    const { exchange } = await start(t, numbered()());
    assert.equal(await exchange(), 'n1');
    assert.equal(await exchange({ terms: INVOICES }), 'n2');
    assert.equal(await exchange({ token: 'of-another' }), 'n3');
    assert.equal(await exchange(), 'n1');
    // Neither of these is the same text put together in another way.
    const glued = { ...ORDERS, form: 'audience=orders\nof' };
    assert.equal(await exchange({ terms: glued, token: '-a-client' }), 'n4');
  });

  test('for the time of the policy, or until ten seconds before its end, and not a moment longer', async (t) => {
    const of = async (over: object, cache: number, after: number) => {
      const { exchange } = await start(t, numbered()(over), { cache });
      assert.equal(await exchange(), 'n1');
      return await exchange({ now: NOW + after });
    };
    assert.equal(await of({ expires_in: 300 }, 60, 59.9), 'n1');
    assert.equal(await of({ expires_in: 300 }, 60, 60), 'n2');
    assert.equal(await of({ expires_in: 30 }, 60, 19.9), 'n1');
    assert.equal(await of({ expires_in: 30 }, 60, 20), 'n2');
    // A clock that steps back prolongs nothing.
    assert.equal(await of({ expires_in: 300 }, 60, -60), 'n2');
  });

  for (const expires of [undefined, '300', 0, -1, 10, null]) {
    test(`not at all where expires_in is ${expires}`, async (t) => {
      const { exchange } = await start(t, numbered()({ expires_in: expires }));
      assert.deepEqual([await exchange(), await exchange()], ['n1', 'n2']);
    });
  }
});

describe('a token that the issuer refuses', () => {
  for (const error of ['invalid_grant', 'invalid_request', 'invalid_token', 'access_denied']) {
    test(`with ${error} is refused for ten seconds, without another call`, async (t) => {
      const { exchange, asked, server } = await start(t, refusing(400, error));
      assert.equal(await exchange(), 'token_exchange_refused');
      server.answer = answering(asked, issuing());
      assert.equal(await exchange({ now: NOW + 9 }), 'token_exchange_refused');
      assert.equal(asked.length, 1);
      assert.equal(await exchange({ now: NOW + 10 }), 'for-orders');
      assert.equal(await exchange({ now: NOW + 11 }), 'for-orders');
    });
  }

  test('does not push out what was issued to others', async (t) => {
    const { exchange, server, asked } = await start(t, issuing(), { limits: { tokens: 2 } });
    assert.equal(await exchange({ token: 'good' }), 'for-orders');
    server.answer = answering(asked, refusing(400, 'invalid_grant'));
    for (let nth = 0; nth < 10; nth++) assert.equal(await exchange({ token: `bad-${nth}` }), 'token_exchange_refused');
    assert.equal(await exchange({ token: 'good' }), 'for-orders');
  });
});

test('one client with many tokens waits for itself, and others do not wait for it', async (t) => {
  const held: (() => void)[] = [];
  const holding: Served['answer'] = (request, response) => void held.push(() => issuing()(request, response));
  const calls = { turns: 4, unknown: 4, perClient: 2, waiting: 2 };
  const { exchange, asked, events } = await start(t, holding, { limits: { calls } });
  const greedy = Array.from({ length: 8 }, (_, nth) => exchange({ token: `greedy-${nth}`, client: 'greedy' }));
  const other = exchange({ token: 'other', client: 'bob' });
  const answerAll = setInterval(() => {
    if (asked.length >= 3) for (const answer of held.splice(0)) answer();
  }, 5);
  t.after(() => clearInterval(answerAll));
  assert.equal(await other, 'for-orders');
  const got = await Promise.all(greedy);
  assert.deepEqual(got.filter((one) => one === 'for-orders').length, 4);
  assert.deepEqual(got.filter((one) => one === 'token_exchange_queue_full').length, 4);
  assert.equal(events.filter(({ result }) => result === 'queue_full').length, 4);
});
