// `holdfast probe`: the catalogue of attacks, played against a deployment of any product.

import { UsageError } from '../arguments.ts';
import { EXIT } from '../commands.ts';
import { type Printed, printFailure } from '../printed.ts';
import { type Attack, type Judged, type Group, GROUPS, missingFor } from './attack.ts';
import { notesOf, setBaseline } from './baseline.ts';
import { chooseAttacks } from './catalogue.ts';
import { exitOf, reportJson, listOf, type Played, type Probed, reportText } from './report.ts';
import { type ProbeOptions, readSettings } from './settings.ts';
import { ServerGone, ProbeStage } from './stage.ts';
import { obtainCredentials, ProbeFailure } from './token-request.ts';

/** Requests of the baseline, and of a look whether the good request still gets through; each may be sent again with a nonce. */
const BASELINE = 6;
const LOOK = 2;

/**
 * Plays the attacks against one URL. Only GET, HEAD and OPTIONS are sent, to that URL and its neighbours at the same origin; no redirect
 * is followed.
 * @param say told, before anything is sent, how much there will be
 * @throws UsageError
 */
export async function probe(
  operand: string,
  options: ProbeOptions,
  version: string,
  say: Say = (text) => process.stderr.write(text),
): Promise<Printed> {
  try {
    return await probeUrl(operand, options, version, say);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(error.message, { command: 'probe', cause: error });
    throw error;
  }
}

type Say = (text: string) => unknown;

async function probeUrl(operand: string, options: ProbeOptions, version: string, say: Say): Promise<Printed> {
  const json = options.json ?? false;
  const attacks = chooseAttacks(options.only?.split(',').filter((name) => name !== '') ?? []);
  if (options.list) return { exit: EXIT.ok, stdout: listOf(attacks, json), stderr: '' };
  const settings = readSettings(operand, options);
  try {
    const stage = new ProbeStage(settings, await obtainCredentials(options), version);
    say(announcement(stage, attacks));
    const probed = await run(stage, attacks);
    if (typeof probed === 'string') return printFailure(EXIT.untold, `nothing was tried: ${probed}`, json);
    const stdout = json ? `${JSON.stringify(reportJson(probed), undefined, 2)}\n` : reportText(probed);
    return { exit: exitOf(probed), stdout, stderr: '' };
  } catch (error) {
    if (error instanceof ProbeFailure) return printFailure(EXIT.untold, error.message, json);
    if (error instanceof ServerGone) return printFailure(EXIT.untold, `nothing was tried: ${GONE}`, json);
    throw error;
  }
}

const GONE = 'the server does not answer';

/** How much there will be at most. */
function announcement(stage: ProbeStage, attacks: readonly Attack[]): string {
  const { settings } = stage;
  const playable = attacks.filter((attack) => missingFor(attack, stage, 'before') === undefined);
  const groups = new Set(playable.map(({ group }) => group)).size;
  const most = BASELINE + groups * LOOK + playable.reduce((sum, { requests }) => sum + requests, 0);
  const seconds = Math.ceil((most * settings.pause) / 1000);
  const much = `${playable.length} attacks on ${settings.origin}, at most ${most} requests in about ${seconds} s`;
  return `holdfast: ${much}. Probe only what you run.\n`;
}

/** @returns a text: why there is nothing to report @throws ServerGone before anything was tried */
async function run(stage: ProbeStage, attacks: readonly Attack[]): Promise<Probed | string> {
  const problem = await setBaseline(stage);
  if (problem !== undefined) return problem;
  const played: Played[] = [];
  let stopped: string | undefined;
  for (const group of GROUPS) {
    const own = attacks.filter((attack) => attack.group === group);
    if (own.length === 0) continue;
    const { findings, problem } =
      stopped === undefined ? await playGroup(stage, own) : { findings: [], problem: stopped };
    stopped ??= problem;
    played.push(...own.map((attack, at) => ({ attack, ...(findings[at] ?? LEFT) })));
  }
  return { stage, played, notes: notesOf(stage), stopped };
}

const LEFT: Judged = { verdict: 'not tried', got: 'the probe had stopped' };

interface PlayedGroup {
  readonly findings: readonly Judged[];
  /** Why the probe has to stop; undefined: it can go on. */
  readonly problem: string | undefined;
}

/**
 * A refusal shows something only while the good request gets through: looked at behind each group. Else what was refused in the
 * group is unclear.
 */
async function playGroup(stage: ProbeStage, attacks: readonly Attack[]): Promise<PlayedGroup> {
  const findings: Judged[] = [];
  const before = stage.sent;
  try {
    for (const attack of attacks) {
      const missing = missingFor(attack, stage);
      findings.push(missing === undefined ? await attack.play(stage) : { verdict: 'not tried', got: missing });
    }
    if (stage.sent === before) return { findings, problem: undefined };
    const reply = await stage.sendWithNonce(() => ({}));
    if (stage.meaningOf(reply) === 'reached') return { findings, problem: undefined };
    return {
      findings: findings.map(doubt),
      problem: `behind the group ${nameOf(attacks)} the good request was not accepted any more`,
    };
  } catch (error) {
    if (error instanceof ServerGone) return { findings: findings.map(doubt), problem: GONE };
    throw error;
  }
}

const nameOf = ([first]: readonly Attack[]): Group | undefined => first?.group;

const doubt = (finding: Judged): Judged =>
  finding.verdict === 'held' || finding.verdict === 'different' ? { ...finding, verdict: 'unclear' } : finding;
