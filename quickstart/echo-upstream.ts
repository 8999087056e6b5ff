// The upstream of the quickstart, which answers with the request that it got.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { close, listen } from './loopback.ts';

/** What arrived. */
export interface Seen {
  readonly method: string;
  /** As received, with the query. */
  readonly path: string;
  /** Every field line, names as received; several lines of one name become an array. */
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
  /** Bytes of content. */
  readonly content: number;
}

export interface EchoUpstream {
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** A request that carries this field can be asked for afterwards: `GET /.quickstart/seen/VALUE`, 404 if it never arrived. */
export const TRACE_FIELD = 'X-Demo-Request';
/** Answers with the `mark` that `startEchoUpstream` was given. */
export const MARK_PATH = '/.quickstart/mark';
export const SEEN_PATH = '/.quickstart/seen/';
/** How many traced requests are remembered. */
const REMEMBERED = 200;

/**
 * Starts the upstream on loopback, plain HTTP. `mark` says whose it is. The gateway of the quickstart has no route to
 * the paths under /.quickstart; whoever asks for them is on this machine. Rejects with the error of `listen`.
 */
export async function startEchoUpstream(options: { port: number; mark: string }): Promise<EchoUpstream> {
  const traced = new Map<string, Seen>();
  const server = createServer((request, response) => {
    let content = 0;
    request.on('data', (chunk: Buffer) => {
      content += chunk.length;
    });
    request.on('end', () => {
      const { url = '/' } = request;
      if (url === MARK_PATH) return answer(response, 200, { mark: options.mark });
      if (url.startsWith(SEEN_PATH)) {
        const seen = traced.get(url.slice(SEEN_PATH.length));
        return answer(response, seen ? 200 : 404, seen ?? {});
      }
      const seen = { method: request.method ?? '', path: url, fields: fieldsOf(request), content };
      remember(traced, request.headers[TRACE_FIELD.toLowerCase()], seen);
      return answer(response, 200, seen);
    });
  });
  const port = await listen(server, options.port);
  return { port, close: () => close(server) };
}

function fieldsOf({ rawHeaders }: IncomingMessage): Seen['fields'] {
  const fields = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    fields.set(name, [...(fields.get(name) ?? []), rawHeaders[at + 1] as string]);
  }
  return Object.fromEntries([...fields].map(([name, values]) => [name, values.length === 1 ? values[0]! : values]));
}

function remember(traced: Map<string, Seen>, trace: string | string[] | undefined, seen: Seen): void {
  if (typeof trace !== 'string') return;
  traced.set(trace, seen);
  for (const oldest of traced.keys()) if (traced.size > REMEMBERED) traced.delete(oldest);
}

function answer(response: ServerResponse, status: number, document: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(`${JSON.stringify(document, null, 2)}\n`);
}
