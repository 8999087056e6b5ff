// Results of a translation, kept for the next one together with what they were made of.

interface Kept {
  readonly inputs: readonly unknown[];
  readonly result: unknown;
}

/**
 * Results by the object that they are about; they live no longer than it does. A result counts for as long as its inputs are the same:
 * objects are never changed once they were read, so that the same object has the same content.
 * What is in here changes how long a translation takes, and nothing else.
 */
export class Memory {
  readonly #kept = new WeakMap<object, Map<string, Kept>>();

  /**
   * @param part of several results about one object; those of one name have one type
   * @param inputs everything that `make` reads besides the object
   */
  keep<T>(subject: object, part: string, inputs: readonly unknown[], make: () => T): T {
    const parts = this.#kept.get(subject) ?? new Map<string, Kept>();
    const before = parts.get(part);
    if (before !== undefined && areSame(before.inputs, inputs)) return before.result as T;
    const result = make();
    parts.set(part, { inputs, result });
    this.#kept.set(subject, parts);
    return result;
  }
}

function areSame(before: readonly unknown[], now: readonly unknown[]): boolean {
  if (before.length !== now.length) return false;
  return now.every((one, at) => Object.is(one, before[at]));
}
