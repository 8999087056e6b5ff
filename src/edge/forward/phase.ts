// The phases of a forwarding.

export type Phase =
  | 'collecting'
  | 'queued'
  | 'connecting'
  | 'sending'
  | 'awaiting'
  | 'answering'
  | 'flushing'
  | 'tunnelling'
  | 'settled';
