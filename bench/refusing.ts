// The cost of refusing over sockets, for each reason that a client can cause.

import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Reason, REASON_NAMES } from '../src/rejection/rejection.ts';
import type { Plan, Setting } from './contenders.ts';
import { failuresOf, fileOfLoad, measure, observe, sendRaw, writeRequests } from './loading.ts';
import { treeUsage } from './machine.ts';
import type { Program } from './peers.ts';
import { type Case, type Kit, request, REQUESTS } from './refusal-requests.ts';
import { type Rig, startRig } from './refusal-rig.ts';
import { warmUp, warmUpWithAll } from './warming.ts';

/** Of load for each reason. */
const SECONDS = 1;
const LEAST = 20;
/** More tokens than one core verifies in that time. */
const NEW_TOKENS = 8000;
/** Requests that are sent in turn. */
const DISTINCT = 200;
/** Of each reason, before they are measured. */
const EACH = 20;

export interface Refusing {
  /** CPU µs of requests that are permitted, by kind. */
  readonly permitted: Readonly<Record<string, number>>;
  /** Seconds of load until DPoP was warm, a token used before, and refusals. */
  readonly warm: readonly number[];
  /** CPU µs by reason; `closes`: the connection ends with it, and the next request pays for a handshake. */
  readonly refused: readonly { readonly reason: Reason; readonly cpu: number; readonly closes: boolean }[];
  /** Why the other reasons are not measured. */
  readonly others: Readonly<Record<string, string>>;
}

/** The whole answer to one request, as far as it tells the reason. */
async function ask(url: string, text: string): Promise<string> {
  const { protocol, hostname: host, port } = new URL(url);
  const to = { host: host === 'localhost' ? '127.0.0.1' : host, port: Number(port) };
  const socket =
    protocol === 'https:' ? connectTls({ ...to, servername: 'localhost', rejectUnauthorized: false }) : connect(to);
  let answer = '';
  socket.on('data', (piece) => {
    answer += String(piece);
    if (/"request_id":"[^"]+"/.test(answer)) socket.destroy();
  });
  socket.setTimeout(3000, () => socket.destroy());
  socket.on('error', () => {});
  socket.write(text, 'latin1');
  await once(socket, 'close');
  return answer;
}

const texts = async ({ make }: Pick<Case, 'make'>, kit: Kit, count: number) => {
  const all: string[] = [];
  for (let nth = 0; nth < count; nth++) all.push(await make(kit, nth));
  return all;
};

/** CPU µs of the gateway for each of these requests; all of them are refused, or none. */
async function measureTexts({ program }: Rig, url: string, file: string, refused: boolean): Promise<number> {
  const load = { url, file, connections: 16, seconds: SECONDS };
  const usage = () => treeUsage(program.pid).cpu;
  const sent = await observe(usage, (opened) => sendRaw(load, opened));
  const { requests, status, broken } = sent;
  const wrong = refused ? requests - status : status;
  if (!(requests > LEAST) || wrong > requests / 100 || broken > requests / 100) {
    throw new Error(`${file}: ${failuresOf(sent)}`);
  }
  return (sent.to - sent.from) / sent.between;
}

async function measureCase(rig: Rig, folder: string, reason: Reason, one: Case) {
  const url = rig.urls[one.via ?? 'listener'];
  const requests = await texts(one, rig.kit, DISTINCT);
  if (one.again) await ask(url, requests[0]!);
  const answer = await ask(url, requests[0]!);
  if (!answer.includes(reason)) throw new Error(`${reason}: got ${answer.slice(0, 2000)}`);
  const file = fileOfLoad(folder, `${reason}.txt`);
  writeRequests(file, requests);
  const cpu = await measureTexts(rig, url, file, true);
  console.error(`refusing  ${reason}: ${cpu.toFixed(0)} µs`);
  return { reason, cpu, closes: /^connection: close/im.test(answer) };
}

/** Of each reason that the listener gives, in turn. @param kit another one than that of the measurement, whose proof of proof_replayed must be new */
async function someOfAll(kit: Kit): Promise<string[]> {
  const cases = Object.values(REQUESTS).filter((one): one is Case => typeof one !== 'string' && one.via === undefined);
  const all = await Promise.all(cases.map((one) => texts(one, kit, EACH)));
  return Array.from({ length: EACH }, (_, nth) => all.map((each) => each[nth]!)).flat();
}

async function measurePermitted(rig: Rig, setting: Setting, plan: Plan): Promise<Pick<Refusing, 'permitted' | 'warm'>> {
  const { program, kit, urls } = rig;
  const dpop = {
    id: 'dpop',
    title: 'DPoP',
    program,
    url: `${kit.origin}/dpop/x`,
    host: kit.host,
    load: 'dpop',
  } as const;
  const bearer = async (name: string, token: (nth: number) => string, count: number) => {
    const make = (_: Kit, nth: number) => request(kit, '/token/x', [['Authorization', `Bearer ${token(nth)}`]]);
    const file = fileOfLoad(setting.folder, `${name}.txt`);
    writeRequests(file, await texts({ make }, kit, count));
    return measureTexts(rig, urls.listener, file, false);
  };
  const known = { ...dpop, id: 'known', title: 'bearer', url: `${kit.origin}/token/x`, load: 'bearer' } as const;
  const warm = [
    await warmUp(dpop, setting, plan),
    await warmUp(known, setting, plan),
    await warmUpWithAll({ program, url: urls.listener }, await someOfAll({ ...kit }), setting, plan),
  ];
  const permitted = {
    DPoP: (await measure(dpop, setting, plan.seconds)).cpu,
    'bearer token, used before': (await measure(known, setting, plan.seconds)).cpu,
    'bearer token, first use': await bearer('first', () => kit.issue(), NEW_TOKENS),
  };
  return { permitted, warm };
}

/** In a smoke test every twentieth. */
export async function measureRefusing(setting: Setting, plan: Plan): Promise<Refusing> {
  const started: Program[] = [];
  try {
    const rig = await startRig(setting, started);
    const permitted = await measurePermitted(rig, setting, plan);
    const refused: { reason: Reason; cpu: number; closes: boolean }[] = [];
    const others: Record<string, string> = {};
    for (const [at, reason] of REASON_NAMES.entries()) {
      const one = REQUESTS[reason];
      if (typeof one === 'string') others[reason] = one;
      else if (!setting.smoke || at % 20 === 0) refused.push(await measureCase(rig, setting.folder, reason, one));
    }
    return { ...permitted, refused, others };
  } finally {
    for (const program of started.toReversed()) await program.stop();
  }
}
