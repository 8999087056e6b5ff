// An API server of one Secret, list and watch, that misbehaves where a test says.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Cluster } from '../../../src/cli/secret/access.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const CA = await makeCa();
const SERVER = await makeCertificate({ names: ['localhost'], ca: CA });
export const NAME = { namespace: 'gateways', name: 'public' } as const;

export class ApiServer {
  readonly cluster: Cluster;
  /** Each request: its query, with the token. */
  readonly asked: { readonly query: URLSearchParams; readonly token: string }[] = [];
  readonly #watches = new Set<ServerResponse>();
  #version = 100;
  #data: Readonly<Record<string, string>> | undefined;
  #missed = false;
  /** Takes the place of the answer, once or for ever. */
  answer: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  static async start(t: TestContext): Promise<ApiServer> {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
    writeFileSync(join(folder, 'token'), 'first-token\n');
    writeFileSync(join(folder, 'ca.crt'), CA.cert);
    const server = createServer({ cert: SERVER.chain, key: SERVER.key });
    server.listen(0, 'localhost');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const api = new ApiServer({ host: 'localhost', port, folder });
    server.on('request', (request, response) => api.#serve(request, response));
    t.after(async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      rmSync(folder, { recursive: true });
    });
    return api;
  }

  get watches(): number {
    return this.#watches.size;
  }

  renewToken(token: string): void {
    writeFileSync(join(this.cluster.folder, 'token'), token);
  }

  /** Puts another content into the Secret; undefined: it is deleted. @param told whether watches hear of it */
  put(data: Readonly<Record<string, string | Buffer>> | undefined, told = true): void {
    const before = this.#object();
    this.#version += 1;
    this.#data =
      data &&
      Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
    this.#missed = !told;
    if (told) this.send({ type: this.#data === undefined ? 'DELETED' : 'MODIFIED', object: this.#object() ?? before });
  }

  send(event: object | string): void {
    for (const watch of this.#watches) watch.write(typeof event === 'string' ? event : `${JSON.stringify(event)}\n`);
  }

  bookmark(): void {
    this.#version += 1;
    this.send({ type: 'BOOKMARK', object: { kind: 'Secret', metadata: { resourceVersion: String(this.#version) } } });
  }

  /** Ends all watches, as a server that restarts or whose time is over. */
  endWatches(how: 'end' | 'destroy' = 'end'): void {
    for (const watch of this.#watches) watch[how]();
  }

  #object() {
    return (
      this.#data && { kind: 'Secret', metadata: { ...NAME, resourceVersion: String(this.#version) }, data: this.#data }
    );
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'https://api');
    const query = url.searchParams;
    this.asked.push({ query, token: request.headers.authorization ?? '' });
    if (this.answer?.(request, response)) return;
    const known =
      url.pathname === '/api/v1/namespaces/gateways/secrets' && query.get('fieldSelector') === 'metadata.name=public';
    if (!known) return void response.writeHead(403).end('{}');
    response.setHeader('Content-Type', 'application/json');
    if (query.get('watch') !== '1') {
      const items = [this.#object()].filter((one) => one !== undefined);
      return void response.end(
        JSON.stringify({ kind: 'SecretList', metadata: { resourceVersion: String(this.#version) }, items }),
      );
    }
    if (this.#missed && query.get('resourceVersion') !== String(this.#version)) {
      const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
      return void response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
    }
    response.flushHeaders();
    this.#watches.add(response);
    response.once('close', () => this.#watches.delete(response));
  }
}
