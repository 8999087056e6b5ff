// Mistakes of client developers, each with what its refusal has to say.

import type { Mistake } from './mistaken.ts';
import { PROOFS } from './mistakes-proof.ts';
import { POLICIES, REQUESTS } from './mistakes-request.ts';
import { CERTIFICATES, CREDENTIALS, TOKENS } from './mistakes-token.ts';

export const MISTAKES: readonly Mistake[] = [
  ...CREDENTIALS,
  ...TOKENS,
  ...CERTIFICATES,
  ...PROOFS,
  ...POLICIES,
  ...REQUESTS,
];
