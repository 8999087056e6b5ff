// Memory and processor time of a pod's program, as this machine counts them.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Usage {
  readonly pid: number;
  /** MiB. */
  readonly resident: number;
  /** The most of it so far. */
  readonly peak: number;
  /** Of all threads. */
  readonly seconds: number;
}

/** Of Linux, for the times in /proc. */
const TICKS = 100;

/** Of the pod that runs Node in its one container. @throws Error where it does not run */
export function usageOf(pod: string): Usage {
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isOf(pod, name));
  if (pid === undefined) throw new Error(`the pod ${pod} has no process`);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024);
  // After the name of the program, which may have blanks.
  const [user = '', system = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 13);
  return {
    pid: Number(pid),
    resident: mebibytes('VmRSS'),
    peak: mebibytes('VmHWM'),
    seconds: (Number(user) + Number(system)) / TICKS,
  };
}

function isOf(pod: string, pid: string): boolean {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return variables.includes(`HOSTNAME=${pod}`) && readlinkSync(`/proc/${pid}/exe`).endsWith('/node');
  } catch {
    return false; // it has ended meanwhile
  }
}
