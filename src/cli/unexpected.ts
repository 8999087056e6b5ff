// Exceptions that no one caught: the end of the process, without the words of the exception.

import type { Log } from '../observe/log.ts';

/**
 * Rejects on an exception that no one caught: the process is in no known state and ends. Only the log tells what it was, without
 * its message, which may quote a client; Node would print that.
 */
export function hearFailures(log: Log): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const hear = (error: unknown) => {
    log.failure('an unexpected error ends the process', error);
    reject(new Error('an unexpected error, see the log'));
  };
  process.on('uncaughtException', hear).on('unhandledRejection', hear);
  promise.catch(() => {}); // Before the gateway runs no one waits for it.
  return promise;
}
