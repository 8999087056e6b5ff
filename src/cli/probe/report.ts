// The report of a probe: a table for eyes, and the same as JSON.

import { styleText } from 'node:util';
import { EXIT } from '../commands.ts';
import { type Attack, type AttackVerdict, type Judged, type Group, GROUPS } from './attack.ts';
import { shownReply } from './reply.ts';
import type { ProbeStage } from './stage.ts';

export interface Played extends Judged {
  readonly attack: Attack;
}

export interface Probed {
  readonly stage: ProbeStage;
  readonly played: readonly Played[];
  readonly notes: readonly string[];
  /** Why it ended before all was tried; undefined: it did not. */
  readonly stopped: string | undefined;
}

/** Something got in: 1. Nothing did, but not everything could be judged: 2. */
export function exitOf({ played, stopped }: Probed): number {
  if (played.some(({ verdict }) => verdict === 'not held')) return EXIT.refused;
  return stopped !== undefined || played.some(({ verdict }) => verdict === 'unclear') ? EXIT.untold : EXIT.ok;
}

/** For eyes: colours only where standard output is a terminal and NO_COLOR is not set. */
export function reportText(probed: Probed): string {
  const { stage, played, notes, stopped } = probed;
  const tried = played.filter(({ verdict }) => verdict !== 'not tried');
  const rows = tried.map(({ attack, verdict, got }) => ({ group: attack.group, verdict, cells: cellsOf(attack, got) }));
  const widths = [0, 1, 2].map((at) =>
    Math.max(...[HEADS, ...rows.map(({ cells }) => cells)].map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  const table = GROUPS.flatMap((group) => {
    const own = rows.filter((row) => row.group === group);
    return own.length === 0
      ? []
      : ['', style('bold', group), ...own.map(({ verdict, cells }) => `${markOf(verdict)} ${line(cells)}`)];
  });
  return [
    headOf(stage),
    '',
    `  ${line(HEADS)}`,
    ...table,
    ...leftOut(played),
    '',
    ...notes,
    ...(notes.length === 0 ? [] : ['']),
    ...(stopped === undefined ? [] : [style('red', `Stopped: ${stopped}.`), '']),
    summaryOf(played, stage),
    ...nextSteps(probed),
    '',
  ].join('\n');
}

const HEADS = ['what was tried', 'expected', 'got', 'section'] as const;
const cellsOf = ({ what, expected, section }: Attack, got: string) => [what, expected, got, section] as const;

const MARKS = {
  held: ['✓', 'green'],
  'not held': ['✗', 'red'],
  different: ['~', 'yellow'],
  unclear: ['?', 'yellow'],
  'not tried': ['-', 'dim'],
} as const satisfies Record<AttackVerdict, readonly [string, string]>;

type Style = 'bold' | (typeof MARKS)[AttackVerdict][1];
const style = (format: Style, text: string) => styleText(format, text, { stream: process.stdout });
const markOf = (verdict: AttackVerdict) => style(MARKS[verdict][1], MARKS[verdict][0]);

function headOf({ settings, credentials, good, without }: ProbeStage): string {
  const { method, origin, path } = settings;
  const bindings = bindingsOf(credentials);
  const token = bindings.length === 0 ? 'an unbound token' : `a token bound to ${bindings.join(' and ')}`;
  const answers = [good, without].map((reply) => (reply === undefined ? 'none' : shownReply(reply)));
  return `${method} ${origin}${path} with ${token}: ${answers[0]}; without: ${answers[1]}`;
}

const BINDINGS = { dpop: 'a DPoP key', certificate: 'a certificate' } as const;
function bindingsOf(
  { key, bound }: ProbeStage['credentials'],
  names: Readonly<Record<keyof typeof BINDINGS, string>> = BINDINGS,
) {
  return [...(key === undefined ? [] : [names.dpop]), ...(bound === undefined ? [] : [names.certificate])];
}

/** What was not tried, by what was missing. */
function leftOut(played: readonly Played[]): readonly string[] {
  const missing = Map.groupBy(
    played.filter(({ verdict }) => verdict === 'not tried'),
    ({ got }) => got,
  );
  const lines = [...missing].map(([why, all]) => `- ${why}: ${all.map(({ attack }) => attack.id).join(', ')}`);
  return lines.length === 0 ? [] : ['', style('bold', 'not tried'), ...lines];
}

function countsOf(played: readonly Played[]): Readonly<Record<AttackVerdict, number>> {
  const count = (wanted: AttackVerdict) => played.filter(({ verdict }) => verdict === wanted).length;
  return {
    held: count('held'),
    'not held': count('not held'),
    different: count('different'),
    unclear: count('unclear'),
    'not tried': count('not tried'),
  };
}

function summaryOf(played: readonly Played[], { sent }: ProbeStage): string {
  const counts = Object.entries(countsOf(played)).filter(([verdict, count]) => count > 0 || verdict === 'not held');
  return `${counts.map(([verdict, count]) => `${count} ${verdict}`).join(', ')}; ${sent} requests`;
}

/** What to do about what was not held, by group. */
const REMEDIES: Readonly<Record<Group, string>> = {
  token:
    'take tokens from one Authorization line alone, verify signature, issuer, audience and times by the keys of the issuer ' +
    '(RFC 9068 §4), and demand bound ones',
  proof: 'demand a DPoP proof wherever a token has cnf.jkt, and check all of RFC 9449 §4.3',
  replay: 'remember each proof at all replicas together, and demand nonces (RFC 9449 §11.1)',
  nonce: 'take only nonces that the server made, and made lately (RFC 9449 §9)',
  certificate:
    'compare the certificate of the connection with cnf, and remove certificate fields of clients (RFC 8705 §3)',
  fields: 'remove the fields that tell the API who calls before the gateway sets them',
  paths: 'refuse paths that gateway and API can read differently',
  lines: 'refuse requests that are not well formed',
  framing: 'refuse messages whose end can be read in two ways (RFC 9112 §6.3)',
  browsers: 'allow named origins only',
  answers: 'answer 401 with a challenge for each scheme that is taken',
  tls: 'take TLS 1.2 and 1.3 only (RFC 9325 §3.1.1)',
};

function nextSteps({ played }: Probed): readonly string[] {
  const failed = played.filter(({ verdict }) => verdict === 'not held');
  const groups = Map.groupBy(failed, ({ attack }) => attack.group);
  const lines = [...groups].flatMap(([group, all]) => [
    `- ${group}: ${REMEDIES[group]}.`,
    `  once more: --only ${all.length > 6 ? group : all.map(({ attack }) => attack.id).join(',')}`,
  ]);
  return lines.length === 0 ? [] : ['', style('bold', 'next'), ...lines];
}

export function reportJson(probed: Probed): object {
  const { stage, played, notes, stopped } = probed;
  const { settings, credentials, good, without, sent } = stage;
  const counts = countsOf(played);
  return {
    url: `${settings.origin}${settings.path}`,
    method: settings.method,
    bindings: bindingsOf(credentials, { dpop: 'dpop', certificate: 'certificate' }),
    good: good && shownReply(good),
    without: without && shownReply(without),
    requests: sent,
    summary: {
      held: counts.held,
      not_held: counts['not held'],
      different: counts.different,
      unclear: counts.unclear,
      not_tried: counts['not tried'],
    },
    stopped: stopped ?? null,
    attacks: played.map(({ attack, verdict, got }) => ({
      id: attack.id,
      group: attack.group,
      attack: attack.what,
      expected: attack.expected,
      got,
      verdict: verdict.replace(' ', '_'),
      section: attack.section,
    })),
    notes,
    next: nextStepsByGroup(played),
  };
}

function nextStepsByGroup(played: readonly Played[]): Readonly<Record<string, string>> {
  const failed = new Set(played.filter(({ verdict }) => verdict === 'not held').map(({ attack }) => attack.group));
  return Object.fromEntries([...failed].map((group) => [group, REMEDIES[group]]));
}

/** The catalogue, for --list. */
export function listOf(attacks: readonly Attack[], json: boolean): string {
  if (json) {
    const rows = attacks.map(({ id, group, what, expected, section, needs }) => {
      return { id, group, attack: what, expected, section, needs };
    });
    return `${JSON.stringify(rows, undefined, 2)}\n`;
  }
  const [ids, whats] = [widest(attacks.map(({ id }) => id)), widest(attacks.map(({ what }) => what))];
  const rows = GROUPS.flatMap((group) => {
    const own = attacks.filter((attack) => attack.group === group);
    const lines = own.map(({ id, what, section }) =>
      `  ${id.padEnd(ids)}  ${what.padEnd(whats)}  ${section}`.trimEnd(),
    );
    return own.length === 0 ? [] : [style('bold', group), ...lines];
  });
  return `${rows.join('\n')}\n`;
}

const widest = (texts: readonly string[]) => Math.max(...texts.map(({ length }) => length));
