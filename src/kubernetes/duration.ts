// Durations of the Gateway API (GEP-2257) in the words of the configuration.

const DURATION = /^(?:[0-9]{1,5}(?:h|m|s|ms)){1,4}$/;
const MILLISECONDS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** `1h30m` as `5400000ms`. @returns undefined: not a duration; `none` for one of no length, which means no limit */
export function planDuration(written: string): string | undefined {
  if (!DURATION.test(written)) return undefined;
  const parts = [...written.matchAll(/([0-9]+)(h|ms|m|s)/g)];
  const total = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (MILLISECONDS[unit ?? ''] ?? 0), 0);
  if (total === 0) return 'none';
  return total < 1_000_000_000 ? `${total}ms` : `${Math.ceil(total / 1000)}s`;
}
