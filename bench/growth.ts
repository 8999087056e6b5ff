// Growth and refusals: a decision as things become many, and the cost of each refusal.
//
// npm run bench:growth [-- --write]   in one process, by its own CPU time; --write: docs/growth.md and docs/growth.svg

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseRoute, compileRouteTable, groupOf } from '../src/policy/route-table.ts';
import type { Route } from '../src/policy/policy.ts';
import { makeFacts } from '../test/support/facts.ts';
import { Decider, leastCpu, type Sender } from './deciding.ts';
import { growthChart, growthPage, type Curve } from './growth-page.ts';
import { machineFacts } from './machine.ts';

const ROUNDS = 7;

const bearer = ({ bearer: token }: Pick<Sender, 'bearer'>) => ({ authorization: [`Bearer ${token}`] });
const proven = ({ bound, proof }: Sender) => ({ authorization: [`DPoP ${bound}`], dpop: [proof()] });

async function byRoutes(count: number): Promise<number> {
  const route = (at: number) =>
    ({
      name: `r${at}`,
      match: { listeners: undefined, host: undefined, methods: undefined, path: `/a${at % 100}/b${at}/*` },
    }) as Route;
  const compiled = compileRouteTable(
    Array.from({ length: count }, (_, at) => route(at)),
    [{ name: 'public' }],
  );
  if (!('table' in compiled)) throw new Error('ambiguous');
  const asked = Array.from({ length: 1000 }, (_, at) => {
    const nth = Math.floor((at / 1000) * count);
    const path = `/a${nth % 100}/b${nth}/x`;
    return makeFacts({ path, matchPath: path });
  });
  return await leastCpu(20_000, ROUNDS, () => (at) => {
    const facts = asked[at % 1000]!;
    return chooseRoute(compiled.table, facts, groupOf(compiled.table, facts));
  });
}

async function byLiveProofs(live: number): Promise<number> {
  const { ports } = await Decider.make({ live: 2_000_000 });
  let made = 0;
  const remember = () =>
    ports.replay.remember('j'.repeat(43), `${made++}-0123456789abcdef`, 1_800_000_075, 1_800_000_000);
  for (let at = 0; at < live; at++) await remember();
  return await leastCpu(5000, ROUNDS, () => remember);
}

async function byClients(count: number): Promise<number> {
  const decider = await Decider.make();
  const senders = Array.from({ length: count }, () => decider.sender());
  for (const one of senders) await decider.decide('token', bearer(one));
  let at = 0;
  return await leastCpu(2000, ROUNDS, () => () => decider.decide('token', bearer(senders[at++ % count]!)));
}

async function byTokenSize(bytes: number): Promise<number> {
  const decider = await Decider.make();
  const one = decider.sender({ groups: 'g'.repeat(Math.max(1, Math.ceil(bytes * 0.75) - 300)) });
  return await leastCpu(10_000, ROUNDS, () => () => decider.decide('token', bearer(one)));
}

async function byIssuers(issuers: number): Promise<number> {
  const decider = await Decider.make({ issuers });
  const one = decider.sender();
  return await leastCpu(10_000, ROUNDS, () => () => decider.decide('token', bearer(one)));
}

async function curve(
  what: string,
  unit: string,
  sizes: readonly number[],
  measure: (size: number) => Promise<number>,
): Promise<Curve> {
  const points: [number, number][] = [];
  for (const size of sizes) {
    points.push([size, await measure(size)]);
    console.error(`${what}: ${size} ${unit}: ${points.at(-1)![1].toFixed(2)} µs`);
  }
  return { what, unit, points };
}

type Case = readonly [name: string, make: (decider: Decider) => () => readonly ['token' | 'dpop', object]];

