// The telemetry port: liveness, readiness and metrics.

import { EXPOSITION_TYPES, type ExpositionFormat } from '../observe/exposition.ts';
import type { Exposition } from '../observe/process-metrics.ts';
import type { Bind } from '../policy/policy.ts';
import { isOwnHost } from './own-host.ts';
import { type OpenPages, openPages, type Page, type PageSources, plainPage } from './pages.ts';
import { shareWork } from './shared-work.ts';

/** Whether the gateway is ready, and what that was concluded from: plain JSON, no secrets. */
export interface Readiness {
  readonly ready: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface TelemetrySources extends Pick<PageSources, 'onFailure'> {
  readonly ready: () => Readiness;
  /** All metrics at one moment, in each format. */
  readonly metrics: () => Promise<Exposition>;
  /** The key set that verifies assertions, as JSON text. */
  readonly assertionKeys: () => string;
  /** Names, besides its addresses, by which the port is called, in lower case; none where absent. */
  readonly hosts?: () => readonly string[];
}

export type Telemetry = OpenPages;

const ELSEWHERE = 'Ask by an address of this port, or by a name that telemetry.hosts lists.';

/**
 * Opens the port of /livez, /readyz, /metrics and /assertion-keys (public keys, RFC 7517 §5). A Host that is neither an address of
 * the port nor one of `hosts` gets 421 (own-host.ts); a request without Host, which HTTP/1.0 allows and no browser sends, is answered. Metrics are collected once for
 * everybody who waits for them (shared-work.ts), and probes never wait for that.
 * @throws Error that names the address, where it cannot be bound (bind.ts)
 * NOT checked: who asks; bind it where only the operator reaches it.
 */
export async function openTelemetry(bind: Bind, sources: TelemetrySources): Promise<Telemetry> {
  const { onFailure, hosts } = sources;
  const metrics = shareWork(async () => shareTexts(await sources.metrics()));
  const read = ({ url = '', headers: { host, accept } }: Asked): Page | Promise<Page> => {
    if (host !== undefined && !isOwnHost(host, bind, hosts?.())) return plainPage(421, ELSEWHERE);
    return readPage({ target: url, accept }, sources, metrics);
  };
  return await openPages(bind, 'telemetry', { read, onFailure });
}

/** What a page depends on: node:http's IncomingMessage has all of it. */
interface Asked {
  readonly url?: string | undefined;
  readonly headers: { readonly host?: string | undefined; readonly accept?: string | undefined };
}

/** The octets of each format; made once. */
type Texts = (format: ExpositionFormat) => Promise<Buffer>;

function shareTexts(exposition: Exposition): Texts {
  const made: Partial<Record<ExpositionFormat, Promise<Buffer>>> = {};
  return (format) => (made[format] ??= exposition(format).then((text) => Buffer.from(text)));
}

/** OpenMetrics where it is asked for, and no less wanted than the text format (RFC 9110 §12.5.1): exemplars are in it alone. */
export function chooseFormat(accept: string): ExpositionFormat {
  const ranges = accept.toLowerCase().split(',', 50);
  const weight = (type: RegExp) => Math.max(0, ...ranges.filter((range) => type.test(range)).map(weightOf));
  const wanted = weight(/^\s*application\/openmetrics-text\s*(?:;|$)/);
  return wanted > 0 && wanted >= weight(/^\s*text\/plain\s*(?:;|$)/) ? 'openmetrics' : 'prometheus';
}

function weightOf(range: string): number {
  const { weight = '1' } = /;\s*q=(?<weight>[01](?:\.\d{0,3})?)\s*(?:;|$)/.exec(range)?.groups ?? {};
  return Number(weight);
}

async function readPage(
  { target, accept = '' }: { readonly target: string; readonly accept?: string | undefined },
  { ready, assertionKeys }: TelemetrySources,
  metrics: () => Promise<Texts>,
): Promise<Page> {
  switch (target.split('?', 1)[0]) {
    case '/livez':
      return plainPage(200, 'live');
    case '/readyz': {
      const { ready: isReady, details } = ready();
      const body = JSON.stringify({ ready: isReady, ...details });
      return { status: isReady ? 200 : 503, type: 'application/json', body: `${body}\n` };
    }
    case '/metrics': {
      const format = chooseFormat(accept);
      return { status: 200, type: EXPOSITION_TYPES[format], body: await (await metrics())(format) };
    }
    case '/assertion-keys':
      return { status: 200, type: 'application/jwk-set+json', body: `${assertionKeys()}\n` };
    default:
      return plainPage(404, 'Here are /livez, /readyz, /metrics and /assertion-keys.');
  }
}
