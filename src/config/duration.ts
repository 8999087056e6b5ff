// Durations as the configuration and the command line write them.

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** `250ms`, `60s`, `5m` or `1h` whole. */
export const DURATION = /^([0-9]{1,9})(ms|s|m|h)$/;

/** In seconds; NaN: not a duration. */
export function secondsOf(written: string): number {
  const [, count, unit = ''] = DURATION.exec(written) ?? [];
  return Number(count) * (SECONDS[unit] ?? Number.NaN);
}
