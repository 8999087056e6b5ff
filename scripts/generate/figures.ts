// The figures of docs/performance.md on other pages, taken from there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** µs per request of a line of the page. */
type MedianOf = (title: string) => number;

interface Passage {
  readonly file: string;
  /** Matches once; its groups are the figures. */
  readonly pattern: RegExp;
  readonly figures: (median: MedianOf) => readonly string[];
}

const DPOP = 'Holdfast, DPoP';
const BEARER = 'Holdfast, bearer token';
/** Requests per second of a core of which 70 % are used, to two digits. */
const perSecond = (cpu: number) => Number((700_000 / cpu).toPrecision(2)).toLocaleString('en');
const whole = (value: number) => value.toFixed(0);

const PASSAGES: readonly Passage[] = [
  {
    file: 'README.md',
    pattern: /^\| Apache, mod_oauth2 .* for (\d+) µs of CPU per request .* (\d+) µs, and no proof/m,
    figures: (median) => [whole(median('Apache with mod_oauth2, DPoP')), whole(median(DPOP))],
  },
  {
    file: 'docs/kubernetes.md',
    pattern: /^\| CPU \| (\d+) µs per DPoP request, (\d+) µs per bearer token /m,
    figures: (median) => [whole(median(DPOP)), whole(median(BEARER))],
  },
  {
    file: 'docs/kubernetes.md',
    pattern: /^\| so a core at 70 % \| about ([\d,]+) DPoP requests a second, ([\d,]+) with bearer tokens /m,
    figures: (median) => [perSecond(median(DPOP)), perSecond(median(BEARER))],
  },
];

/** Files in which there are such figures. */
export const FILES_WITH_FIGURES = [...new Set(PASSAGES.map(({ file }) => file))];

/**
 * The text of a page with the figures of `performance`. Throws where a passage is gone or the page lacks a line: it has to be
 * written here in other words.
 */
export function withFigures(file: string, text: string, performance: string): string {
  const median: MedianOf = (title) => {
    const line = performance.split('\n').find((one) => one.startsWith(`| ${title} |`));
    const value = Number(line?.split('|')[2]);
    if (!(value > 0)) throw new Error(`docs/performance.md has no line “${title}”`);
    return value;
  };
  return PASSAGES.filter((one) => one.file === file).reduce((changed, { pattern, figures }) => {
    const found = new RegExp(pattern.source, `${pattern.flags}d`).exec(changed);
    if (found?.indices === undefined) throw new Error(`${file} has no passage ${pattern.source}`);
    const places = found.indices.slice(1);
    // From the end, so that the places before stay where they are.
    return figures(median).reduceRight((whole, figure, at) => {
      const [from, to] = places[at]!;
      return whole.slice(0, from) + figure + whole.slice(to);
    }, changed);
  }, text);
}

/** The page as it should be. */
export function figuresPage(root: string, file: string): string {
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  return withFigures(file, read(file), read('docs/performance.md'));
}
