// Blanks around a value (OWS, RFC 9110 §5.6.3), taken off in one pass.

/** Without blanks and tabs at its ends, in one step for each: a pattern for those at the end would begin again at every blank. */
export function withoutBlanks(value: string): string {
  let [from, to] = [0, value.length];
  while (from < to && isBlank(value.charCodeAt(from))) from += 1;
  while (to > from && isBlank(value.charCodeAt(to - 1))) to -= 1;
  return value.slice(from, to);
}

const isBlank = (code: number) => code === 0x20 || code === 0x09;
