// The table of kinds of clients in a soak run, with what each expects.

import { randomUUID } from 'node:crypto';
import { makeProof } from '../credentials.ts';
import { abortingKinds } from './aborting.ts';
import { bulkKinds } from './bulk.ts';
import type { Answer, Sent, Version } from './clients.ts';
import { SMALL } from './content.ts';
import { failingKinds } from './failing.ts';
import { inventingKinds } from './inventing.ts';
import { greedyKinds } from './greedy.ts';
import { expectAnswer, type Kind, type Load } from './kind.ts';
import { tunnelKinds } from './tunnels.ts';

/** Load processes: bodies are hashed in another one than that whose latencies count. */
export const GROUPS: Readonly<Record<'small' | 'large' | 'greedy', () => readonly Kind[]>> = {
  small: () => [...permittedKinds(), ...refusedKinds(), ...failingKinds(), ...abortingKinds(), ...inventingKinds()],
  large: () => [...bulkKinds(), ...tunnelKinds()],
  greedy: () => [...greedyKinds()],
};

/** Kinds whose latency is the gateway's: permitted, small, on kept connections. */
export const MEASURED = ['public', 'bearer', 'DPoP', 'DPoP with nonce', 'certificate'].flatMap((name) => [
  `${name}, h1`,
  `${name}, h2`,
]);

type Making = (load: Load, path: string) => Omit<Sent, 'version' | 'path'>;

const bearer =
  (kind: 'bearer' | 'mtls' | 'expired' | 'foreign' | 'dpop'): Making =>
  ({ someone }) => ({
    fields: { authorization: `Bearer ${someone().tokens[kind]}` },
  });

const withProof =
  (htm = 'GET', elsewhere = '', more: object = {}): Making =>
  ({ someone, setting }, path) => {
    const client = someone();
    const proof = makeProof(client, htm, `${setting.origin}${path}${elsewhere}`, more);
    return { fields: { authorization: `DPoP ${client.tokens.dpop}`, dpop: proof } };
  };

const certified: Making = (load, path) => ({ ...bearer('mtls')(load, path), certified: true });

function expectSmall(answer: Answer): void {
  expectAnswer(answer, 200);
  if (answer.text !== SMALL) throw new Error('another body than that of the upstream');
}

function permitted(
  name: string,
  version: Version,
  perSecond: number,
  route: string,
  making: Making,
  fresh = false,
): Kind {
  return {
    name: `${name}, ${version}`,
    perSecond,
    atOnce: 20,
    async run(load) {
      const path = `/${route}/${randomUUID()}`;
      expectSmall(await load.clients.send({ version, path, fresh, ...making(load, path) }));
    },
  };
}

function permittedKinds(): Kind[] {
  return [
    permitted('public', 'h1', 50, 'public', () => ({})),
    permitted('public to an HTTP/2 upstream', 'h1', 10, 'modern', () => ({})),
    permitted('public', 'h2', 40, 'public', () => ({})),
    permitted('bearer', 'h1', 50, 'token', bearer('bearer')),
    permitted('bearer', 'h2', 40, 'token', bearer('bearer')),
    permitted('DPoP', 'h1', 50, 'dpop', withProof()),
    permitted('DPoP', 'h2', 40, 'dpop', withProof()),
    permitted('certificate', 'h1', 20, 'mtls', certified),
    permitted('certificate', 'h2', 20, 'mtls', certified),
    withNonce('h1', 20),
    withNonce('h2', 20),
    permitted('DPoP, new connection', 'h1', 5, 'dpop', withProof(), true),
    permitted('DPoP, new connection', 'h2', 5, 'dpop', withProof(), true),
    permitted('certificate, new connection', 'h1', 2, 'mtls', certified, true),
  ];
}

