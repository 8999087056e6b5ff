// Traces: where spans go, and which requests have some.

export interface TracingRules {
  /** URL, with its path. */
  readonly endpoint: string;
  /** Secret values by field name. */
  readonly headers: ReadonlyMap<string, string>;
  /** PEM text. */
  readonly ca: string | undefined;
  /** 0 to 1: of traces that begin here. */
  readonly sample: number;
  /** Whose trace is continued. */
  readonly trust: 'peers' | 'all';
  /** Resource attributes. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly clientAddress: boolean;
  /** Seconds. */
  readonly timeout: number;
  /** Spans, per worker. */
  readonly queue: number;
}
