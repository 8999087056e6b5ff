// `npm run demo`: good requests and thefts against the quickstart, as a table.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs, styleText } from 'node:util';
import { request } from 'undici';
import { type Exchange, type Scene, SCENES, type Stage } from './demo-scenes.ts';
import { describeSeen } from './describe-seen.ts';
import { SEEN_PATH, type Seen, TRACE_FIELD } from './echo-upstream.ts';
import { openParties, type Parties, requestToken } from './parties.ts';
import { keepSecrets, makeKey } from './secrets.ts';
import { isRunning, startServices } from './services.ts';
import { type Addresses, exitWith, findAddresses, FOLDER } from './settings.ts';

interface Outcome {
  readonly scene: Scene;
  readonly answers: readonly number[];
  readonly reason: string | undefined;
  /** What the last request looked like at the upstream; `undefined` if it never got there. */
  readonly seen: Seen | undefined;
  readonly saw: string;
  readonly asExpected: boolean;
}

async function setStage(parties: Parties, addresses: Addresses): Promise<Stage> {
  const secrets = await keepSecrets(FOLDER);
  const token = (kind: 'bearer' | 'dpop' | 'mtls' | 'expired') => requestToken(parties, addresses, secrets, kind);
  return {
    gateway: addresses.gateway,
    tokens: {
      bearer: await token('bearer'),
      dpop: await token('dpop'),
      mtls: await token('mtls'),
      expired: await token('expired'),
    },
    holderKey: secrets.proofKey,
    thiefKey: await makeKey(),
    certificates: {
      alice: await readFile(join(FOLDER, 'alice.pem'), 'utf8'),
      mallory: await readFile(join(FOLDER, 'mallory.pem'), 'utf8'),
    },
    send: async (party, { method = 'GET', path, fields }) => {
      const trace = randomUUID();
      const url = addresses.gateway + path;
      const answer = await parties.send(party, { method, url, fields: { ...fields, [TRACE_FIELD]: trace } });
      return { answer, trace };
    },
  };
}

async function play(scene: Scene, stage: Stage, addresses: Addresses): Promise<Outcome> {
  const exchanges = await scene.play(stage);
  const answers = exchanges.map(({ answer }) => answer.status);
  const reason = exchanges.map(readReason).findLast((found) => found !== undefined);
  const seen = await askUpstream(addresses, exchanges.at(-1)?.trace ?? '');
  const saw = describeSeen(seen);
  const asExpected = String(answers) === String(scene.answers) && reason === scene.reason && saw === scene.saw;
  return { scene, answers, reason, seen, saw, asExpected };
}

/** `reason` of a problem document (RFC 9457). */
function readReason({ answer }: Exchange): string | undefined {
  if (!String(answer.fields['content-type']).startsWith('application/problem+json')) return undefined;
  return (JSON.parse(answer.body) as { reason?: string }).reason;
}

/** Asks the echo upstream itself, not through the gateway, whether the request ever arrived. */
async function askUpstream({ upstream }: Addresses, trace: string): Promise<Seen | undefined> {
  const { statusCode, body } = await request(`${upstream}${SEEN_PATH}${trace}`, { reset: true });
  const seen = (await body.json()) as Seen;
  return statusCode === 200 ? seen : undefined;
}

const COLUMNS = ['what was tried', 'answer', 'reason', 'the upstream saw'] as const;
const rowOf = ({ scene, answers, reason, saw }: Pick<Outcome, 'scene' | 'answers' | 'reason' | 'saw'>) =>
  [scene.tried, answers.join(' → '), reason ?? '', saw] as const;

/** The table as lines; colour only where standard output is a terminal. */
function tableOf(outcomes: readonly Outcome[]): string[] {
  const rows = outcomes.map(rowOf);
  const widths = COLUMNS.map((heading, at) =>
    Math.max(...[heading, ...rows.map((row) => row[at]!)].map((s) => s.length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd();
  const style = (format: 'bold' | 'dim' | 'green' | 'red', text: string) =>
    styleText(format, text, { stream: process.stdout });
  const lines = [style('dim', `   ${line(COLUMNS)}`)];
  for (const [who, heading] of [
    ['holder', 'The rightful holder'],
    ['thief', 'The thief'],
  ]) {
    lines.push('', style('bold', heading!));
    for (const outcome of outcomes.filter(({ scene }) => scene.who === who)) {
      lines.push(`${outcome.asExpected ? style('green', '✓') : style('red', '✗')}  ${line(rowOf(outcome))}`);
      const { scene } = outcome;
      const wanted = rowOf({ scene, answers: scene.answers, reason: scene.reason, saw: scene.saw }).slice(1);
      if (!outcome.asExpected) lines.push(style('red', `   expected${line(['', ...wanted]).slice('expected'.length)}`));
    }
  }
  const good = outcomes.filter(({ asExpected }) => asExpected).length;
  return [...lines, '', `${good} of ${outcomes.length} came out as they must.`];
}

function documentOf(outcomes: readonly Outcome[]): object {
  return {
    passed: outcomes.every(({ asExpected }) => asExpected),
    scenes: outcomes.map(({ scene, answers, reason, seen, saw, asExpected }) => ({
      who: scene.who,
      tried: scene.tried,
      answers,
      reason: reason ?? null,
      saw,
      upstream: seen ?? null,
      expected: { answers: scene.answers, reason: scene.reason ?? null, saw: scene.saw },
      passed: asExpected,
    })),
  };
}

/** Finds the quickstart running, or starts one of its own; the answer stops that one again. */
async function findOrStart(addresses: Addresses): Promise<() => Promise<void>> {
  const ca = await readFile(join(FOLDER, 'ca.pem'), 'utf8').catch(() => undefined);
  if (ca !== undefined && (await isRunning(addresses, ca))) {
    console.error(`Playing against the quickstart that is running at ${addresses.gateway}\n`);
    return async () => {};
  }
  console.error('Starting the authorization server, the echo upstream and the gateway …\n');
  const { stop } = await startServices(addresses, () => {});
  return stop;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
  const addresses = await findAddresses();
  const stop = await findOrStart(addresses);
  const parties = await openParties(FOLDER);
  try {
    const stage = await setStage(parties, addresses);
    const outcomes: Outcome[] = [];
    for (const scene of SCENES) outcomes.push(await play(scene, stage, addresses));
    console.log(values.json ? JSON.stringify(documentOf(outcomes), null, 2) : tableOf(outcomes).join('\n'));
    return outcomes.every(({ asExpected }) => asExpected) ? 0 : 1;
  } finally {
    await parties.close();
    await stop();
  }
}

// Ends a gateway of our own with us, too (services.ts).
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

await exitWith(main);
