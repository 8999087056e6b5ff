// The output of a command at its end, and how problems and failures look.

import type { Problem } from '../config/problem.ts';
import { EXIT } from './commands.ts';
import { problemText } from './problem-text.ts';

/** What a command prints, and how it ends. */
export interface Printed {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** A thread can be stuck in a write that nobody reads: then the process cannot end by itself. */
  readonly stuck?: boolean;
}

/** Problems end a command: on standard error as text, each with the line that is wrong, and a count, or on standard output as JSON. */
export function printProblems(problems: readonly Problem[], json: boolean): Printed {
  const exit = EXIT.configuration;
  if (json) return { exit, stdout: `${JSON.stringify({ valid: false, problems }, undefined, 2)}\n`, stderr: '' };
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return {
    exit,
    stdout: '',
    stderr: `${problems.map(problemText).join('\n')}\n\n${count}; this configuration is not used.\n`,
  };
}

/** Why a command ended without doing what it was asked: a line for people, or JSON. */
export function printFailure(exit: number, error: string, json: boolean, hint = ''): Printed {
  if (json) return { exit, stdout: `${JSON.stringify({ error })}\n`, stderr: '' };
  return { exit, stdout: '', stderr: `holdfast: ${error}\n${hint}` };
}
