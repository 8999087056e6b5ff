// A problem of the configuration: where it is, what is wrong there and what is expected.

/** Keys and list indices from the top of the configuration: `['listeners', 0, 'tls']`. */
export type ConfigPath = readonly (string | number)[];

/** A line of a file as it can be shown, and the column in it that is meant; columns count from 1. */
export interface Excerpt {
  readonly line: string;
  readonly column: number;
}

/** A place in a configuration file; line and column count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** undefined: there is no text to show, as of a file that cannot be read. */
  readonly excerpt?: Excerpt;
}

export interface Problem extends Position {
  /** `listeners[0].tls.min_version`, as counted in that file; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong, what is expected. Never a value that came from the environment or from a file. */
  readonly message: string;
  /** Other places that are wrong for the same cause. */
  readonly also?: readonly Position[];
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

/** Places that are named one by one. */
const PLACES = 5;

/** One line: `FILE:LINE:COLUMN path: message`, and where else it is so. */
export function formatProblem(problem: Problem): string {
  const { path, message, also = [] } = problem;
  const others = also.map((one) => (one.file === problem.file ? `${one.line}:${one.column}` : formatPlace(one)));
  const more = others.length > PLACES ? ` and ${others.length - PLACES} more` : '';
  const again = others.length === 0 ? '' : ` (the same at ${others.slice(0, PLACES).join(', ')}${more})`;
  return `${formatPlace(problem)} ${path === '' ? '' : `${path}: `}${message}${again}`;
}

function formatPlace({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

/** By file, in the order in which files first occur, then by line and column. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return problems.toSorted(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
}

/**
 * One problem per cause: what is said of the same text at the same key of several list items, such as an upstream that is declared
 * nowhere and named by twelve routes, is one problem with twelve places.
 */
export function oncePerCause(problems: readonly Problem[]): readonly Problem[] {
  const causes = Map.groupBy(problems, (problem) =>
    problem.excerpt === undefined
      ? problem
      : JSON.stringify([problem.path.replaceAll(/\[\d+\]/g, '[]'), problem.message, wordAt(problem.excerpt)]),
  );
  return [...causes.values()].flatMap(([first, ...others]) => {
    if (first === undefined) return [];
    if (others.length === 0) return [first];
    return [{ ...first, also: others.map(({ file, line, column }) => ({ file, line, column })) }];
  });
}

/** The value or key that begins there. */
function wordAt({ line, column }: Excerpt): string {
  return /^(?:"[^"]*"|'[^']*'|[^\s,:{}[\]]+|)/.exec(line.slice(column - 1))?.[0] ?? '';
}
