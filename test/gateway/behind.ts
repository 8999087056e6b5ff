// The configurations of docs/balancers.md at work, taken from the page.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  CLIENT_CA,
  CLIENT_ROOT,
  HOST,
  portOf,
  type RequestWishes,
  SERVER,
  sendRequest,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { freePort } from '../support/programs.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/balancers.md'), 'utf8');

/** What the balancer shows its clients is the usual certificate of the tests; the gateway behind it has one of its own. */
const INTERNAL_CA = SERVER.issuer!;
const INTERNAL = await makeCertificate({ names: ['gateway.internal', 'localhost', HOST], ca: INTERNAL_CA });

/** Beside a balancer's configuration. */
export const FILES = {
  'balancer.pem': `${SERVER.chain}\n${SERVER.key}`,
  'balancer.key': SERVER.key,
  'clients.pem': `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}`,
  'internal-ca.pem': INTERNAL_CA.cert,
};

/** Addresses of loopback: the balancer calls the gateway from one of its own, and so does the client the balancer. */
export const BALANCER = '127.0.0.2';
export const CLIENT_ADDRESS = '127.0.0.9';

export const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- name: mtls
  match: { path: /mtls/* }
  upstream: orders
  require: mtls
  forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;

/** A block of the page: `language name` stands behind its backticks. */
export function readSnippet(language: string, name: string): string {
  for (const [, head, text = ''] of PAGE.matchAll(/^```(.+)\n([^]*?)^```$/gm)) {
    if (head === `${language} ${name}`) return text;
  }
  throw new Error(`docs/balancers.md has no block \`\`\`${language} ${name}`);
}

/** A gateway with the listener of a block; the balancer of the page is `BALANCER`. */
export function startBehind(
  t: TestContext,
  name: string,
  change = (listener: string) => listener,
): Promise<TestGateway> {
  const [, listener = ''] = readSnippet('yaml', name).split('listeners:\n');
  const here = listener
    .replaceAll(/^ {2}/gm, '')
    .replace('"0.0.0.0:8443"', '"127.0.0.1:0"')
    .replace('10.0.0.10/32', `${BALANCER}/32`);
  const files = name === 'passing' ? {} : { 'tls.crt': INTERNAL.chain, 'tls.key': INTERNAL.key };
  return startTestGateway(t, { listeners: change(here), routes: ROUTES, files });
}

/** The page's configuration of a balancer for this gateway. @param source what makes the balancer call from `BALANCER` */
export async function fitSnippet(language: 'haproxy' | 'nginx' | 'apache', name: string, gateway: TestGateway) {
  const port = await freePort();
  const target = `127.0.0.1:${gatewayPort(gateway)}`;
  const telemetry = portOf(gateway.running.telemetry);
  const text = readSnippet(language, name)
    .replace('bind :443', `bind 127.0.0.1:${port}`)
    // Without it a check must be answered before the next one is due.
    .replace('timeout connect 5s', '$&\n  timeout check 20s')
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replace('*:443', `127.0.0.1:${port}`)
    .replace(
      'ProxyPass / https://gateway.internal:8443/',
      `ProxySourceAddress ${BALANCER}
  ProxyPass / https://localhost:${gatewayPort(gateway)}/`,
    )
    .replace(/(?<=server one )10\.0\.0\.21:8443/, `${target} source ${BALANCER} inter 50ms`)
    .replace(/(?<=proxy_pass (?:https:\/\/)?)10\.0\.0\.21:8443;/, `${target}; proxy_bind ${BALANCER};`)
    .replace('port 9902', `port ${telemetry}`);
  return { port, text };
}

export function gatewayPort(gateway: TestGateway): number {
  return portOf(gateway.running.listeners[0]?.bind);
}

/** The same gateway, called through the port of a balancer, from the client's own address. */
export function through(gateway: TestGateway, port: number): TestGateway {
  const request = (method: string, path: string, wishes: RequestWishes = {}) =>
    sendRequest(port, method, path, { from: CLIENT_ADDRESS, ...wishes });
  return { ...gateway, request };
}
