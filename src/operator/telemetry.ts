// The telemetry port: whether the process lives, whether it is ready, and its metrics; nothing secret.

import type { Bind } from '../policy/policy.ts';
import { type OpenPages, openPages, type Page, type PageSources, plainPage } from './pages.ts';

/** Whether the gateway is ready, and what that was concluded from: plain JSON, no secrets. */
export interface Readiness {
  readonly ready: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface TelemetrySources extends Pick<PageSources, 'onFailure'> {
  readonly ready: () => Readiness;
  /** The text format of Prometheus. */
  readonly metrics: () => Promise<string>;
}

export type Telemetry = OpenPages;

/** Prometheus' text format. */
const EXPOSITION = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Opens the port of /livez, /readyz and /metrics.
 * @throws Error that names the address, where it cannot be bound (bind.ts)
 * NOT checked: who asks; bind it where only the operator reaches it.
 */
export async function openTelemetry(bind: Bind, sources: TelemetrySources): Promise<Telemetry> {
  const { onFailure } = sources;
  return await openPages(bind, 'telemetry', { read: ({ url = '' }) => readPage(url, sources), onFailure });
}

async function readPage(target: string, { ready, metrics }: TelemetrySources): Promise<Page> {
  switch (target.split('?', 1)[0]) {
    case '/livez':
      return plainPage(200, 'live');
    case '/readyz': {
      const { ready: isReady, details } = ready();
      const body = JSON.stringify({ ready: isReady, ...details });
      return { status: isReady ? 200 : 503, type: 'application/json', body: `${body}\n` };
    }
    case '/metrics':
      return { status: 200, type: EXPOSITION, body: await metrics() };
    default:
      return plainPage(404, 'Here are /livez, /readyz and /metrics.');
  }
}
