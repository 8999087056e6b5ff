// Recipes of requests with JWT access tokens: scheme, binding, proof and mutations.

import fc from 'fast-check';
import { editOf, json, singleEdits, type Worth, words } from './edits.ts';
import type { Edit } from './recipe.ts';
import { NOW, ORIGIN } from './proof-recipes.ts';

export const SIGNERS = ['ES256', 'EdDSA', 'PS256', 'RS256'] as const;

type Confirmation =
  | 'none'
  | 'jkt'
  | 'x5t'
  | 'both'
  | 'jkt and unknown'
  | 'unknown'
  | 'empty'
  | 'null'
  | 'array'
  | 'text';

export interface DecisionRecipe {
  /** Algorithm of the issuer's key that signs the token. */
  readonly signer: (typeof SIGNERS)[number];
  readonly scheme: string;
  /** Between the scheme and the token. */
  readonly space: string;
  readonly requireDpop: boolean;
  readonly cnf: Confirmation | 'jkt null' | 'jkt empty';
  readonly proof: 'none' | 'good' | 'other key' | 'other token' | 'other method' | 'other path' | 'twice';
  readonly certificate: boolean;
  readonly tokenEdits: readonly Edit[];
  readonly proofEdits: readonly Edit[];
}

const GOOD: DecisionRecipe = {
  signer: 'ES256',
  scheme: 'Bearer',
  space: ' ',
  requireDpop: false,
  cnf: 'none',
  proof: 'none',
  certificate: false,
  tokenEdits: [],
  proofEdits: [],
};
export const decisionRecipe = (over: Partial<DecisionRecipe>): DecisionRecipe => ({ ...GOOD, ...over });
export const bound = (over: Partial<DecisionRecipe>) =>
  decisionRecipe({ scheme: 'DPoP', cnf: 'jkt', proof: 'good', ...over });

const times = (...offsets: readonly number[]) => json(...offsets.map((offset) => NOW + offset));

/** Edges of the times are left out: oauth4webapi reads the clock itself, in whole seconds. */
const TOKEN_WORTH: Worth = {
  header: {
    typ: json('JWT', 'at+jwt', 'AT+JWT', 'application/at+jwt', 'application/jwt', 'dpop+jwt', 'at+jwt ', 'id+jwt'),
    alg: json('none', 'HS256', 'ES256', 'ES384', 'RS256', 'PS256', 'EdDSA', 'Ed25519', 'es256'),
    kid: json('ES256', 'EdDSA', 'PS256', 'RS256', 'unknown', 5),
    crit: json(['exp'], [], ['b64']),
    b64: json(true),
    jwk: json({ kty: 'oct', k: 'AAAA' }),
    jku: json('https://evil.example/'),
  },
  jwk: {},
  claims: {
    iss: json('https://login.example.com', 'https://login.example.com/', 'https://evil.example', [
      'https://login.example.com',
    ]),
    aud: json(ORIGIN, [ORIGIN], ['x', ORIGIN], [], [5, ORIGIN], `${ORIGIN}/`, 'shop', ['shop', ORIGIN]),
    exp: times(-400, -100, 100, 1e6),
    nbf: times(-100, 100, 400),
    iat: times(-1e6, 0, 400, 1e6),
    sub: json('alice', 5),
    client_id: json('shop', 5),
    jti: json('t1', 5),
    scope: json('a b', ['a'], [5]),
    nonce: json('n'),
    at_hash: json('x'),
    events: json({}),
  },
};

const PROOF_WORTH: Worth = {
  header: {
    typ: json('DPOP+JWT', 'application/dpop+jwt', 'JWT'),
    alg: json('none', 'HS256', 'ES384', 'RS256'),
    crit: json(['exp']),
    b64: json(true),
  },
  jwk: {
    use: json('sig', 'enc'),
    key_ops: json(['verify'], ['sign']),
    alg: json('ES256', 'ES384'),
    d: json('AAAA'),
    p: json('AAAA'),
    crv: json('P-384'),
    kty: json('RSA'),
    x: json('AAAA'),
  },
  claims: {
    jti: json('a', 5),
    htm: json('GET', 'POST', 'get'),
    htu: json(
      ...words('/orders/1?a#b /orders/1/ /%6frders/1 /orders/%31 /x/../orders/1 \\orders\\1').map(
        (path) => ORIGIN + path,
      ),
      ...words(
        'HTTPS://API.example.com:443/orders/1 https:api.example.com/orders/1 https://%61pi.example.com/orders/1',
      ),
      ...words('https://user@api.example.com/orders/1 http://api.example.com/orders/1 /orders/1'),
      `${ORIGIN}/orders/1 `,
    ),
    iat: times(-400, -310, -290, 290, 310),
    ath: json('fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo'),
    exp: times(-400, -100, 100),
    nbf: times(-100, 100, 400),
    nonce: json('x'),
  },
};

const tokenEdit = editOf(TOKEN_WORTH);
const proofEdit = editOf(PROOF_WORTH);

/** Good requests with one mutation of token or proof, all of them. */
export const SINGLE_MUTATIONS: readonly DecisionRecipe[] = [
  ...singleEdits(TOKEN_WORTH).map((edit) => bound({ tokenEdits: [edit] })),
  ...singleEdits(PROOF_WORTH).map((edit) => bound({ proofEdits: [edit] })),
];

const presentation = {
  signer: fc.constantFrom(...SIGNERS),
  scheme: fc.constantFrom('Bearer', 'DPoP', 'DPoP', 'bearer', 'dPoP', 'Basic', ''),
  space: fc.constantFrom(' ', ' ', ' ', ' ', '  ', '\t', '', ' x '),
  requireDpop: fc.boolean(),
  cnf: fc.constantFrom<DecisionRecipe['cnf'][]>(
    ...(['none', 'jkt', 'x5t', 'both', 'jkt and unknown', 'unknown'] as const),
    ...(['empty', 'null', 'array', 'text', 'jkt null', 'jkt empty'] as const),
  ),
  proof: fc.constantFrom<DecisionRecipe['proof'][]>(
    'none',
    'good',
    'other key',
    'other token',
    'other method',
    'other path',
    'twice',
  ),
  certificate: fc.boolean(),
};
const presented = fc.record({ ...presentation, tokenEdits: fc.constant([]), proofEdits: fc.constant([]) });

const goodOnes = fc.constantFrom(
  decisionRecipe({}),
  bound({}),
  bound({ requireDpop: true }),
  bound({ scheme: 'dpop' }),
);
const good = fc.tuple(goodOnes, presentation.signer).map(([one, signer]): DecisionRecipe => ({ ...one, signer }));
const withTokenEdits = fc
  .tuple(good, fc.array(tokenEdit, { minLength: 1, maxLength: 2 }))
  .map(([one, tokenEdits]): DecisionRecipe => ({ ...one, tokenEdits }));
const withProofEdits = fc
  .tuple(fc.array(proofEdit, { minLength: 1, maxLength: 2 }), presentation.signer)
  .map(([proofEdits, signer]) => bound({ proofEdits, signer }));

export const decisionRecipes: fc.Arbitrary<DecisionRecipe> = fc.oneof(
  { weight: 2, arbitrary: good },
  { weight: 3, arbitrary: presented },
  { weight: 4, arbitrary: withTokenEdits },
  { weight: 3, arbitrary: withProofEdits },
);
