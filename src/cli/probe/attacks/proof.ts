// Attacks with the DPoP proof: none, another key, request or time, malformed, replayed.

import { createHash, randomBytes } from 'node:crypto';
import { type Attack, type Judged, refusals, type RefusalRow } from '../attack.ts';
import { breakSignature, hmac, respell, unsigned } from '../forgery.ts';
import { shownReply, type Reply } from '../reply.ts';
import { type Departure, makeProbeProof, type ProofDeparture } from '../request.ts';
import type { ProbeStage } from '../stage.ts';

const now = () => Math.floor(Date.now() / 1000);
const HOUR = 3600;
/** A host that does not exist (RFC 6761 §6.4). */
const ELSEWHERE = 'probe.invalid';

/** A proof that departs from a good one. */
const departing = (
  [id, what, check]: readonly [id: string, what: string, check: number],
  change: (stage: ProbeStage) => ProofDeparture,
  more: Partial<RefusalRow> = {},
): RefusalRow => ({
  id: `proof-${id}`,
  what,
  section: `RFC 9449 §4.3 (${check})`,
  departure: (stage) => ({ proof: change(stage) }),
  ...more,
});

/** A proof for another origin, and a request that claims to be for it. */
const relayed = (stage: ProbeStage, origin: string, more: Departure): Departure => ({
  proof: { claims: { htu: origin + stage.settings.path } },
  ...more,
});

const otherMethod = ({ settings }: ProbeStage) => (settings.method === 'GET' ? 'POST' : 'GET');

/** A refused key is told as an invalid token or an invalid proof (RFC 9449 §7.1). */
const EITHER = { errors: ['invalid_dpop_proof', 'invalid_token'] };

const KEY_ROWS: readonly RefusalRow[] = [
  {
    id: 'bearer-downgrade',
    what: 'the bound token as Bearer, without a proof',
    section: 'RFC 9449 §7.2',
    errors: ['invalid_token'],
    departure: () => ({ scheme: 'Bearer', proofs: [] }),
  },
  {
    id: 'bearer-with-proof',
    what: "the bound token as Bearer, with a proof of the thief's key",
    section: 'RFC 9449 §7.2',
    errors: ['invalid_token'],
    departure: (stage) => ({ scheme: 'Bearer', proofs: [makeProbeProof(stage, { key: stage.thief })] }),
  },
  {
    id: 'no-proof',
    what: 'no proof',
    section: 'RFC 9449 §7.1',
    ...EITHER,
    departure: () => ({ proofs: [] }),
  },
  {
    id: 'proof-empty',
    what: 'an empty proof',
    section: 'RFC 9449 §4.3 (2)',
    ...EITHER,
    departure: () => ({ proofs: [''] }),
  },
  {
    id: 'two-proofs',
    what: "two DPoP lines, the thief's proof in the second",
    section: 'RFC 9449 §4.3 (1)',
    statuses: [400, 401],
    departure: (stage) => ({ proofs: [makeProbeProof(stage), makeProbeProof(stage, { key: stage.thief })] }),
  },
  {
    id: 'two-proofs-one-line',
    what: 'two proofs in one line',
    section: 'RFC 9449 §4.3 (1)',
    statuses: [400, 401],
    departure: (stage) => ({ proofs: [`${makeProbeProof(stage)}, ${makeProbeProof(stage, { key: stage.thief })}`] }),
  },
  {
    id: 'proof-other-key',
    what: "a proof of the thief's key",
    section: 'RFC 9449 §6',
    ...EITHER,
    departure: ({ thief }) => ({ proof: { key: thief } }),
  },
];

