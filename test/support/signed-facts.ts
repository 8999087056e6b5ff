// The arguments of the checks of a message signature: facts of a signed request, terms.

import { createPublicKey, KeyObject } from 'node:crypto';
import type { RequestFacts } from '../../src/request-facts.ts';
import type { SignatureTerms } from '../../src/signature/message-signature.ts';
import { makeFacts } from './facts.ts';
import { componentsOf, signMessage, type SigningWishes } from './signing.ts';
import { makeKey } from './tokens.ts';

export const NOW = 1_800_000_000.5;
export const HOLDER = await makeKey();

/** By which every request here is signed unless it says otherwise. */
export const HOLDER_KEY = KeyObject.from(HOLDER.privateKey);

type FieldLine = readonly [name: string, value: string];

export interface SignedWishes extends SigningWishes {
  readonly by?: KeyObject;
  readonly method?: string;
  readonly target?: string;
  /** Beside Authorization and DPoP. */
  readonly fields?: readonly FieldLine[];
  /** Octets; undefined: not said. The default is 0. */
  readonly bodyLength?: number | undefined;
  readonly proof?: boolean;
  /** Components beside those that are always covered. */
  readonly more?: readonly string[];
}

/** What was sent, and so is open to edits. */
export interface Sent {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly FieldLine[];
  readonly bodyLength: number | undefined;
  /** It asks for a WebSocket. */
  readonly upgrade?: object;
}

export async function makeSent(wishes: SignedWishes = {}): Promise<Sent> {
  const { by = HOLDER_KEY, method = 'GET', target = '/orders/1?a=1', proof = true, more = [] } = wishes;
  const {
    fields: others = [],
    bodyLength: _b,
    proof: _p,
    by: _k,
    more: _m,
    method: _n,
    target: _t,
    ...signing
  } = wishes;
  const credentials: FieldLine[] = [
    ['Authorization', `${proof ? 'DPoP' : 'Bearer'} token`],
    ...(proof ? [['DPoP', 'proof'] as const] : []),
  ];
  const message = { method, url: `https://api.example.com${target}`, fields: [...credentials, ...others] };
  const covered = [...componentsOf(message), ...more];
  const signature = await signMessage(by, message, { created: NOW, covered, ...signing });
  const bodyLength = 'bodyLength' in wishes ? wishes.bodyLength : 0;
  return { method, target, fields: [...message.fields, ...signature], bodyLength };
}

export function factsOf({ method, target, fields, bodyLength, upgrade }: Sent): RequestFacts {
  const [path = '', query] = target.split(/\?(.*)/s);
  const message = { rawHeaders: fields.flat(), bodyLength: () => bodyLength, upgrade };
  return makeFacts({ method, target, path, query, message, now: NOW });
}

export function makeSignatureTerms(over: Partial<SignatureTerms> = {}): SignatureTerms {
  return {
    rules: { components: ['content-type', 'idempotency-key'], tag: undefined, maxAge: 60, clockTolerance: 15 },
    proof: { key: createPublicKey(HOLDER_KEY), jkt: HOLDER.jkt, nonce: 'none' },
    certificate: undefined,
    now: NOW,
    rememberedSince: 0,
    rememberFor: 75,
    shorterMemories: [],
    ...over,
  };
}
