// A name server and servers behind its names.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { NameResolver } from '../../src/dns/resolver.ts';
import { startNameServer, type Zone } from '../support/name-server.ts';

export const LOOPBACK = { addresses: ['127.0.0.1'] };

export async function resolver(t: TestContext, zone: Zone) {
  const dns = await startNameServer(t, zone);
  const names = new NameResolver({ servers: [dns.server], resolvConf: '/nowhere' });
  t.after(() => names.close());
  return { dns, names };
}

/** At one address of loopback; its connections serve one request each. @returns the paths that it was asked for */
export async function startServer(
  t: TestContext,
  host: string,
  port = 0,
): Promise<{ server: Server; port: number; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url ?? '');
    response.setHeader('connection', 'close').end(host);
  });
  server.listen(port, host);
  await once(server, 'listening');
  t.after(() => server.close());
  return { server, port: (server.address() as AddressInfo).port, seen };
}
