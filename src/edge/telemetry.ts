// The telemetry port: whether the process lives, whether it is ready, and its metrics; nothing secret.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Bind } from '../policy/route.ts';
import { bindServer } from './bind.ts';

/** Whether the gateway is ready, and what that was concluded from: plain JSON, no secrets. */
export interface Readiness {
  readonly ready: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface TelemetrySources {
  readonly ready: () => Readiness;
  /** The text format of Prometheus. */
  readonly metrics: () => Promise<string>;
  /** Told what a page or a connection failed on; an answer says only that it did. */
  readonly onFailure: (error: unknown) => void;
}

export interface Telemetry {
  /** As bound: the port is known where the policy said 0. */
  readonly bind: Bind;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const PLAIN = 'text/plain; charset=utf-8';
/** Prometheus' text format. */
const EXPOSITION = 'text/plain; version=0.0.4; charset=utf-8';
const text = (status: number, body: string): Answer => ({ status, type: PLAIN, body: `${body}\n` });

/** Scrapers and probes are few; whoever opens more waits. */
const CONNECTIONS = 100;

/**
 * Opens the port of /livez, /readyz and /metrics.
 * @throws Error that names the address, where it cannot be bound (bind.ts)
 * NOT checked: who asks; bind it where only the operator reaches it.
 */
export async function openTelemetry(bind: Bind, sources: TelemetrySources): Promise<Telemetry> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (request, response) => {
    void answer(request, response, sources);
  });
  server.maxConnections = CONNECTIONS;
  const bound = await bindServer(server, bind, 'telemetry');
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

async function answer(request: IncomingMessage, response: ServerResponse, sources: TelemetrySources): Promise<void> {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const { status, type, body } = isRead ? await readPage(request.url ?? '', sources) : text(405, 'GET or HEAD');
  const fields = { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store' };
  response.writeHead(status, isRead ? fields : { ...fields, Allow: 'GET, HEAD' }).end(body);
}

async function readPage(target: string, sources: TelemetrySources): Promise<Answer> {
  const { ready, metrics, onFailure } = sources;
  try {
    switch (target.split('?', 1)[0]) {
      case '/livez':
        return text(200, 'live');
      case '/readyz': {
        const { ready: isReady, details } = ready();
        const body = JSON.stringify({ ready: isReady, ...details });
        return { status: isReady ? 200 : 503, type: 'application/json', body: `${body}\n` };
      }
      case '/metrics':
        return { status: 200, type: EXPOSITION, body: await metrics() };
      default:
        return text(404, 'Here are /livez, /readyz and /metrics.');
    }
  } catch (error) {
    onFailure(error);
    return text(500, 'failed');
  }
}
