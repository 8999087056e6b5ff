// Masking of values from the environment and of secrets in addresses.

import { withoutUserinfo } from '../userinfo.ts';
import type { Substitution } from '../read/source.ts';

/** The same value with every text in it masked. */
export type Mask = <T>(value: T) => T;

/** Characters. What is shorter is in every second word, and no secret. */
const SHORTEST = 4;

/**
 * Makes the mask of a configuration: what came from the environment is shown as the configuration has it, as `${NAME}`, wherever it
 * turns up, in whatever case, and as URLs are normalised; of addresses neither userinfo nor query are shown (maskAddresses).
 * NOT hidden: values of fewer than four characters, and what a text was turned into otherwise, such as a hash.
 */
export function compileMask(substitutions: readonly Substitution[]): Mask {
  const shown = new Map<string, string>();
  const hide = (value: string, written: string) => {
    for (const spelling of spellings(value)) {
      if (spelling.length >= SHORTEST && !shown.has(spelling)) shown.set(spelling, written);
    }
  };
  for (const { written, text, variables } of substitutions) {
    if (variables.size > 0) hide(text, written);
    for (const [name, value] of variables) hide(value, `\${${name}}`);
  }
  const longestFirst = [...shown.keys()].toSorted((one, other) => other.length - one.length);
  const found = longestFirst.length === 0 ? undefined : new RegExp(longestFirst.map(literally).join('|'), 'gi');
  const hideIn = (text: string) =>
    maskAddresses(found === undefined ? text : text.replaceAll(found, (one) => shown.get(one.toLowerCase()) ?? '…'));
  return (value) => maskTexts(value, hideIn);
}

/** Userinfo of an address can be a password, and its query a key. */
export function maskAddresses(text: string): string {
  return withoutUserinfo(text).replaceAll(/(:\/\/[^\s?]*)\?\S*/g, '$1?…');
}

/** In lower case: as it is, without a default port, and as URL has it, but for a slash that URL adds: it is part of what follows. */
function spellings(value: string): readonly string[] {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const href = value.endsWith('/') ? url?.href : url?.href.replace(/\/$/, '');
  const spelled = [value, value.replace(/:(?:80|443)(?=\/|$)/, ''), href, url?.origin, url?.host, url?.password];
  return spelled.filter((one) => one !== undefined).map((one) => one.toLowerCase());
}

function literally(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

function maskTexts<T>(value: T, hideIn: (text: string) => string): T {
  if (typeof value === 'string') return hideIn(value) as T;
  if (Array.isArray(value)) return value.map((one: unknown) => maskTexts(one, hideIn)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, maskTexts(one, hideIn)])) as T;
}
