// The report of the doctor: a table of findings, then what to do, or the same as JSON.

import { harmless, textTable, wrap } from '../layout.ts';
import type { DoctorFinding, Verdict } from './finding.ts';

const ORDER: readonly Verdict[] = ['fault', 'warning', 'unknown'];
const WORDS: Readonly<Record<Verdict, readonly [one: string, more: string]>> = {
  fault: ['fault', 'faults'],
  warning: ['warning', 'warnings'],
  unknown: ['unknown', 'unknown'],
  ok: ['in order', 'in order'],
};

/** How many findings have each verdict. */
export function countFindings(findings: readonly DoctorFinding[]): Readonly<Record<Verdict, number>> {
  const count = (verdict: Verdict) => findings.filter((one) => one.verdict === verdict).length;
  return { fault: count('fault'), warning: count('warning'), unknown: count('unknown'), ok: count('ok') };
}

/** For programs. */
export function tellFindings(findings: readonly DoctorFinding[]) {
  const { fault: faults, warning: warnings, unknown } = countFindings(findings);
  return { faults, warnings, unknown, findings };
}

/** For people: all findings in a table, then each that is not in order in full, faults first. */
export function printFindings(findings: readonly DoctorFinding[]): string {
  const rows = findings.map(({ verdict, subject, check, found }) => [verdict, subject, check, found].map(harmless));
  const told = ORDER.flatMap((verdict) => findings.filter((one) => one.verdict === verdict)).map(tell);
  const counts = countFindings(findings);
  const sums = ([...ORDER, 'ok'] as const)
    .filter((verdict) => counts[verdict] > 0 || verdict === 'ok')
    .map((verdict) => `${counts[verdict]} ${WORDS[verdict][counts[verdict] === 1 ? 0 : 1]}`);
  return [textTable(['verdict', 'subject', 'check', 'found'], rows), ...told, `${sums.join(', ')}.\n`].join('\n');
}

function tell({ verdict, subject, check, found, expected = '', next }: DoctorFinding): string {
  const lines = (
    [
      ['found', found],
      ['expected', expected],
      ['next', next],
    ] as const
  )
    .filter(([, text]) => text !== '')
    .flatMap(([name, text]) =>
      wrap(harmless(text), 88).map((line, index) => `  ${(index === 0 ? name : '').padEnd(9)} ${line}\n`),
    );
  return `${verdict}: ${harmless(subject)}, ${check}\n${lines.join('')}`;
}
