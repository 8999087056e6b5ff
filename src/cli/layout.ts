// The layout of texts for terminals: wrapped lines, columns, escaped control characters.

/** Columns of help and reports. */
export const WIDTH = 100;

/** A paragraph in lines of at most `width` columns; a word that is longer has a line for itself. */
export function wrap(text: string, width = WIDTH): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** Pairs in two columns, the second one wrapped; two spaces stand before and between them. */
export function columns(pairs: readonly (readonly [string, string])[]): string {
  const first = Math.max(0, ...pairs.map(([left]) => left.length));
  return pairs
    .flatMap(([left, right]) =>
      wrap(right, WIDTH - first - 4).map((line, index) =>
        `  ${(index === 0 ? left : '').padEnd(first)}  ${line}`.trimEnd(),
      ),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Characters of a cell of a table. */
const CELL = 44;

/** Rows below their heads; cells that are too long are cut, and columns that are empty in all rows left out. */
export function textTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = heads.map((_, column) => rows.some((row) => row[column] !== ''));
  const cut = (cell: string) => (cell.length > CELL ? `${cell.slice(0, CELL - 1)}…` : cell);
  const shown = [heads, ...rows].map((row) => row.filter((_, column) => used[column]).map(cut));
  const widths = (shown[0] ?? []).map((_, column) => Math.max(...shown.map((row) => row[column]?.length ?? 0)));
  return shown
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** What a client wrote must not steer a terminal. */
export function printable(text: string): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return text.replaceAll(/[^\x20-\x7e]/g, escaped);
}

/** Characters that could steer a terminal, or reorder what it shows. */
const STEERING = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A line of any language, each character that could steer a terminal as `?`. */
export function harmless(line: string): string {
  return line.replaceAll(STEERING, '?');
}
