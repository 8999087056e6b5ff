// Numbers and times as the status page shows them.

import { type Html, html } from './html.ts';

export function percent(share: number): string {
  const value = share * 100;
  return value > 0 && value < 10 ? `${value.toFixed(value < 1 ? 2 : 1)} %` : `${Math.round(value)} %`;
}

export function perSecond(rate: number): string {
  return rate > 0 && rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}

/** `71 k`. */
export function shortCount(count: number): string {
  if (count < 10_000) return String(count);
  return count < 10_000_000 ? `${Math.round(count / 1000)} k` : `${Math.round(count / 1_000_000)} M`;
}

/** @param seconds undefined: not known */
export function milliseconds(seconds: number | undefined): string {
  if (seconds === undefined) return '–';
  const value = seconds * 1000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** Of the day, UTC: `03:15:20`. */
export function exactTime(seconds: number): Html {
  const text = new Date(seconds * 1000).toISOString();
  return html`<time datetime="${text}">${text.slice(11, 19)}</time>`;
}

export function shownTime(seconds: number): Html {
  const text = new Date(seconds * 1000).toISOString().replace(/\.\d+/, '');
  return html`<time datetime="${text}">${text.replace('T', ' ').replace('Z', ' UTC')}</time>`;
}

/** The two largest units: `3 d 4 h`. */
export function elapsed(seconds: number): string {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ] as const;
  let rest = Math.max(0, Math.round(seconds));
  const parts = units.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return [count, unit] as const;
  });
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0 s';
  const two = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return two.map((part) => part.join(' ')).join(' ');
}
