// Structured fields (RFC 9651) as signatures use them: dictionaries, read without throwing.

import { type InnerList, parseDictionary, serializeInnerList } from 'structured-headers';

/** Parameters of an item or inner list, in their order. */
export type Parameters = ReadonlyMap<string, unknown>;
/** Its value, or of an inner list its items; a string, number or boolean, or an object of the library. */
export type Member = readonly [value: unknown, parameters: Parameters];

/** Characters of one field, all its lines together; a longer one is not read. */
const LONGEST = 8192;

/** Reads a dictionary (§4.2.2). Of members with the same key the last one counts. @returns undefined: it is none, or too long */
export function readDictionary(text: string): ReadonlyMap<string, Member> | undefined {
  if (text.length > LONGEST) return undefined;
  try {
    return parseDictionary(text) as ReadonlyMap<string, Member>;
  } catch {
    return undefined; // The caller names the reason.
  }
}

/** The items of an inner list; undefined: the member is an item. */
export function itemsOf([value]: Member): readonly Member[] | undefined {
  return Array.isArray(value) ? (value as readonly Member[]) : undefined;
}

/** The bytes that a member is; undefined: it is something else. */
export function bytesOf(member: Member | undefined): Buffer | undefined {
  return member?.[0] instanceof ArrayBuffer ? Buffer.from(member[0]) : undefined;
}

/** An inner list as it is signed (§4.1.1.1); undefined: it has what can be read and not written, such as control characters. */
export function writeInnerList(list: Member): string | undefined {
  try {
    return serializeInnerList(list as unknown as InnerList);
  } catch {
    return undefined; // The caller names the reason.
  }
}
