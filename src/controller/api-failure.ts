// A request to the API server that failed, in words that are fit for logs.

/** Why there is no good answer: the status and reason of the API server, or a code of the connection; never a body. */
export class ApiFailure extends Error {
  /** undefined: there was no answer. */
  readonly status: number | undefined;
  /** Of the API server (`Conflict`, `Forbidden`), or of the connection (`ECONNREFUSED`, `timeout`). */
  readonly reason: string;

  constructor(status: number | undefined, reason: string, about: string) {
    super(`${about}: ${status === undefined ? reason : `${status} ${reason}`}`);
    this.status = status;
    this.reason = reason;
  }
}

/** Letters and digits only: a reason of the API server is one word, and anything else is a text that may quote an object. */
const WORD = /^[A-Za-z0-9_-]{1,64}$/;

export function readApiFailure(status: number, body: unknown, about: string): ApiFailure {
  const reason = typeof body === 'object' && body !== null && 'reason' in body ? body.reason : undefined;
  return new ApiFailure(status, typeof reason === 'string' && WORD.test(reason) ? reason : 'failed', about);
}

/** What a connection, a deadline or a parser threw. */
export function connectionFailure(error: unknown, about: string): ApiFailure {
  if (error instanceof ApiFailure) return error;
  const causes = error instanceof Error ? [error, error.cause] : [];
  const codes = causes.map((cause) => (cause instanceof Error && 'code' in cause ? cause.code : undefined));
  const code = codes.find((one) => typeof one === 'string' && WORD.test(one));
  if (typeof code === 'string') return new ApiFailure(undefined, code, about);
  const late = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
  return new ApiFailure(undefined, late ? 'timeout' : 'broken', about);
}
