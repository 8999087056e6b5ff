// A client of the API server for the harness: requests, and lists that are followed.

import { Agent, request } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import type { Metadata } from './objects.ts';

/** An answer of the API server that is a refusal. */
export class ApiError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A whole list, or one object that came, changed or went. */
export type Change<T> =
  | { readonly type: 'LIST'; readonly objects: readonly T[] }
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T };

const MERGE = 'application/merge-patch+json';

export class Api {
  readonly origin: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: Agent;
  readonly #ca: string;

  constructor(origin: string, ca: string, token: string) {
    this.origin = origin;
    this.#ca = ca;
    this.#headers = { Authorization: `Bearer ${token}`, Accept: 'application/json' };
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: 16 });
  }

  async get<T>(path: string): Promise<T> {
    return (await this.#send('GET', path, undefined)) as T;
  }

  async post<T>(path: string, body: object): Promise<T> {
    return (await this.#send('POST', path, body)) as T;
  }

  async patch(path: string, body: object): Promise<void> {
    await this.#send('PATCH', path, body, MERGE);
  }

  async remove(path: string, body: object): Promise<void> {
    await this.#send('DELETE', path, body);
  }

  async #send(method: string, path: string, body: object | undefined, type = 'application/json'): Promise<unknown> {
    const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const content = body && JSON.stringify(body);
      // Node frames no body of DELETE by itself.
      const framing =
        content === undefined ? {} : { 'Content-Type': type, 'Content-Length': Buffer.byteLength(content) };
      const options = { method, agent: this.#agent, headers: { ...this.#headers, ...framing } };
      const sent = request(`${this.origin}${path}`, options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.once('error', reject).end(content);
    });
    if (status >= 400) throw new ApiError(status, `${method} ${path}: ${status} ${text.slice(0, 500)}`);
    return text.startsWith('{') ? JSON.parse(text) : text;
  }

  /** Lists, then watches, and again after each end, until the signal. */
  async follow<T>(path: string, signal: AbortSignal, on: (change: Change<T>) => void): Promise<void> {
    while (!signal.aborted) {
      try {
        const list = await this.get<{ metadata: Metadata; items: readonly T[] | null }>(path);
        on({ type: 'LIST', objects: list.items ?? [] });
        await this.#watch<T>(path, list.metadata.resourceVersion, signal, on);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Error)) throw error;
        await pause(200);
      }
    }
  }

  async #watch<T>(path: string, from: string, signal: AbortSignal, on: (change: Change<T>) => void): Promise<void> {
    const query = `${path.includes('?') ? '&' : '?'}watch=1&resourceVersion=${from}`;
    await new Promise<void>((resolve, reject) => {
      // A connection for each watch: those of the agent would wait behind it.
      const options = { agent: false as const, ca: this.#ca, headers: this.#headers, signal };
      const sent = request(`${this.origin}${path}${query}`, options, (response) => {
        let rest = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const lines = `${rest}${chunk}`.split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines.filter((one) => one !== '')) {
            const event = JSON.parse(line) as { type: string; object: T };
            if (event.type === 'ERROR') return void sent.destroy();
            if (event.type !== 'BOOKMARK') on(event as Change<T>);
          }
        });
        response.once('error', reject).once('close', resolve);
      });
      sent.once('error', reject).once('close', resolve).end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
