// The median of several measurements, and their range.

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}

/** Two cells of a table. */
export const inCells = ({ median, least, most }: Spread, digits: number) =>
  `${median.toFixed(digits)} | ${least.toFixed(digits)}–${most.toFixed(digits)}`;
