// The time that work takes of the processor, however busy the machine is.

/** Milliseconds of this process, all its threads. */
export function cpuTime(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
