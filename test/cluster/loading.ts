// Load on a gateway from another process, so that the harness keeps its breath.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';

export interface LoadWishes {
  readonly address: string;
  readonly port: number;
  /** Of the origin: server name and Host. */
  readonly host: string;
  readonly path: string;
  readonly ca: string;
  /** Clients with a kept connection each. */
  readonly http1: number;
  readonly http2: number;
  /** Milliseconds between an answer and the next request of a client. */
  readonly pause: number;
}

export interface LoadResult {
  readonly sent: number;
  readonly good: number;
  /** When, and what came instead of 200. */
  readonly failures: readonly string[];
}

export interface Load {
  stop(): Promise<LoadResult>;
}

/** Starts it, and resolves when it is at work. It ends with the test at the latest. */
export async function startLoad(t: Pick<TestContext, 'after'>, wishes: LoadWishes): Promise<Load> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'load.ts'), JSON.stringify(wishes)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const said = text(child.stdout);
  const ended = once(child, 'close');
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  await Promise.race([once(child.stderr, 'data'), ended]);
  return {
    async stop() {
      child.stdin.end();
      await ended;
      const result = await said;
      if (result === '') throw new Error(`the load ended by itself: ${errors}`);
      return JSON.parse(result) as LoadResult;
    },
  };
}
