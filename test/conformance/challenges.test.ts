// Every challenge by the grammar of RFC 9110 §11.2, against RFC 6750 §3 and RFC 9449 §7.1.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChallengeTerms, challenges, type Scheme } from '../../src/rejection/challenge.ts';
import { REASON_NAMES, REASONS, type Reason, reject } from '../../src/rejection/rejection.ts';

const SCHEMES: readonly (readonly Scheme[])[] = [['DPoP'], ['DPoP', 'Bearer'], ['Bearer', 'DPoP']];
const PRESENTED = ['DPoP', 'Bearer', 'other', 'none'] as const;
const FULL = {
  algs: 'ES256 EdDSA',
  scope: 'orders:read a/b',
  acrValues: 'urn:example:loa3',
  maxAge: 600,
  resourceMetadata: 'https://api.example.com/.well-known/oauth-protected-resource/orders',
};
const BARE = { algs: 'ES256', scope: undefined, acrValues: undefined, maxAge: undefined };

interface Read {
  readonly scheme: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** One challenge: scheme, SP, auth-params with quoted values. Fails on anything else. */
function readChallenge(text: string): Read {
  const [, scheme = '', rest = ''] = /^([A-Za-z]+) (.+)$/.exec(text) ?? assert.fail(text);
  const parameters = rest.split(/, (?=[a-z_]+=")/).map((parameter) => {
    const [, name = '', value = ''] = /^([a-z_]+)="((?:[^"\\]|\\.)*)"$/.exec(parameter) ?? assert.fail(parameter);
    return [name, value] as const;
  });
  return { scheme, parameters };
}

interface Made {
  readonly reason: Reason;
  readonly presented: (typeof PRESENTED)[number];
  readonly terms: ChallengeTerms;
  readonly all: readonly Read[];
}

/** A nonce is asked for only of clients that presented DPoP. */
const presentedBy = (reason: Reason) => (REASONS[reason].error === 'use_dpop_nonce' ? (['DPoP'] as const) : PRESENTED);

const MADE: readonly Made[] = REASON_NAMES.flatMap((reason) =>
  SCHEMES.flatMap((schemes) =>
    [FULL, BARE].flatMap((rest) =>
      presentedBy(reason).map((presented) => {
        const terms = { schemes, ...rest };
        const texts = challenges(reject(reason), terms, { presented, realm: 'api.example.com:8443' });
        return { reason, presented, terms, all: texts.map(readChallenge) };
      }),
    ),
  ),
);
const EVERY = MADE.flatMap(({ all }) => all);
const valueOf = ({ parameters }: Read, name: string) => parameters.find(([found]) => found === name)?.[1];

test('every challenge is Bearer or DPoP with at least one parameter, and none twice', () => {
  assert.ok(EVERY.length > 100);
  for (const { scheme, parameters } of EVERY) {
    assert.match(scheme, /^(?:Bearer|DPoP)$/);
    assert.ok(parameters.length > 0);
    assert.equal(new Set(parameters.map(([name]) => name)).size, parameters.length);
  }
});

test('scope, error and error_description keep to their characters (RFC 6750 §3)', () => {
  for (const challenge of EVERY) {
    assert.match(valueOf(challenge, 'scope') ?? 'a', /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/);
    for (const name of ['error', 'error_description']) {
      assert.match(valueOf(challenge, name) ?? 'a', /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
    }
  }
});

test('every DPoP challenge names the algorithms of the route (RFC 9449 §7.1)', () => {
  for (const { terms, all } of MADE) {
    for (const challenge of all) {
      assert.equal(valueOf(challenge, 'algs'), challenge.scheme === 'DPoP' ? terms.algs : undefined);
    }
  }
});

test('a request without authentication information, or with another scheme, gets challenges without error', () => {
  const silent = MADE.filter(({ reason }) => reason === 'credentials_missing' || reason === 'scheme_not_accepted');
  for (const { all } of silent) {
    assert.ok(all.length > 0);
    for (const challenge of all) {
      assert.deepEqual([valueOf(challenge, 'error'), valueOf(challenge, 'error_description')], [undefined, undefined]);
    }
  }
});

test('a client whose token failed learns the error, and on the challenge of the scheme presented where that is offered', () => {
  for (const { reason, presented, terms, all } of MADE) {
    const { error } = REASONS[reason];
    if (error === false || error === 'none' || all.length === 0) continue;
    const saying = all.filter((challenge) => valueOf(challenge, 'error') === error);
    assert.ok(saying.length > 0, reason);
    const unambiguous = terms.schemes.some((scheme) => scheme === presented) && reason !== 'credentials_repeated';
    if (unambiguous) assert.deepEqual(new Set(saying.map(({ scheme }) => scheme)), new Set([presented]));
  }
});

test('each error comes with its status: invalid_request 400, insufficient_scope 403, every other 401', () => {
  const expected: Readonly<Record<string, number>> = { invalid_request: 400, insufficient_scope: 403 };
  for (const { error, status } of Object.values(REASONS)) {
    if (error !== false && error !== 'none') assert.equal(status, expected[error] ?? 401);
  }
});

test('every refusal of a token is invalid_token, but for keys that are out of reach', () => {
  const tokens = REASON_NAMES.filter((reason) => REASONS[reason].stage === 'token');
  const others = tokens.filter((reason) => REASONS[reason].error !== 'invalid_token');
  assert.deepEqual(others, ['issuer_unavailable', 'introspection_queue_full']);
});
