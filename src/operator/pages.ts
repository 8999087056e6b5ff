// A small server of pages for operators: GET and HEAD, never stored, and not a word of what a page failed on.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Bind } from '../policy/policy.ts';
import { bindServer } from '../edge/listen/bind.ts';

export interface Page {
  readonly status: number;
  /** Value of Content-Type. */
  readonly type: string;
  readonly body: string;
  /** More fields. */
  readonly fields?: Readonly<Record<string, string>>;
}

export interface PageSources {
  readonly read: (request: IncomingMessage) => Page | Promise<Page>;
  /** Told what a page or a connection failed on; an answer says only that it did. */
  readonly onFailure: (error: unknown) => void;
}

export interface OpenPages {
  /** As bound: the port is known where the policy said 0. */
  readonly bind: Bind;
  close(): Promise<void>;
}

export const PLAIN = 'text/plain; charset=utf-8';

export function plainPage(status: number, body: string): Page {
  return { status, type: PLAIN, body: `${body}\n` };
}

/** Operators, scrapers and probes are few; whoever opens more waits. */
const CONNECTIONS = 100;

/**
 * Opens a port for pages. @param who what the port is called where it cannot be bound
 * @throws Error that names the address, where it cannot be bound (bind.ts)
 * NOT checked: who asks; bind it where only the operator reaches it.
 */
export async function openPages(bind: Bind, who: string, sources: PageSources): Promise<OpenPages> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (request, response) => {
    void answer(request, response, sources);
  });
  server.maxConnections = CONNECTIONS;
  const bound = await bindServer(server, bind, who);
  server.on('error', sources.onFailure); // of accept(2): without a listener it would end the process
  return {
    bind: bound,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, sources: PageSources): Promise<void> {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const page = isRead
    ? await readPage(request, sources)
    : { ...plainPage(405, 'GET or HEAD'), fields: { Allow: 'GET, HEAD' } };
  const { status, type, body, fields } = page;
  response
    .writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...fields,
    })
    .end(body);
}

async function readPage(request: IncomingMessage, { read, onFailure }: PageSources): Promise<Page> {
  try {
    return await read(request);
  } catch (error) {
    onFailure(error);
    return plainPage(500, 'failed');
  }
}
