// Every challenge as real client libraries read it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChallengeTerms, challenges, type Scheme } from '../../src/rejection/challenge.ts';
import { causesOf, REASON_NAMES, REASONS, type Reason, reject } from '../../src/rejection/rejection.ts';
import { READERS, type Seen } from './challenge-readers.ts';

const ROUTES: readonly (readonly Scheme[])[] = [['DPoP'], ['DPoP', 'Bearer'], ['Bearer', 'DPoP']];
const PLAIN = { algs: 'ES256', scope: undefined, acrValues: undefined, maxAge: undefined };
/** Values that could be taken for something else: a comma, an equals sign, the word itself. */
const FULL = {
  algs: 'ES256 EdDSA',
  scope: 'a,b c=d error',
  acrValues: 'urn:example:loa3',
  maxAge: 600,
  resourceMetadata: 'https://api.example.com/.well-known/oauth-protected-resource/orders',
};
const TERMS: readonly ChallengeTerms[] = ROUTES.flatMap((schemes) =>
  [PLAIN, FULL].map((rest) => ({ schemes, ...rest })),
);

/** Of the page about a reason, with `problem_base`. */
const PAGE = 'https://docs.example.com/holdfast/rejections?lang#token_expired';

/** Refusals of a client that presented one of the schemes of the route. */
function seenBy(scheme: Scheme): { reason: Reason; seen: Seen }[] {
  const offering = TERMS.filter(({ schemes }) => schemes.includes(scheme));
  return REASON_NAMES.flatMap((reason) =>
    [reject(reason), ...Object.keys(causesOf(reason)).map((what) => reject(reason, { what }))].flatMap((rejection) =>
      offering.flatMap((terms) =>
        [undefined, PAGE].map((errorUri) => ({
          reason,
          seen: {
            status: rejection.status,
            lines: challenges(rejection, terms, { presented: scheme, realm: 'api.example.com:8443', errorUri }),
          },
        })),
      ),
    ),
  );
}

for (const { name, scheme, nonceOnly, error } of READERS) {
  test(`${name} reads every refusal of a request with scheme ${scheme}`, async () => {
    for (const { reason, seen } of seenBy(scheme)) {
      // A DPoP proof that lacks a nonce is never refused to a client that presented Bearer.
      const asksForNonce = REASONS[reason].error === 'use_dpop_nonce';
      if (seen.lines.length === 0 || (asksForNonce && scheme === 'Bearer')) continue;
      const said = REASONS[reason].error === 'none' ? undefined : String(REASONS[reason].error);
      const expected = nonceOnly && !asksForNonce ? undefined : said;
      assert.equal(await error(seen), expected, `${reason}: ${seen.lines.join(' | ')}`);
    }
  });
}

test('use_dpop_nonce is one line, the DPoP challenge, which begins with the error (RFC 9449 figure 24)', () => {
  for (const terms of TERMS) {
    for (const reason of ['nonce_required', 'nonce_stale'] as const) {
      const lines = challenges(reject(reason), terms, { presented: 'DPoP', realm: 'api.example.com', errorUri: PAGE });
      assert.equal(lines.length, 1);
      assert.match(
        lines[0] ?? '',
        /^DPoP error="use_dpop_nonce", error_description="[^",=]+", error_uri="[^",=]+", algs="/,
      );
    }
  }
});

test('in every challenge error comes first, then error_description and error_uri, then the rest', () => {
  for (const { seen } of [...seenBy('DPoP'), ...seenBy('Bearer')]) {
    for (const line of seen.lines) {
      const names = [...line.matchAll(/([a-z_]+)="(?:[^"\\]|\\.)*"/g)].map(([, name]) => name);
      const failed = names.includes('error');
      assert.deepEqual(names.slice(0, 2), failed ? ['error', 'error_description'] : names.slice(0, 2), line);
      assert.equal(names.includes('error_description'), failed, line);
      assert.ok(!names.includes('error_uri') || (failed && names[2] === 'error_uri'), line);
    }
  }
});

test('the challenge of the scheme that failed comes before those that are only offered', () => {
  const terms: ChallengeTerms = { schemes: ['DPoP', 'Bearer'], ...PLAIN };
  for (const scheme of terms.schemes) {
    const [first, ...others] = challenges(reject('token_expired'), terms, {
      presented: scheme,
      realm: 'api.example.com',
      errorUri: PAGE,
    });
    assert.ok(first?.startsWith(`${scheme} error="invalid_token"`));
    assert.equal(others.length, 1);
    assert.doesNotMatch(others.join(), /error/);
  }
});
