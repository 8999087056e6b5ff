// A problem of the configuration: where it is, what is wrong there and what is expected.

/** Keys and list indices from the top of the configuration: `['listeners', 0, 'tls']`. */
export type ConfigPath = readonly (string | number)[];

/** A place in a configuration file; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Problem extends Position {
  /** `listeners[0].tls.min_version`, as counted in that file; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong, what is expected. Never a value that came from the environment or from a file. */
  readonly message: string;
}

/** A path as people write it: `listeners[0].tls.min_version`; a key that is no plain word is quoted: `claims["/realm/roles"]`. */
export function formatPath(path: ConfigPath): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[\w-]+$/.test(part)) return `[${JSON.stringify(part)}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

/** One line: `FILE:LINE:COLUMN path: message`. */
export function formatProblem(problem: Problem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  return problem.path === '' ? `${place} ${problem.message}` : `${place} ${problem.path}: ${problem.message}`;
}

/** By file, in the order in which files first occur, then by line and column. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return problems.toSorted(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
}
