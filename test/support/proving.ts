// The arguments of the proof checks for tests.

import { LRUCache } from 'lru-cache';
import type { ProofTerms } from '../../src/proof/dpop-proof.ts';
import { sha256 } from '../../src/jose/thumbprint.ts';

/** @param given the rest, and what shall be different */
export function makeProofTerms(
  given: Pick<ProofTerms, 'jkt' | 'rules' | 'now' | 'nonces'> & Partial<ProofTerms>,
): ProofTerms {
  return {
    method: 'GET',
    targetUri: 'https://api.example.com/orders/1',
    ath: sha256('token'),
    rememberedSince: 0,
    rememberFor: 75,
    shorterMemories: [],
    keys: new LRUCache({ max: 100 }),
    ...given,
  };
}
