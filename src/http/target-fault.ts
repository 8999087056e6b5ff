// The fault of a refused request target, in one word for people.

/** In this order: the first one that is there is named. */
const FAULTS: readonly (readonly [fault: string, pattern: RegExp])[] = [
  ['fragment in the request target', /#/],
  ['character in the request target', /[^\x21-\x7e]|\\/],
  ['percent-encoding', /%(?![0-9A-Fa-f]{2})/],
  ['empty segment', /^[^?]*[^:/?]\/\/|^\/\//],
  ['dot segment', /^[^?]*(?:\/|%2f)(?:\.|%2e){1,2}(?:(?:;|%3b)[^/?]*)?(?:[/?]|%2f|$)/i],
  ['encoded character', /^[^?]*%/],
  ['absolute form', /^[a-z][a-z0-9+.-]*:/i],
];

/**
 * Names the first fault that a reader of request targets finds (C0.13 to C0.15, RFC 9112 §3.2).
 * @param target one that was refused; of another one the word means nothing
 */
export function targetFault(target: string): string {
  const fault = FAULTS.find(([, pattern]) => pattern.test(target))?.[0];
  return fault ?? 'request target';
}