/** Asks for a nonce once, and again when it is told that its nonce is stale; takes every fresh one that an answer brings. */
function withNonce(version: Version, perSecond: number): Kind {
  let nonce: string | undefined;
  return {
    name: `DPoP with nonce, ${version}`,
    perSecond,
    atOnce: 20,
    async run(load) {
      const path = `/nonce/${randomUUID()}`;
      const ask = async () => {
        const made = withProof('GET', '', nonce === undefined ? {} : { nonce })(load, path);
        const answer = await load.clients.send({ version, path, ...made });
        nonce = answer.nonce ?? nonce;
        return answer;
      };
      const first = await ask();
      expectSmall(first.reason?.startsWith('nonce_') ? await ask() : first);
    },
  };
}

interface Refusal {
  readonly name: string;
  readonly route: string;
  readonly making: Making;
  readonly status: number;
  readonly reason: string;
  readonly more?: Partial<Sent>;
}

const REFUSALS: readonly Refusal[] = [
  { name: 'nothing shown', route: 'dpop', making: () => ({}), status: 401, reason: 'credentials_missing' },
  { name: 'expired token', route: 'token', making: bearer('expired'), status: 401, reason: 'token_expired' },
  { name: 'foreign token', route: 'token', making: bearer('foreign'), status: 401, reason: 'token_audience_mismatch' },
  { name: 'bound token as Bearer', route: 'token', making: bearer('dpop'), status: 401, reason: 'binding_downgraded' },
  { name: 'unbound token', route: 'dpop', making: bearer('bearer'), status: 401, reason: 'binding_required' },
  { name: 'no certificate', route: 'mtls', making: bearer('mtls'), status: 401, reason: 'certificate_missing' },
  { name: 'wrong htu', route: 'dpop', making: withProof('GET', '/else'), status: 401, reason: 'proof_uri_mismatch' },
  { name: 'wrong htm', route: 'dpop', making: withProof('POST'), status: 401, reason: 'proof_method_mismatch' },
  { name: 'old proof', route: 'dpop', making: withProof('GET', '', { iat: 1e9 }), status: 401, reason: 'proof_stale' },
  { name: 'unknown route', route: 'none', making: () => ({}), status: 404, reason: 'route_not_found' },
  {
    name: 'garbage for a token',
    route: 'token',
    making: () => ({ fields: { authorization: `Bearer ${'garbage'.repeat(20)}` } }),
    status: 401,
    reason: 'token_malformed',
  },
  {
    name: 'oversized header',
    route: 'public',
    making: () => ({ fields: { 'x-large': 'x'.repeat(20_000) } }),
    status: 431,
    reason: 'header_too_large',
    more: { fresh: true },
  },
];

function refusedKinds(): Kind[] {
  const refusals = REFUSALS.flatMap(({ name, route, making, status, reason, more }) =>
    (['h1', 'h2'] as const).map((version) => ({
      name: `${name}, ${version}`,
      perSecond: 3,
      atOnce: 10,
      async run(load: Load) {
        const path = `/${route}/${randomUUID()}`;
        expectAnswer(await load.clients.send({ version, path, ...making(load, path), ...more }), status, reason);
      },
    })),
  );
  return [...refusals, replayed('h1'), replayed('h2'), stolen()];
}

/** The same proof twice at once: one of them wins. */
function replayed(version: Version): Kind {
  return {
    name: `replayed proof, ${version}`,
    perSecond: 4,
    atOnce: 10,
    async run(load) {
      const path = `/dpop/${randomUUID()}`;
      const made = withProof()(load, path);
      const send = () => load.clients.send({ version, path, ...made });
      const [one, other] = await Promise.all([send(), send()]);
      expectSmall(one.status === 200 ? one : other);
      expectAnswer(one.status === 200 ? other : one, 401, 'proof_replayed');
    },
  };
}

/** Somebody else's token with a proof by one's own key. */
function stolen(): Kind {
  return {
    name: 'stolen token, h1',
    perSecond: 4,
    atOnce: 10,
    async run(load) {
      const path = `/dpop/${randomUUID()}`;
      const thief = { ...load.someone(), tokens: load.someone().tokens };
      const fields = {
        authorization: `DPoP ${thief.tokens.dpop}`,
        dpop: makeProof(thief, 'GET', `${load.setting.origin}${path}`),
      };
      expectAnswer(await load.clients.send({ version: 'h1', path, fields }), 401, 'proof_key_mismatch');
    },
  };
}
