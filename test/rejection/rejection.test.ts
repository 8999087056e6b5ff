// The table of reasons and what is derived from it: statuses, challenges, problem documents.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ChallengeTerms, challenges, type Scheme } from '../../src/rejection/challenge.ts';
import { causesOf, REASON_NAMES, REASONS, type Reason, reject, wordingOf } from '../../src/rejection/rejection.ts';
import { STAGES } from '../../src/rejection/reason-row.ts';
import { rejectionAnswer } from '../../src/rejection/answer.ts';

const terms: ChallengeTerms = {
  schemes: ['DPoP', 'Bearer'],
  algs: 'ES256 EdDSA',
  scope: 'orders:read',
  acrValues: 'gold silver',
  maxAge: 600,
};
const dpopOnly: ChallengeTerms = { ...terms, schemes: ['DPoP'], scope: undefined };
const say = (reason: Reason, presented: Scheme | 'other' | 'none', over = terms) =>
  challenges(reject(reason), over, { presented, realm: 'api.example.com' });

describe('table', () => {
  test('reasons stand in the order of the stages', () => {
    const stages = REASON_NAMES.map((reason) => STAGES.indexOf(REASONS[reason].stage));
    assert.deepEqual(
      stages,
      stages.toSorted((a, b) => a - b),
    );
  });
  test('a rejection has the stage and the status of its reason', () => {
    const rejection = reject('scope_insufficient');
    assert.deepEqual([rejection.stage, rejection.status], ['policy', 403]);
  });
  test('every title can stand in an error_description (RFC 6750 §3)', () => {
    for (const { title } of Object.values(REASONS)) assert.match(title, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/);
  });
  test('no title has a comma or an equals sign, at which some clients split a challenge', () => {
    for (const { title } of Object.values(REASONS)) assert.doesNotMatch(title, /[,=]/);
  });
});

/** Every word that is said to clients. */
const publicWords = REASON_NAMES.flatMap((reason) =>
  [REASONS[reason], ...Object.values(causesOf(reason))].flatMap(({ title, remedy }) => [title, remedy]),
);

