// A small API server: objects in memory, listed, watched, applied and patched over HTTP.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as library from '@kubernetes/client-node';
import { ClusterApi } from '../../src/controller/api.ts';
import { freePort } from './programs.ts';

type Json = Record<string, unknown>;
export interface StoredObject extends Json {
  metadata: { name: string; namespace?: string; resourceVersion?: string; generation?: number; uid?: string } & Json;
}

interface Watcher {
  readonly path: string;
  readonly response: ServerResponse;
}

/** What the API server does not do by itself: it is told by tests. */
export interface Faults {
  /** An answer in place of the real one; undefined: the real one. */
  answer?: (request: { readonly method: string; readonly path: string }) => number | undefined;
  /** Watches from before this version get 410. */
  compactedBefore?: number;
}

const NAMED =
  /^(?<list>\/apis?\/(?:[^/]+\/)?v[^/]+(?:\/namespaces\/[^/]+)?\/[a-z]+)(?:\/(?<name>[^/]+)(?<status>\/status)?)?$/;

/** Knows the kinds that it is told: any other path is unknown to it (404). */
export class SmallApiServer {
  readonly objects = new Map<string, StoredObject>();
  readonly requests: { readonly method: string; readonly path: string; readonly body: Json | undefined }[] = [];
  readonly kinds: Set<string>;
  readonly faults: Faults = {};
  #server: Server | undefined;
  #port = 0;
  #version = 100;
  readonly #watchers = new Set<Watcher>();
  readonly #history: { readonly version: number; readonly list: string; readonly line: string }[] = [];

  /** @param kinds as in paths: `/api/v1/secrets` */
  constructor(kinds: readonly string[]) {
    this.kinds = new Set(kinds);
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server;
    this.#port ||= await freePort();
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    return this;
  }

  /** Breaks every connection; start() begins again on the same port, with the same objects. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    this.#watchers.clear();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get api(): ClusterApi {
    const config = new library.KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'small', server: `http://127.0.0.1:${this.#port}`, skipTLSVerify: true },
      { name: 'tester', token: 'secret' },
    );
    return new ClusterApi(library, config);
  }

  get version(): number {
    return this.#version;
  }

  /** Ends all watches, as the API server does now and then. */
  endWatches(): void {
    for (const { response } of this.#watchers) response.end();
    this.#watchers.clear();
  }

  /** Puts an object as a client would. @param list such as `/api/v1/namespaces/shop/secrets` */
  put(list: string, object: StoredObject): StoredObject {
    const key = `${list}/${object.metadata.name}`;
    const before = this.objects.get(key);
    this.#version += 1;
    const namespace = /\/namespaces\/([^/]+)\//.exec(`${list}/`)?.[1];
    const generation = (before?.metadata.generation ?? 0) + (sameSpec(before, object) ? 0 : 1);
    const stored = {
      ...object,
      metadata: {
        ...object.metadata,
        ...(namespace !== undefined && { namespace }),
        uid: before?.metadata.uid ?? `uid-${this.#version}`,
        resourceVersion: String(this.#version),
        ...('spec' in object && { generation }),
      },
    };
    this.objects.set(key, stored);
    this.#tell(list, before === undefined ? 'ADDED' : 'MODIFIED', stored);
    return stored;
  }

  remove(list: string, name: string): boolean {
    const key = `${list}/${name}`;
    const before = this.objects.get(key);
    if (before === undefined) return false;
    this.objects.delete(key);
    this.#version += 1;
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.#version) } };
    this.#tell(list, 'DELETED', object);
    return true;
  }

  #tell(list: string, type: string, object: StoredObject): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#history.push({ version: this.#version, list, line });
    for (const { path, response } of this.#watchers) {
      if (path === list || path === everywhere(list)) response.write(line);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://small');
    const { method = '' } = request;
    let text = '';
    for await (const piece of request.setEncoding('utf8')) text += String(piece);
    const body = text === '' ? undefined : (JSON.parse(text) as Json);
    const asked = { method, path: url.pathname };
    this.requests.push({ ...asked, body });
    const { list = '', name, status } = NAMED.exec(url.pathname)?.groups ?? {};
    const fault = this.faults.answer?.(asked);
    if (fault !== undefined) return send(response, fault, { kind: 'Status', reason: 'Faulty', code: fault });
    if (request.headers.authorization !== 'Bearer secret') return send(response, 401, { reason: 'Unauthorized' });
    if (!this.kinds.has(everywhere(list))) return send(response, 404, { reason: 'NotFound' });
    if (method === 'GET' && name === undefined && url.searchParams.has('watch')) return this.#watch(url, response);
    if (method === 'GET' && name === undefined) return send(response, 200, this.#list(url));
    if (method === 'POST') return this.#create(response, list, body as StoredObject);
    const key = `${list}/${name}`;
    const before = this.objects.get(key);
    if (method === 'DELETE') return send(response, this.remove(list, name ?? '') ? 200 : 404, {});
    const isApply = request.headers['content-type']?.startsWith('application/apply-patch') ?? false;
    if (before === undefined && !isApply) return send(response, 404, { reason: 'NotFound' });
    if (method === 'GET') return send(response, 200, before);
    const { resourceVersion: expected } = (body?.['metadata'] ?? {}) as { resourceVersion?: string };
    if (expected !== undefined && expected !== before?.metadata.resourceVersion) {
      return send(response, 409, { reason: 'Conflict' });
    }
    const changed = status === undefined ? { ...before, ...body } : { ...before, status: body?.['status'] };
    send(response, 200, this.put(list, changed as StoredObject));
  }

  #create(response: ServerResponse, list: string, body: StoredObject): void {
    const { generateName } = body.metadata as { generateName?: string };
    const name = generateName === undefined ? body.metadata.name : `${generateName}${this.#version}`;
    if (this.objects.has(`${list}/${name}`)) return send(response, 409, { reason: 'AlreadyExists' });
    send(response, 201, this.put(list, { ...body, metadata: { ...body.metadata, name } }));
  }

  #list(url: URL): Json {
    const all = [...this.objects].filter(([key]) => {
      const list = key.slice(0, key.lastIndexOf('/'));
      return list === url.pathname || everywhere(list) === url.pathname;
    });
    const from = Number(url.searchParams.get('continue') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? all.length);
    const items = all.slice(from, from + limit).map(([, object]) => object);
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    return { kind: 'List', metadata: { resourceVersion: String(this.#version), ...more }, items };
  }

  #watch(url: URL, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const since = Number(url.searchParams.get('resourceVersion'));
    if (since < (this.faults.compactedBefore ?? 0)) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })}\n`);
      return;
    }
    for (const { version, list, line } of this.#history) {
      if (version > since && (list === url.pathname || everywhere(list) === url.pathname)) response.write(line);
    }
    const watcher = { path: url.pathname, response };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
  }
}

function everywhere(list: string): string {
  return list.replace(/\/namespaces\/[^/]+(?=\/)/, '');
}

function sameSpec(before: StoredObject | undefined, after: StoredObject): boolean {
  return before !== undefined && JSON.stringify(before['spec']) === JSON.stringify(after['spec']);
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
