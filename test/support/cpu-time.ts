// What a piece of work costs the processor, which a busy machine does not change.

/** Milliseconds of this process, all its threads. */
export function cpuTime(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