describe('words', () => {
  test('for clients name no key of the configuration, and send nobody to a log that only the operator reads', () => {
    // `acr_values` and `max_age` are parameters of a challenge, `request_id` is a member of the answer.
    const others = /\b(?:acr_values|max_age|request_id|access_token|api\.example\.com)\b/g;
    for (const words of publicWords) {
      assert.doesNotMatch(
        words.replaceAll(others, ''),
        /\[\]|\*\.|_|[a-z]\.[a-z]+(?!#)\b(?<!cnf\.jkt|cnf\.x5t)|\blogs? has\b/,
        words,
      );
    }
  });
  test('are those of the cause where the reason has some for it, else those of the reason', () => {
    for (const reason of REASON_NAMES) {
      const { title, remedy } = REASONS[reason];
      assert.partialDeepStrictEqual(wordingOf(reject(reason)), { title, remedy });
      for (const what of ['another', '', 'constructor', '__proto__']) {
        assert.partialDeepStrictEqual(wordingOf(reject(reason, { what })), { title, remedy });
      }
      for (const [what, words] of Object.entries(causesOf(reason))) {
        assert.deepEqual(wordingOf(reject(reason, { what })), words);
        assert.match(words.title, /^[\x20\x21\x23-\x2b\x2d-\x3c\x3e-\x5b\x5d-\x7e]+$/);
        assert.notEqual(words.title, title);
      }
    }
  });
});

describe('challenges', () => {
  const offers = [
    'DPoP algs="ES256 EdDSA", scope="orders:read"',
    'Bearer realm="api.example.com", scope="orders:read"',
  ];
  test('no credentials: every accepted scheme, no error (figure 17)', () => {
    assert.deepEqual(say('credentials_missing', 'none'), offers);
    assert.deepEqual(say('scheme_not_accepted', 'other'), offers);
  });
  test('a failure: the error on the presented scheme alone (figure 18)', () => {
    assert.deepEqual(say('token_expired', 'Bearer'), [
      'Bearer error="invalid_token", error_description="The access token expired", realm="api.example.com", scope="orders:read"',
      offers[0],
    ]);
    assert.deepEqual(say('proof_replayed', 'DPoP'), [
      'DPoP error="invalid_dpop_proof", error_description="The DPoP proof was used before", algs="ES256 EdDSA", scope="orders:read"',
      offers[1],
    ]);
  });
  test('credentials given twice: the error on every challenge (figure 19)', () => {
    const all = say('credentials_repeated', 'Bearer');
    assert.equal(all.length, 2);
    for (const challenge of all) assert.match(challenge, /error="invalid_request"/);
  });
  test('a scheme that the route does not take still learns why, on the challenge that it can meet', () => {
    assert.deepEqual(say('binding_downgraded', 'Bearer', dpopOnly), [
      'DPoP error="invalid_token", error_description="A DPoP-bound access token was presented as Bearer", algs="ES256 EdDSA"',
    ]);
  });
  test('insufficient authentication names acr_values and max_age (RFC 9470 §3)', () => {
    assert.match(say('authentication_insufficient', 'Bearer')[0] ?? '', /acr_values="gold silver", max_age="600"/);
    assert.doesNotMatch(say('token_expired', 'Bearer')[0] ?? '', /acr_values/);
  });
  test('a scope that is missing is named, a claim that no scope can mend is answered without', () => {
    assert.match(say('scope_insufficient', 'Bearer')[0] ?? '', /error="insufficient_scope".*scope="orders:read"/);
    assert.doesNotMatch(say('claim_mismatch', 'Bearer').join(), /scope="/);
  });
  test('429, 5xx and reasons of other stages have no challenge', () => {
    for (const reason of [
      'rate_limited',
      'issuer_unavailable',
      'replay_store_full',
      'route_not_found',
      'upstream_invalid',
    ] as const) {
      assert.deepEqual(say(reason, 'DPoP'), []);
    }
  });
  test('every 401, 403 and credential 400 has at least one challenge', () => {
    for (const reason of REASON_NAMES) {
      const { stage, status, error } = REASONS[reason];
      // No token would help: a preflight never has credentials (Fetch §4.8), and of a proxy in front none is asked.
      const owed =
        status === 401 || (status === 403 && stage !== 'route' && stage !== 'edge') || error === 'invalid_request';
      assert.equal(say(reason, 'DPoP').length > 0, owed, reason);
    }
  });
  test('quotes and backslashes cannot end a parameter', () => {
    const hostile = challenges(
      reject('credentials_missing'),
      { ...terms, scope: 'a"b\\c' },
      { presented: 'none', realm: 'r' },
    );
    assert.match(hostile[0] ?? '', /scope="a\\"b\\\\c"/);
  });
});

describe('answer', () => {
  const answer = (reason: Reason, over: Partial<Parameters<typeof rejectionAnswer>[1]> = {}, facts = {}) =>
    rejectionAnswer(reject(reason, facts), {
      requestId: 'r1',
      challenge: terms,
      presented: 'DPoP',
      realm: 'api.example.com',
      nonce: () => 'fresh',
      explain: false,
      ...over,
    });
  test('is a problem document that nobody may store', () => {
    const { status, fields, body } = answer('proof_replayed');
    assert.equal(status, 401);
    assert.deepEqual(fields.slice(0, 3), [
      ['Content-Type', 'application/problem+json'],
      ['X-Content-Type-Options', 'nosniff'],
      ['Cache-Control', 'no-store'],
    ]);
    assert.deepEqual(JSON.parse(body), {
      type: 'urn:holdfast:rejection:proof_replayed',
      title: 'The DPoP proof was used before',
      status: 401,
      detail: REASONS.proof_replayed.remedy,
      reason: 'proof_replayed',
      request_id: 'r1',
    });
  });
  test('has the challenges of the route, one field line each, and nothing that is not owed', () => {
    const [dpop = '', bearer = ''] = say('token_expired', 'DPoP');
    assert.deepEqual(answer('token_expired').fields.slice(3), [
      ['WWW-Authenticate', dpop],
      ['WWW-Authenticate', bearer],
    ]);
  });
  test('has no challenge before a route is found, because nothing tells what it would take', () => {
    assert.deepEqual(answer('credentials_missing', { challenge: undefined }).fields.slice(3), []);
  });
  test('with problem_base is a URL, which challenges with an error repeat (RFC 6750 §3)', () => {
    const problemBase = 'https://docs.example.com/rejections';
    const page = `${problemBase}#token_expired`;
    const { fields, body } = answer('token_expired', { problemBase });
    assert.equal(JSON.parse(body).type, page);
    const [dpop = '', bearer = ''] = fields.filter(([name]) => name === 'WWW-Authenticate').map(([, value]) => value);
    assert.match(
      dpop,
      new RegExp(`^DPoP error="invalid_token", error_description="[^"]+", error_uri="${page}", algs=`),
    );
    assert.doesNotMatch(bearer, /error/);
    const none = answer('credentials_missing', { problemBase })
      .fields.map(([, value]) => value)
      .join();
    assert.doesNotMatch(none, /error_uri/);
  });
  test('brings a nonce with use_dpop_nonce and never otherwise', () => {
    for (const reason of REASON_NAMES) {
      const nonces = answer(reason).fields.filter(([name]) => name === 'DPoP-Nonce');
      assert.equal(nonces.length, REASONS[reason].error === 'use_dpop_nonce' ? 1 : 0, reason);
    }
  });
  test('says Retry-After, Allow and Connection: close where they belong', () => {
    assert.deepEqual(answer('issuer_unavailable', {}, { retryAfter: 4.2 }).fields.at(-1), ['Retry-After', '5']);
    assert.deepEqual(answer('method_not_allowed', {}, { allow: 'GET, HEAD' }).fields.at(-1), ['Allow', 'GET, HEAD']);
    for (const reason of ['draining', 'request_malformed'] as const) {
      assert.deepEqual(answer(reason).fields.at(-1), ['Connection', 'close']);
    }
  });
  test('tells expected and received only where explain_to_clients allows it', () => {
    const facts = {
      what: 'htu',
      differs: 'scheme',
      expected: 'https://a/b',
      received: 'http://a/b',
      clockOffset: -90,
      name: 'login',
      code: 'ECONNREFUSED',
    };
    const told = (explain: boolean) => JSON.parse(answer('proof_uri_mismatch', { explain }, facts).body);
    const { what, differs, ...others } = told(false);
    assert.deepEqual([what, differs], ['htu', 'scheme']);
    assert.deepEqual(Object.keys(others), ['type', 'title', 'status', 'detail', 'reason', 'request_id']);
    const { expected, received, clock_offset: offset, name, code } = told(true);
    assert.deepEqual([expected, received, offset], ['https://a/b', 'http://a/b', -90]);
    assert.deepEqual([name, code], [undefined, undefined], 'what only the operator can place');
  });
});
