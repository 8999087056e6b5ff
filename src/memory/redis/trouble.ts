// Outages of Redis as a closed set of words, read from its answers and errors.

/** Why the store did not say `fresh` or `replayed`. */
export type StoreTroubleReason =
  | 'connecting'
  | 'disconnected'
  | 'timeout'
  | 'overloaded'
  | 'loading'
  | 'busy'
  | 'read_only'
  | 'out_of_memory'
  | 'not_writable'
  | 'moved'
  | 'cluster_down'
  | 'denied'
  | 'no_scripts'
  | 'evicts'
  | 'closed'
  | 'other';

export class StoreTrouble extends Error {
  readonly reason: StoreTroubleReason;

  constructor(reason: StoreTroubleReason) {
    super(reason);
    this.reason = reason;
  }
}

/** The first row that fits; Redis begins an error with a word in capitals. */
const ANSWERS: readonly (readonly [RegExp, StoreTroubleReason])[] = [
  [/^LOADING\b/, 'loading'],
  [/^BUSY\b/, 'busy'],
  [/^(?:READONLY|MASTERDOWN)\b/, 'read_only'],
  [/^OOM\b/, 'out_of_memory'],
  [/^(?:MISCONF|NOREPLICAS)\b/, 'not_writable'],
  [/\b(?:MOVED|ASK|TRYAGAIN)\b/, 'moved'],
  [/^CLUSTERDOWN\b|startup nodes|^Cluster is|refresh slots cache/i, 'cluster_down'],
  [/^NOPERM .*'eval'|unknown command.*\beval\b|executing the script/i, 'no_scripts'],
  [/^(?:NOAUTH|NOPERM|WRONGPASS)\b|invalid password|AUTH/, 'denied'],
  [
    /closed|writeable|unreachable|aborted|ECONN|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOST|ENET|EPIPE|timeout/i,
    'disconnected',
  ],
];

/** The message of an error can quote a command, and so is no text for logs: the word is. */
export function readTrouble(error: unknown): StoreTroubleReason {
  if (error instanceof StoreTrouble) return error.reason;
  const { message = '', code = '' } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  return ANSWERS.find(([pattern]) => pattern.test(message) || pattern.test(code))?.[1] ?? 'other';
}
