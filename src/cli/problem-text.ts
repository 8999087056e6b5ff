// A problem of the configuration for people: one line, the line of the file, and a caret.

import { type Excerpt, formatProblem, type Problem } from '../config/problem.ts';
import { harmless, WIDTH } from './layout.ts';

/** Without a newline at its end. */
export function problemText(problem: Problem): string {
  const { excerpt, line } = problem;
  const said = formatProblem(problem);
  if (excerpt === undefined || excerpt.line.trim() === '') return said;
  const { text, caret } = cut(excerpt);
  const margin = String(line).padStart(5);
  return `${said}\n${margin} | ${text}\n${' '.repeat(margin.length)} | ${' '.repeat(caret)}^`;
}

/** As much of a long line as fits, the column that is meant in it. */
function cut({ line, column }: Excerpt): { readonly text: string; readonly caret: number } {
  const clean = harmless(line).trimEnd();
  const at = Math.min(column, clean.length + 1) - 1;
  const room = WIDTH - 10;
  if (clean.length <= room) return { text: clean, caret: at };
  const from = Math.min(Math.max(0, at - Math.floor(room / 2)), clean.length - room);
  const [before, after] = [from > 0 ? '…' : '', from + room < clean.length ? '…' : ''];
  return { text: `${before}${clean.slice(from, from + room)}${after}`, caret: at - from + before.length };
}
