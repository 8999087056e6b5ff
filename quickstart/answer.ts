// An answer as the clients of the quickstart see it.

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly fields: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}
