// The checks of a message signature as `explain` shows them.

import type { Check, Shown } from './check.ts';
import { moment, shorten } from './words.ts';

/** All lines of a field; undefined: it is absent. */
function fieldOf({ facts: { message } }: Shown, wanted: string): string | undefined {
  const { rawHeaders } = message;
  const values = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === wanted);
  return values.length === 0 ? undefined : values.join(', ');
}

const inputOf = (shown: Shown) => fieldOf(shown, 'signature-input') ?? '';
/** Parts of what was sent: nothing here is verified, and neither a nonce nor the signature is among them. */
const labelsOf = (shown: Shown) => [...inputOf(shown).matchAll(/([a-z*][\w.*-]{0,63})=\(/g)].map(([, label]) => label);
const coveredBy = (shown: Shown) => /\([^)]*\)/.exec(inputOf(shown))?.[0];
const keyOf = (shown: Shown) =>
  inputOf(shown)
    .match(/;(?:keyid|alg)="[^"]{0,256}"/g)
    ?.join('');
const createdOf = (shown: Shown) => /;created=([0-9]{1,15})/.exec(inputOf(shown))?.[1];

const owed = ({ route }: Shown) => route.demand.signature !== undefined;

/** In the order of rejections.md. */
export const SIGNATURE_CHECKS: readonly Check[] = [
  {
    reasons: ['signature_missing', 'signature_repeated', 'signature_malformed'],
    check: 'one message signature',
    rfc: 'RFC 9421 §4',
    expected: ({ route: { demand } }) =>
      `one${demand.signature?.tag === undefined ? '' : ` with tag ${demand.signature.tag}`}`,
    received: (shown) => labelsOf(shown).join(', ') || 'none',
    owed,
  },
  {
    reasons: ['signature_key_unusable', 'signature_key_mismatch', 'signature_algorithm_refused'],
    check: 'key and algorithm of the message signature',
    rfc: 'RFC 9421 §3.2 steps 5, 6',
    expected: ({ jkt, x5tS256 }) => `keyid ${shorten(jkt ?? x5tS256)} or absent, alg of that key or absent`,
    received: (shown) => shorten(keyOf(shown)),
    owed,
  },
  {
    reasons: ['signature_component_refused', 'signature_component_missing'],
    check: 'covered components',
    rfc: 'RFC 9421 §2, §7.2.1',
    expected: ({ jkt, route: { demand } }) =>
      [
        '@method, @target-uri, authorization',
        ...(jkt === undefined ? [] : ['dpop']),
        'content-digest with a body',
        'upgrade with a WebSocket',
        ...(demand.signature?.components ?? []).map((name) => `${name} if it is there`),
      ].join(', '),
    received: (shown) => shorten(coveredBy(shown)),
    owed,
  },
  {
    reasons: ['signature_stale', 'signature_from_future'],
    check: 'created of the message signature',
    rfc: 'RFC 9421 §7.2.2',
    expected: ({ facts, route: { demand } }) =>
      `${moment(facts.now - (demand.signature?.maxAge ?? 0))} to ${moment(facts.now + (demand.signature?.clockTolerance ?? 0))}`,
    received: (shown) => moment(createdOf(shown) === undefined ? undefined : Number(createdOf(shown))),
    owed,
  },
  {
    reasons: ['content_digest_invalid'],
    check: 'Content-Digest',
    rfc: 'RFC 9530 §2',
    expected: () => 'sha-256 or sha-512',
    received: (shown) => shorten(fieldOf(shown, 'content-digest')),
    owed: (shown) => owed(shown) && fieldOf(shown, 'content-digest') !== undefined,
  },
  {
    reasons: ['signature_invalid'],
    check: 'message signature',
    rfc: 'RFC 9421 §3.2 step 7',
    expected: () => 'by that key, over this request',
    received: (shown) => (fieldOf(shown, 'signature') === undefined ? 'none' : 'one'),
    owed,
  },
];