const SIGNATURE_ROWS: readonly RefusalRow[] = [
  departing(['signed-by-thief', "the holder's key in the proof, signed by the thief", 6], ({ thief, credentials }) => ({
    key: thief,
    header: { jwk: credentials.key?.jwk, alg: credentials.key?.alg },
  })),
  {
    id: 'proof-signature',
    what: 'a proof with one bit of its signature changed',
    section: 'RFC 9449 §4.3 (6)',
    departure: (stage) => ({ proofs: [breakSignature(makeProbeProof(stage))] }),
  },
  departing(['unsigned', 'a proof without a signature', 6], () => ({ sign: unsigned })),
  departing(['alg-none', 'a proof of alg none, without a signature', 5], () => ({
    header: { alg: 'none' },
    sign: unsigned,
  })),
  departing(['hs256', 'a proof of HS256, by the public key', 5], ({ credentials }) => ({
    header: { alg: 'HS256' },
    sign: hmac(JSON.stringify(credentials.key?.jwk)),
  })),
  departing(['no-jwk', 'a proof without a key', 2], () => ({ header: { jwk: undefined } })),
  // The private key of a holder is not for servers; another value does, where the key was not made for this run.
  departing(['private-jwk', 'a proof with a private member in its key', 7], ({ credentials }) => ({
    header: { jwk: { ...credentials.key?.jwk, d: randomBytes(32).toString('base64url'), ...credentials.key?.secret } },
  })),
  departing(['typ', 'a proof of typ JWT', 4], () => ({ header: { typ: 'JWT' } })),
  departing(['no-typ', 'a proof without typ', 4], () => ({ header: { typ: undefined } })),
  departing(
    ['crit', 'a proof with a critical extension that no server knows', 2],
    () => ({ header: { crit: ['probe'], probe: 1 } }),
    { section: 'RFC 7515 §4.1.11' },
  ),
];

const CLAIM_ROWS: readonly RefusalRow[] = [
  departing(['no-jti', 'a proof without jti', 3], () => ({ claims: { jti: undefined } })),
  departing(['htm', 'a proof for another method', 8], (stage) => ({ claims: { htm: otherMethod(stage) } })),
  departing(['htm-case', 'a proof for the method in small letters', 8], ({ settings }) => ({
    claims: { htm: settings.method.toLowerCase() },
  })),
  departing(['no-htm', 'a proof without htm', 3], () => ({ claims: { htm: undefined } })),
  departing(['htu-path', 'a proof for another path', 9], ({ settings }) => ({
    claims: { htu: `${settings.origin}${settings.path.replace(/\/?$/, '/probe')}` },
  })),
  departing(['htu-host', 'a proof for another host', 9], ({ settings }) => ({
    claims: { htu: `https://${ELSEWHERE}${settings.path}` },
  })),
  departing(['htu-prefix', 'a proof for another host, behind the name of this one', 9], ({ settings }) => ({
    claims: { htu: `${settings.origin}@${ELSEWHERE}${settings.path}` },
  })),
  departing(['htu-scheme', 'a proof for the other of http and https', 9], ({ settings }) => ({
    claims: { htu: settings.origin.replace(/^http(s?)/, (_, s) => (s === '' ? 'https' : 'http')) + settings.path },
  })),
  departing(['htu-relative', 'a proof for a path without a host', 9], ({ settings }) => ({
    claims: { htu: settings.path },
  })),
  departing(['no-htu', 'a proof without htu', 3], () => ({ claims: { htu: undefined } })),
  departing(['no-ath', 'a proof without ath', 12], () => ({ claims: { ath: undefined } })),
  departing(['ath', 'a proof for another token', 12], () => ({
    claims: { ath: createHash('sha256').update('probe').digest('base64url') },
  })),
  departing(['no-iat', 'a proof without iat', 3], () => ({ claims: { iat: undefined } })),
];

/** Freshness may come from a nonce instead (check 11): these say what happens without one. */
const TIME_ROWS: readonly RefusalRow[] = [
  departing(['old', 'a proof that is an hour old', 11], () => ({ claims: { iat: now() - HOUR, nonce: undefined } })),
  departing(['future', 'a proof from an hour ahead', 11], () => ({ claims: { iat: now() + HOUR, nonce: undefined } })),
];

const RELAY_ROWS: readonly RefusalRow[] = [
  {
    id: 'relay-host',
    what: 'a proof for another host, with Host to match',
    section: 'RFC 9449 §4.3 (9)',
    departure: (stage) => relayed(stage, `https://${ELSEWHERE}`, { hosts: [ELSEWHERE] }),
  },
  {
    id: 'relay-forwarded-host',
    what: 'a proof for another host, with X-Forwarded-Host to match',
    section: 'RFC 9449 §4.3 (9)',
    departure: (stage) =>
      relayed(stage, `https://${ELSEWHERE}`, {
        fields: [
          ['X-Forwarded-Host', ELSEWHERE],
          ['X-Forwarded-Proto', 'https'],
          ['X-Forwarded-Port', '443'],
        ],
      }),
  },
  {
    id: 'relay-forwarded',
    what: 'a proof for another host, with Forwarded to match',
    section: 'RFC 9449 §4.3 (9)',
    departure: (stage) =>
      relayed(stage, `https://${ELSEWHERE}`, { fields: [['Forwarded', `host=${ELSEWHERE};proto=https`]] }),
  },
];

