// Work done once for all who wait for it, and for a tenth of the time at most.

/** Milliseconds of rest for each millisecond of work, and the longest rest. */
const REST = { factor: 9, most: 1000 };

/**
 * Makes work that is shared: it begins after it was asked for, so that its result is never older than the question, and one run
 * serves everybody who asked before it began. Between two runs it rests nine times as long as the last one took, a second at most:
 * however many ask, the threads that do the work have nine tenths of their time for other things.
 * @param work what fails is told to everybody who waited, and the next question begins it again
 */
export function shareWork<T>(work: () => Promise<T>): () => Promise<T> {
  let waiting: Promise<T> | undefined;
  let rested: Promise<void> | undefined;
  const begin = async (): Promise<T> => {
    await rested;
    waiting = undefined;
    const begun = performance.now();
    const done = work();
    rested = done.then(
      () => rest(begun),
      () => rest(begun),
    );
    return await done;
  };
  return () => (waiting ??= begin());
}

function rest(begun: number): Promise<void> {
  const pause = Math.min(REST.factor * (performance.now() - begun), REST.most);
  return new Promise((resolve) => {
    setTimeout(resolve, pause).unref();
  });
}
