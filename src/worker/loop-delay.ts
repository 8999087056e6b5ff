// The delay of the event loop of a thread, seen by a timer.

/** Milliseconds. */
const EVERY = 100;

/**
 * Tells ten times a second how late the loop was, in seconds: a histogram that can be added up, which that of Node is not.
 * @returns ends it
 */
export function watchLoopDelay(observe: (seconds: number) => void): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    observe(Math.max(0, now - last - EVERY) / 1000);
    last = now;
  }, EVERY).unref();
  return () => clearInterval(timer);
}
