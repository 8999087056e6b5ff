// A small HTTP server of pages for operators: GET and HEAD, orders by POST, never stored.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Admission } from '../edge/listen/admission.ts';
import { bindServer } from '../edge/listen/bind.ts';
import { unmapped } from '../http/address.ts';
import type { Bind } from '../policy/policy.ts';

export interface Page {
  readonly status: number;
  /** Value of Content-Type. */
  readonly type: string;
  /** One Buffer may be the body of many answers at once. */
  readonly body: string | Buffer;
  /** More fields. */
  readonly fields?: Readonly<Record<string, string>>;
}

export interface PageSources {
  /** An order, given by POST; absent, and where it answers with nothing: there is none. */
  readonly order?: (request: IncomingMessage) => Promise<Page> | undefined;
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

/** Operators, scrapers and probes are few; one more shuts out the oldest of the address that has the most (admission.ts). */
const CONNECTIONS = 100;
/** Milliseconds for a request, for reading its answer, and without a request. */
const REQUEST = 5000;
const ANSWER = 10_000;
const IDLE = 5000;
/** Milliseconds between two looks at how long requests take. Node's default of 30 s would be the real limit. */
const LOOK = 1000;
/** Bytes of the header section. */
const HEADERS = 8192;

/**
 * Opens a port for pages. However many connect, and however slowly they send and read, a new connection is served: admission.ts.
 * A connection carries one request at a time; one that sends the next before its answer is there ends.
 * @param who what the port is called where it cannot be bound
 * @throws Error that names the address, where it cannot be bound (bind.ts)
 * NOT checked: who asks; bind it where only the operator reaches it.
 */
export async function openPages(bind: Bind, who: string, sources: PageSources): Promise<OpenPages> {
  const server = createServer({
    headersTimeout: REQUEST,
    requestTimeout: REQUEST,
    keepAliveTimeout: IDLE,
    connectionsCheckingInterval: LOOK,
    maxHeaderSize: HEADERS,
  });
  answerRequests(server, sources);
  const admission = new Admission({
    most: CONNECTIONS,
    ceiling: Number.POSITIVE_INFINITY,
    takesAll: true,
    displaced: () => {},
  });
  server.prependListener('connection', (socket: Socket) => {
    if (typeof admission.enter(socket, unmapped(socket.remoteAddress) ?? '') === 'string') socket.destroy();
  });
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

function answerRequests(server: Server, sources: PageSources): void {
  const busy = new WeakSet<Socket>();
  server.on('request', (request, response) => {
    const { socket } = request;
    if (busy.has(socket)) return void socket.destroy();
    busy.add(socket);
    // What is not read by then is not read at all: it would hold its connection, and the page in memory.
    const late = setTimeout(() => socket.destroy(), ANSWER);
    response.once('close', () => {
      clearTimeout(late);
      busy.delete(socket);
    });
    void answer(request, response, sources);
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, sources: PageSources): Promise<void> {
  const page = await pageFor(request, sources);
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

async function pageFor(request: IncomingMessage, { read, order, onFailure }: PageSources): Promise<Page> {
  try {
    if (request.method === 'GET' || request.method === 'HEAD') return await read(request);
    const done = request.method === 'POST' ? order?.(request) : undefined;
    return (await done) ?? { ...plainPage(405, 'GET or HEAD'), fields: { Allow: 'GET, HEAD' } };
  } catch (error) {
    onFailure(error);
    return plainPage(500, 'failed');
  }
}
