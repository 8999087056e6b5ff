// The server of the demo page: its files, and the authorization server at the same origin.

import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { request } from 'undici';
import { BROWSER_PATHS } from './authorization-server.ts';
import { SEEN_PATH } from './echo-upstream.ts';
import { close, listen } from './loopback.ts';
import { rejectionsPage } from './rejections-page.ts';
import { ROOT } from './settings.ts';

export interface PageOptions {
  /** On 127.0.0.1; 0 for any free one. */
  readonly port: number;
  /** What the page has to know. */
  readonly told: {
    /** Origin of the gateway that the page calls. */
    readonly gateway: string;
    readonly issuer: string;
    /** `aud` of its tokens. */
    readonly audience: string;
  };
  /** Origin of the echo upstream, which is asked what it saw. */
  readonly upstream: string;
  /** Answers requests for the authorization server. */
  readonly authorizationServer: RequestListener;
}

export interface Page {
  readonly origin: string;
  readonly close: () => Promise<void>;
}

const TRACED = new RegExp(`^${RegExp.escape(SEEN_PATH)}[\\w-]+$`);
const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** The files of the page, each at its path in the checkout. The client's code is what docs/clients.md shows. */
const FILES: Readonly<Record<string, string>> = {
  'quickstart/page/page.css': 'text/css; charset=utf-8',
  'quickstart/page/icon.svg': 'image/svg+xml',
  'quickstart/page/page.mjs': SCRIPT,
  'quickstart/page/client.mjs': SCRIPT,
  'quickstart/page/thief.mjs': SCRIPT,
  'quickstart/page/overhear.mjs': SCRIPT,
  'quickstart/page/encoding.mjs': SCRIPT,
  'quickstart/page/show.mjs': SCRIPT,
  'docs/clients/browser.mjs': SCRIPT,
};

/**
 * Starts the server on loopback, plain HTTP: browsers take http://localhost for a secure context, and warn of no certificate.
 * Only that name is answered, so that no other site gets here by its own (DNS rebinding). Rejects with the error of `listen`.
 */
export async function startPage(options: PageOptions): Promise<Page> {
  const read = (file: string) => readFile(join(ROOT, file), 'utf8');
  const texts = new Map<string, readonly [text: string, type: string]>([
    ['/', [await read('quickstart/page/index.html'), HTML]],
    ['/settings.json', [JSON.stringify(options.told), 'application/json']],
    ['/rejections', [rejectionsPage(), HTML]],
  ]);
  for (const [file, type] of Object.entries(FILES)) texts.set(`/${file}`, [await read(file), type]);
  const own = { host: '' };
  const server = createServer((incoming, response) => {
    const { url = '/' } = incoming;
    const [path = '/'] = url.split('?', 1);
    if (incoming.headers.host !== own.host) return turnAway(incoming, response, own.host);
    if (BROWSER_PATHS.test(path)) return options.authorizationServer(incoming, response);
    if (incoming.method !== 'GET') return answer(response, 405, 'Only GET is answered here.\n');
    if (TRACED.test(path)) return void tellSeen(response, options.upstream + path);
    const [text, type] = texts.get(path) ?? [];
    if (text === undefined) return answer(response, 404, 'There is nothing here.\n');
    response.setHeader('Content-Security-Policy', contentSecurityPolicy(options.told.gateway));
    return answer(response, 200, text, type);
  });
  own.host = `localhost:${await listen(server, options.port)}`;
  return { origin: `http://${own.host}`, close: () => close(server) };
}

/** Scripts and styles are files of ours; requests go here and to the gateway. Nothing else is loaded, framed or posted. */
function contentSecurityPolicy(gateway: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${gateway}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The address by number is another origin, which the gateway does not know. */
function turnAway({ headers }: IncomingMessage, response: ServerResponse, host: string): void {
  if (headers.host !== host.replace('localhost', '127.0.0.1')) {
    return answer(response, 421, `This page is http://${host}/\n`);
  }
  response.setHeader('Location', `http://${host}/`);
  return answer(response, 307, '');
}

/** What reached the upstream, or `null`; at its own address a script of this page could not read it. */
async function tellSeen(response: ServerResponse, url: string): Promise<void> {
  try {
    const { statusCode, body } = await request(url, { reset: true });
    const text = await body.text();
    answer(response, 200, statusCode === 200 ? text : 'null', 'application/json');
  } catch (error) {
    answer(response, 502, `The echo upstream does not answer: ${String(error)}\n`);
  }
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // The address of the page has a code in it when a login ends.
    'Referrer-Policy': 'no-referrer',
  });
  response.end(text);
}
