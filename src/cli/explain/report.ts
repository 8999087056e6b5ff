// An explanation for people: verdict, next step, what else is wrong, then every check.

import type { Answer } from '../../rejection/answer.ts';
import { shownFacts, type ShownFacts } from '../../rejection/facts.ts';
import { type Rejection, wordingOf } from '../../rejection/rejection.ts';
import { harmless } from '../layout.ts';
import type { CheckedStep } from './checks.ts';
import type { Skipped } from './skipped.ts';

/** One thing that is wrong, in words. */
interface ToldRefusal {
  readonly reason: string;
  readonly title: string;
  /** `htu: path differs`; '': the title says it all. */
  readonly what: string;
  readonly expected: string | undefined;
  readonly received: string | undefined;
  /** For the sender, and for the operator where that is something else. */
  readonly next: string;
  readonly operator: string | undefined;
}

/** What was found out about a request. */
export interface Explanation {
  readonly decision: 'permitted' | 'refused' | 'answered';
  readonly reason: string | undefined;
  readonly refused: ToldRefusal | undefined;
  /** What would be refused next, with everything before it taken for good. */
  readonly also: readonly ToldRefusal[];
  readonly facts: ShownFacts | undefined;
  readonly listener: string;
  readonly route: string | undefined;
  readonly requirement: string | undefined;
  /** Routes of the same host and path that came first and did not fit. */
  readonly skipped: readonly Skipped[];
  readonly checks: readonly CheckedStep[];
  /** The answer to a refusal, or of the gateway itself. */
  readonly answer: Answer | undefined;
  /** What a permitted request would bring to the upstream. */
  readonly identity: readonly (readonly [string, string])[];
  readonly notes: readonly string[];
}

/** @param rejection its facts hold no token, proof or nonce (rejection/facts.ts) */
export function tellRefusal(rejection: Rejection): ToldRefusal {
  const words: { readonly title: string; readonly remedy: string; readonly operator?: string } = wordingOf(rejection);
  const { what, differs, expected, received, received_in: where } = shownFacts(rejection.facts);
  return {
    reason: rejection.reason,
    title: words.title,
    what: [what, differs].filter((one) => one !== undefined).join(', '),
    expected,
    received: received !== undefined && where !== undefined ? `${received} (in ${where})` : received,
    next: words.remedy,
    operator: words.operator,
  };
}

const MARKS = { passed: 'ok', failed: 'FAILED', 'not reached': '-', 'not needed': 'not needed' } as const;

/** Texts that came with the request do not steer the terminal. */
export function printExplanation(explanation: Explanation): string {
  const { skipped, checks, answer, notes } = explanation;
  return [
    ...verdict(explanation).map(harmless),
    '',
    ...skipped.map(printSkipped).map(harmless),
    ...checks.flatMap(printStep).map(harmless),
    ...(answer === undefined ? [] : ['', 'The client would get:', ...printAnswer(answer)]),
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
  ].join('\n');
}

function verdict({
  decision,
  refused,
  also,
  facts,
  checks,
  listener,
  route,
  requirement,
  identity,
}: Explanation): string[] {
  const where = `listener ${listener}, route ${route ?? '(none)'}${requirement === undefined ? '' : `, require: ${requirement}`}`;
  if (refused === undefined) {
    const said = decision === 'answered' ? 'ANSWERED by the gateway itself' : 'PERMITTED';
    const shown = identity.map(([name, value]) => `  ${name}: ${value}`);
    return [said, where, ...(shown.length === 0 ? [] : ['The upstream would get:', ...shown])];
  }
  const failed = checks.find(({ outcome }) => outcome === 'failed');
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['why', refused.title],
    ['check', failed && `${failed.check} (${failed.rfc})`],
    ['what', refused.what],
    ['expected', refused.expected ?? failed?.expected],
    ['received', refused.received ?? failed?.received],
    ...otherFacts(facts),
    ['client', refused.next],
    ['operator', refused.operator],
  ];
  const others = also.map(({ reason, title, expected, received }) => {
    const values = expected === undefined ? '' : `: expected ${expected}, received ${received ?? 'nothing'}`;
    return `also wrong: ${reason}, ${title}${values}`;
  });
  return [
    `REFUSED: ${refused.reason}`,
    where,
    ...lines
      .filter(([, text]) => text !== undefined && text !== '')
      .map(([name, text]) => `  ${name.padEnd(9)} ${text}`),
    ...others,
  ];
}

/** What the facts hold besides what was expected and received. */
function otherFacts(facts: ShownFacts | undefined): [string, string][] {
  const { name, clock_offset: clock, renewed_certificate: renewed, code, allow } = facts ?? {};
  const ahead = clock === undefined || clock === 0 ? undefined : clock > 0 ? 'ahead' : 'behind';
  return [
    ...(name === undefined ? [] : [['name', name] satisfies [string, string]]),
    ...(clock === undefined || ahead === undefined
      ? []
      : [['clock', `the client's is ${Math.abs(clock)} s ${ahead}`] satisfies [string, string]]),
    ...(renewed === true ? [['renewed', 'the certificate was probably renewed'] satisfies [string, string]] : []),
    ...(code === undefined ? [] : [['code', code] satisfies [string, string]]),
    ...(allow === undefined ? [] : [['allow', allow] satisfies [string, string]]),
  ];
}

function printStep({ check, rfc, expected, received, outcome }: CheckedStep): string[] {
  const mark = MARKS[outcome].padEnd(11);
  if (outcome === 'not reached' || outcome === 'not needed') return [`${mark}${check}`];
  const margin = ' '.repeat(11);
  return [`${mark}${check} (${rfc})`, `${margin}expected ${expected}`, `${margin}received ${received}`];
}

function printSkipped({ route, what, expected, received }: Skipped): string {
  return `${'not taken'.padEnd(11)}route ${route}: ${what} expected ${expected}, received ${received}`;
}

function printAnswer({ status, fields, body }: Answer): string[] {
  return [
    `  ${status}`,
    ...fields.map(([name, value]) => `  ${name}: ${value}`),
    ...(body === '' ? [] : [`  ${body}`]),
  ];
}