/** What is sent for each reason; `permit` first, for comparison. Every proof and every token of a case is another one where that costs more. */
const CASES: readonly Case[] = [
  ['permit, DPoP', (decider) => withSender(decider, (one) => ['dpop', proven(one)])],
  ['permit, bearer (cached)', (decider) => withSender(decider, (one) => ['token', bearer(one)])],
  ['permit, bearer (first use)', (decider) => () => ['token', { authorization: [`Bearer ${decider.token()}`] }]],
  ['credentials_missing', () => () => ['token', {}]],
  ['token_malformed', () => () => ['token', { authorization: ['Bearer a.b.c'] }]],
  [
    'token_issuer_unknown',
    (decider) => () => ['token', { authorization: [`Bearer ${decider.token({ iss: 'https://x.example' })}`] }],
  ],
  [
    'token_signature_invalid',
    (decider) => () => ['token', { authorization: [`Bearer ${decider.token().slice(0, -8)}AAAAAAAA`] }],
  ],
  [
    'token_expired',
    (decider) => () => ['token', { authorization: [`Bearer ${decider.token({ exp: 1_799_999_000 })}`] }],
  ],
  [
    'token_audience_mismatch',
    (decider) => () => ['token', { authorization: [`Bearer ${decider.token({ aud: 'https://x.example' })}`] }],
  ],
  ['proof_missing', (decider) => withSender(decider, ({ bound }) => ['dpop', { authorization: [`DPoP ${bound}`] }])],
  ['proof_malformed', (decider) => withSender(decider, (one) => ['dpop', { ...proven(one), dpop: ['a.b.c'] }])],
  [
    'proof_key_mismatch',
    (decider) =>
      withSender(decider, ({ bound }) => ['dpop', { authorization: [`DPoP ${bound}`], dpop: [OTHER(decider)] }]),
  ],
  ['proof_method_mismatch', (decider) => withProof(decider, { htm: 'POST' })],
  ['proof_uri_mismatch', (decider) => withProof(decider, { htu: 'https://api.example.com/orders/2' })],
  ['proof_token_mismatch', (decider) => withProof(decider, { ath: 'x'.repeat(43) })],
  ['proof_stale', (decider) => withProof(decider, { iat: 1_799_990_000 })],
  [
    'proof_signature_invalid',
    (decider) =>
      withSender(decider, (one) => ['dpop', { ...proven(one), dpop: [`${one.proof().slice(0, -8)}AAAAAAAA`] }]),
  ],
  ['proof_replayed', (decider) => withSender(decider, (one) => ['dpop', (seen ??= proven(one))])],
];

let seen: object | undefined;
let other: string | undefined;
const OTHER = (decider: Decider) => (other ??= decider.sender().proof());

function withSender(decider: Decider, ask: (one: Sender) => readonly ['token' | 'dpop', object]) {
  const one = decider.sender();
  return () => ask(one);
}

const withProof = (decider: Decider, claims: object) =>
  withSender(decider, (one) => ['dpop', { authorization: [`DPoP ${one.bound}`], dpop: [one.proof(claims)] }]);

async function measureCase([name, make]: Case): Promise<readonly [string, number]> {
  const decider = await Decider.make();
  seen = undefined;
  const next = make(decider);
  const wanted = name.startsWith('permit') ? 'permit' : name;
  const [requirement, first] = next();
  const got = [await decider.decide(requirement, first), await decider.decide(...next())];
  if (got[1] !== wanted) throw new Error(`${name}: got ${got.join()}`);
  const measureCalls = (count: number) =>
    leastCpu(count, ROUNDS, () => {
      const asked = Array.from({ length: 300 }, next);
      return (at) => decider.decide(...asked[at % 300]!);
    });
  const cpu = await measureCalls(300);
  // The clock of a thread is coarse; what is cheap is not told apart from what was cached.
  const exact = cpu > 20 ? cpu : await measureCalls(20_000);
  console.error(`${name}: ${exact.toFixed(1)} µs`);
  return [name, exact];
}

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const curves = [
  await curve('Choice of a route', 'routes', [10, 100, 1000, 10_000], byRoutes),
  await curve('Remembering a proof', 'live proofs', [1000, 10_000, 100_000, 1_000_000], byLiveProofs),
  await curve('Bearer decision', 'distinct clients', [50, 1000, 5000, 20_000], byClients),
  await curve('Bearer decision', 'bytes of token', [600, 2000, 8000, 16_000], byTokenSize),
  await curve('Bearer decision', 'issuers of the route', [1, 10, 100], byIssuers),
];
const refusals: (readonly [string, number])[] = [];
for (const each of CASES) refusals.push(await measureCase(each));
const page = growthPage(curves, refusals, machineFacts().slice(0, 2));
console.log(page);
if (values.write) {
  const docs = join(import.meta.dirname, '../docs');
  writeFileSync(join(docs, 'growth.md'), page);
  writeFileSync(join(docs, 'growth.svg'), growthChart(curves));
}
