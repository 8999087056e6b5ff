// Texts and lists cut to a number of bytes, so that log lines stay short.

/** As JSON spells it: a control character takes six bytes. */
const sizeOf = (text: string): number => Buffer.byteLength(JSON.stringify(text));

/** @param bytes at most, in JSON with its quotes */
export function shortText(text: string, bytes: number): string {
  let short = text.slice(0, bytes);
  while (sizeOf(short) > bytes) short = short.slice(0, Math.floor((short.length * bytes) / sizeOf(short)) - 1);
  return short;
}

/** The first items, each cut to a quarter of what there is for all, and in place of the others how many there are. */
export function shortList(items: readonly string[], bytes: number): readonly string[] {
  const shown: string[] = [];
  let left = bytes;
  for (const item of items) {
    const short = shortText(item, bytes / 4);
    left -= sizeOf(short) + 1;
    if (left < 0) return [...shown, `and ${items.length - shown.length} more`];
    shown.push(short);
  }
  return shown;
}
