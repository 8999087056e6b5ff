// The recorded outcomes of the attacks, by product.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Verdict } from './verdict.ts';

const FILE = join(import.meta.dirname, 'outcomes.json');

/** By product, and then by attack. */
export type Outcomes = Readonly<Record<string, Readonly<Record<string, Verdict>>>>;

export const readOutcomes = (): Outcomes => JSON.parse(readFileSync(FILE, 'utf8')) as Outcomes;

/** Preflights that Holdfast answers come out with this status where the proxy passes refusals on as they are. */
export const PREFLIGHT: Readonly<Record<string, number>> = { Traefik: 403 };

const BY_NAME = {
  what: /^X-(?:Forwarded|MS-Client-Principal)-Anything: /i,
  why: 'it removes fields by name, not by their beginning, so that members of a family that no product is known to write stay',
};

/** What no answer of Holdfast can stop, by product. */
export const UNSTOPPABLE: Readonly<Record<string, { readonly what: RegExp; readonly why: string }>> = {
  nginx: BY_NAME,
  Traefik: BY_NAME,
};

/** Who stopped each attack, as it is recorded. */
export function recorded(product: string): Record<string, string> {
  return Object.fromEntries(Object.entries(readOutcomes()[product] ?? {}).map(([name, { by }]) => [name, by]));
}

/** With RECORD=1 in the environment: writes what came out. */
export function record(product: string, verdicts: Readonly<Record<string, Verdict>>): void {
  if (process.env['RECORD'] !== '1') return;
  writeFileSync(FILE, `${JSON.stringify({ ...readOutcomes(), [product]: verdicts }, undefined, 2)}\n`);
}
