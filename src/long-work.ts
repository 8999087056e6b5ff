// Long work in steps, between which other work may have its turn.

/** Each `yield` is a place where it may be interrupted. What is returned does not depend on whether it was. */
export type InSteps<T> = Generator<undefined, T, undefined>;

/** All steps at once. */
export function allAtOnce<T>(steps: InSteps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Items in one step: a step costs, where work is nested, as much as one of the quick items. */
const BATCH = 8;

/** What `make` makes of each item, a few in each step. */
export function* mapInSteps<T, U>(items: Iterable<T>, make: (item: T) => U): InSteps<U[]> {
  const made: U[] = [];
  for (const item of items) {
    made.push(make(item));
    if (made.length % BATCH === 0) yield;
  }
  return made;
}
