// The admin port: status, and the configuration without secrets, to read, and one order.

import type { IncomingMessage } from 'node:http';
import { isLoopback } from '../http/address.ts';
import { unmapped } from '../http/address.ts';
import type { Bind } from '../policy/policy.ts';
import { ORDER_FIELD } from './order-field.ts';
import { isOwnHost } from './own-host.ts';
import { type OpenPages, openPages, type Page, type PageSources, PLAIN, plainPage } from './pages.ts';
import { shareWork } from './shared-work.ts';
import { refusalsJson, type Status, statusJson } from './status.ts';
import { CONTENT_SECURITY_POLICY, statusPage } from './status-page.ts';

/** What is said of a drain before it comes. */
export interface Announcement {
  /** Balancers shall go on sending requests: /readyz stays as it is. */
  readonly ready: boolean;
}

export interface AdminSources extends Pick<PageSources, 'onFailure'> {
  readonly status: () => Status | Promise<Status>;
  /** YAML without secrets (effective.ts). */
  readonly config: () => string | Promise<string>;
  /** Tells clients to connect again. @returns how many connections there are now */
  readonly announce: (announcement: Announcement) => Promise<number>;
}

/** What an answer to a browser says, whatever it is. */
const FIELDS = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
};

/**
 * Opens the port of /status (HTML, or JSON for those who accept it before HTML), /status.json, /refusals.json and /config. A Host that is neither
 * loopback, nor where the port is bound, nor an address where it is bound to all of them, gets 421: a name could be one that
 * somebody else's page has made resolve here.
 * @throws Error that names the address, where it cannot be bound (bind.ts)
 *
 * `POST /drain` is the one order, of the command `drain`: given from this machine or pod alone, over loopback or a unix socket, wherever
 * the port is bound, and by no page of a browser (decision 117).
 * NOT checked: who asks; the default address is loopback.
 */
export async function openAdmin(
  bind: Bind,
  { config, announce, onFailure, ...sources }: AdminSources,
): Promise<OpenPages> {
  const status = shareWork(async () => sources.status());
  const read = async ({ url = '', headers }: Asked): Promise<Page> => {
    if (!isOwnHost(headers.host, bind)) return plainPage(421, 'Ask by an address of this port, not by another name.');
    switch (url.split('?', 1)[0]) {
      case '/':
      case '/status':
        return prefersJson(headers.accept) ? json(await status()) : page(await status());
      case '/status.json':
        return json(await status());
      case '/refusals.json':
        return { status: 200, type: 'application/json', body: refusalsJson(await status()) };
      case '/config':
        return { status: 200, type: PLAIN, body: await config() };
      default:
        return plainPage(404, 'Here are /status, /status.json, /refusals.json and /config.');
    }
  };
  const answer = async (asked: Asked): Promise<Page> => ({
    fields: { ...FIELDS, Vary: 'Accept' },
    ...(await read(asked)),
  });
  const order = (request: IncomingMessage) => {
    const url = new URL(request.url ?? '', 'http://admin');
    if (url.pathname !== '/drain') return undefined;
    const refused = refuseOrder(request, bind);
    if (refused !== undefined) return Promise.resolve(refused);
    return announce({ ready: url.searchParams.get('ready') !== 'false' }).then((connections) => ({
      status: 200,
      type: 'application/json',
      body: `${JSON.stringify({ connections })}\n`,
    }));
  };
  return await openPages(bind, 'admin', { read: answer, order, onFailure });
}

/** What is looked at of an order. */
interface Ordering {
  readonly headers: IncomingMessage['headers'];
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** A page of another site can reach loopback through its visitor's browser, and a service that fetches URLs for others through itself. */
export function refuseOrder({ headers, socket }: Ordering, bind: Bind): Page | undefined {
  const own = 'path' in bind || isLoopback(unmapped(socket.remoteAddress) ?? '');
  if (!own) return plainPage(403, 'Orders are taken from this machine or pod alone, over loopback or a unix socket.');
  if (!isOwnHost(headers.host, bind)) return plainPage(421, 'Ask by an address of this port, not by another name.');
  const browser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
  if (!browser && headers[ORDER_FIELD] === 'drain') return undefined;
  return plainPage(403, 'Give orders by the command: holdfast drain.');
}

/** What a page depends on: node:http's IncomingMessage has all of it. */
interface Asked {
  readonly url?: string | undefined;
  readonly headers: { readonly host?: string | undefined; readonly accept?: string | undefined };
}

function page(status: Status): Page {
  return { status: 200, type: 'text/html; charset=utf-8', body: statusPage(status) };
}

function json(status: Status): Page {
  return { status: 200, type: 'application/json', body: statusJson(status) };
}

/** Programs that name JSON and do not name HTML before it; q-values (RFC 9110 §12.5.1) are not weighed. */
function prefersJson(accept = ''): boolean {
  const [json, html] = [accept.indexOf('application/json'), accept.indexOf('text/html')];
  return json !== -1 && (html === -1 || json < html);
}
