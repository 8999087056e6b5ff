// The admin port: status, and the configuration without secrets, for reading only.

import type { Bind } from '../policy/policy.ts';
import { isOwnHost } from './own-host.ts';
import { type OpenPages, openPages, type Page, type PageSources, PLAIN, plainPage } from './pages.ts';
import { shareWork } from './shared-work.ts';
import { refusalsJson, type Status, statusJson } from './status.ts';
import { CONTENT_SECURITY_POLICY, statusPage } from './status-page.ts';

export interface AdminSources extends Pick<PageSources, 'onFailure'> {
  readonly status: () => Status | Promise<Status>;
  /** YAML without secrets (effective.ts). */
  readonly config: () => string;
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
 * NOT checked: who asks; the default address is loopback.
 */
export async function openAdmin(bind: Bind, { config, onFailure, ...sources }: AdminSources): Promise<OpenPages> {
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
        return { status: 200, type: PLAIN, body: config() };
      default:
        return plainPage(404, 'Here are /status, /status.json, /refusals.json and /config.');
    }
  };
  const answer = async (asked: Asked): Promise<Page> => ({
    fields: { ...FIELDS, Vary: 'Accept' },
    ...(await read(asked)),
  });
  return await openPages(bind, 'admin', { read: answer, onFailure });
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