export const PROOF_ATTACKS: readonly Attack[] = [
  ...refusals('proof', { needs: ['dpop'], errors: ['invalid_dpop_proof'] }, [
    ...KEY_ROWS,
    ...SIGNATURE_ROWS,
    ...CLAIM_ROWS,
  ]),
  ...refusals(
    'proof',
    { needs: ['dpop'], errors: ['invalid_dpop_proof', 'use_dpop_nonce'], withoutNonce: true },
    TIME_ROWS,
  ),
  ...refusals(
    'proof',
    { needs: ['dpop'], statuses: [400, 401, 403, 404, 421], expected: 'refused', mayClose: true },
    RELAY_ROWS,
  ),
];

/** Replays after the first use, and connections that race. */
const REPLAYS = 4;
const RUNNERS = 8;

/** How often a proof was let through that counts once. */
function once(stage: ProbeStage, replies: readonly Reply[]): Judged {
  const reached = replies.filter((reply) => stage.meaningOf(reply) === 'reached').length;
  const refused = replies.find((reply) => stage.meaningOf(reply) === 'refused');
  const rest = refused ?? replies.find((reply) => stage.meaningOf(reply) === 'unclear');
  const got = `${reached} of ${replies.length} accepted${rest === undefined ? '' : `, ${shownReply(rest)}`}`;
  if (reached > 1) return { verdict: 'not held', got };
  const certain = reached === 1 && replies.every((reply) => stage.meaningOf(reply) !== 'unclear');
  return { verdict: certain ? 'held' : 'unclear', got };
}

/** Sends one request again and again, each time on another connection, so that replicas may see it. */
async function replay(stage: ProbeStage, again: (departure: Departure) => Departure = (same) => same): Promise<Judged> {
  let departure: Departure = {};
  const first = await stage.sendWithNonce(() => (departure = { proofs: [makeProbeProof(stage)] }));
  const replies = [first];
  for (let left = REPLAYS; left > 0; left--) replies.push(await stage.send(again(departure)));
  return once(stage, replies);
}

const REPLAY = {
  group: 'replay',
  section: 'RFC 9449 §11.1',
  needs: ['dpop'],
  expected: '1 accepted',
} as const;

export const REPLAY_ATTACKS: readonly Attack[] = [
  {
    ...REPLAY,
    id: 'replay',
    what: 'one proof, used again',
    requests: 2 + REPLAYS,
    play: (stage) => replay(stage),
  },
  {
    ...REPLAY,
    id: 'replay-respelled',
    what: 'one proof, used again with its signature spelled differently',
    needs: ['dpop', 'es256'],
    requests: 2 + REPLAYS,
    play: (stage) => replay(stage, ({ proofs = [] }) => ({ proofs: proofs.map(respell) })),
  },
  {
    ...REPLAY,
    id: 'replay-race',
    what: 'one proof, used over several connections at once',
    requests: RUNNERS,
    async play(stage) {
      return once(stage, await stage.race({ proofs: [makeProbeProof(stage)] }, RUNNERS));
    },
  },
];

export const NONCE_ATTACKS: readonly Attack[] = refusals(
  'nonce',
  { needs: ['dpop', 'nonce'], section: 'RFC 9449 §4.3 (10)', errors: ['use_dpop_nonce'], withoutNonce: true },
  [
    {
      id: 'no-nonce',
      what: 'no nonce where the server asks for one',
      section: 'RFC 9449 §11.3',
      departure: () => ({ proof: { claims: { nonce: undefined } } }),
    },
    {
      id: 'nonce-made-up',
      what: 'a nonce that no server made',
      section: 'RFC 9449 §4.3 (10)',
      departure: () => ({ proof: { claims: { nonce: randomBytes(24).toString('base64url') } } }),
    },
    {
      id: 'nonce-changed',
      what: 'a nonce of the server with its first character changed',
      section: 'RFC 9449 §4.3 (10)',
      departure: ({ nonce = '' }) => ({
        proof: { claims: { nonce: (nonce.startsWith('A') ? 'B' : 'A') + nonce.slice(1) } },
      }),
    },
  ],
);
