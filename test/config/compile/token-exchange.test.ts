// Token exchange in the configuration: who exchanges, for whom, and what cannot be meant.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describePolicy } from '../../../src/config/report/describe.ts';
import { assertProblems, policyOf } from '../../support/policies.ts';

const AT = 'issuers.login.token_exchange';
const SECRET = { [`${AT}.client_secret_file`]: 's3cret' };
const issuers = (exchange = 'client_id: gateway, client_secret_file: s') =>
  `login: { issuer: https://a.example, audience: [a], token_exchange: { ${exchange} } }`;
const route = (forward: string, more = ', weaker_than_defaults: [authorization]') =>
  `- { name: orders, match: { path: /* }, upstream: orders, forward: { ${forward} }${more} }`;
const EXCHANGE = 'authorization: exchange, token_exchange: { audience: [orders, "b c"], scope: [read, write] }';

describe('a route that exchanges tokens', () => {
  test('says for whom, in the parameters of RFC 8693', () => {
    const { routes, issuers: compiled } = policyOf({ issuers: issuers(), routes: route(EXCHANGE) }, { files: SECRET });
    assert.equal(routes[0]?.forward.authorization, 'exchange');
    assert.deepEqual(routes[0]?.forward.exchange, {
      audience: ['orders', 'b c'],
      resource: [],
      scope: ['read', 'write'],
      name: 'orders, b c',
      form: 'audience=orders&audience=b+c&scope=read+write',
    });
    assert.deepEqual(compiled[0]?.tokenExchange, {
      endpoint: undefined,
      clientId: 'gateway',
      credentials: { method: 'client_secret_basic', secret: 's3cret' },
      cache: 300,
    });
  });

  test('takes what the defaults say, which public routes leave alone', () => {
    const more =
      'defaults:\n  forward: { authorization: exchange, token_exchange: { resource: ["https://orders.internal/"] } }\n';
    const routes = `- { name: orders, match: { path: /orders/* }, upstream: orders }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }`;
    const policy = policyOf({ issuers: issuers(), routes, more }, { files: SECRET });
    assert.deepEqual(
      policy.routes.map(({ forward }) => forward.exchange?.form),
      ['resource=https%3A%2F%2Forders.internal%2F', undefined],
    );
  });

  test('is described with issuer, client and audience, and without a secret', () => {
    const policy = policyOf({ issuers: issuers(), routes: route(EXCHANGE) }, { files: SECRET });
    const text = JSON.stringify(describePolicy(policy).routes);
    assert.match(
      text,
      /with another access token as Bearer, for orders, b c \(scope read write\), got in exchange for the client's \(RFC 8693\) from https:\/\/a\.example at the endpoint of its metadata by gateway with client_secret_basic, used 300 s at most/,
    );
    assert.doesNotMatch(text, /s3cret/);
  });

  test('is weaker than defaults that remove the token, and less weak than one that passes it on', () => {
    assertProblems(
      {
        issuers: issuers(),
        routes: route(EXCHANGE, '').replace('authorization: exchange', 'authorization: «exchange'),
      },
      [
        'routes[0].forward.authorization: is weaker than the defaults, expected weaker_than_defaults: [authorization] on this route, or a value that is not',
      ],
      { files: SECRET },
    );
    const more = 'defaults: { forward: { authorization: bearer } }\n';
    policyOf({ issuers: issuers(), routes: route(EXCHANGE, ''), more }, { files: SECRET });
  });
});

describe('what cannot be meant', () => {
  const wrong: Readonly<
    Record<string, { readonly forward: string; readonly problem: string; readonly more?: string }>
  > = {
    'an exchange for nobody': {
      forward: 'authorization: «exchange',
      problem:
        'routes[0].forward.authorization: is exchange, expected forward.token_exchange with the audience or resource of the upstream',
    },
    'an audience without an exchange': {
      forward: 'authorization: bearer, token_exchange: «{ audience: [orders] }',
      problem:
        'routes[0].forward.token_exchange: is given although authorization is bearer, expected authorization: exchange, or no token_exchange',
    },
    'an exchange on a public route': {
      forward: 'authorization: «exchange, token_exchange: { audience: [orders] }',
      problem:
        'routes[0].forward.authorization: is exchange on a public route, where no token is looked at, expected none',
      more: ', require: public, weaker_than_defaults: [require, authorization]',
    },
  };
  for (const [name, { forward, problem, more }] of Object.entries(wrong)) {
    test(name, () => {
      assertProblems({ issuers: issuers(), routes: route(forward, more) }, [problem], { files: SECRET });
    });
  }

  test('an exchange of tokens whose issuer is not asked for any', () => {
    const plain = 'login: { issuer: https://a.example, audience: [a] }';
    assertProblems(
      { issuers: plain, routes: route(EXCHANGE).replace('authorization: exchange', 'authorization: «exchange') },
      [
        'routes[0].forward.authorization: is exchange, and issuer login has no token_exchange, expected one with client_id and credentials',
      ],
    );
  });

  test('an endpoint over http beyond loopback, and none where nothing can be discovered', () => {
    const http = 'client_id: gateway, client_secret_file: s, endpoint: «http://login.internal/token';
    assertProblems(
      { issuers: issuers(http) },
      [
        `${AT}.endpoint: is http beyond loopback, where tokens can be read and answers be replaced on the way, expected https, or insecure_http: true on the issuer`,
      ],
      { files: SECRET },
    );
    const named = `login: { issuer: «urn:issuer, audience: [a], keys: { jwks_uri: "https://a.example/jwks" }, token_exchange: { client_id: g, client_secret_file: s } }`;
    assertProblems(
      { issuers: named },
      [
        'issuers.login.issuer: is not a URL, so nothing can be discovered there, expected token_exchange.endpoint as well',
      ],
      { files: SECRET },
    );
  });
});
