// The API server of a cluster: requests and watches with the credentials of this process.

import type * as Library from '@kubernetes/client-node';
import { Agent, type Dispatcher, request } from 'undici';
import { ApiFailure, connectionFailure, readApiFailure } from './api-failure.ts';

export type Query = Readonly<Record<string, string | number | boolean>>;

/** One change as a watch tells it. The object is untrusted JSON. */
export interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

/** How a body is to be understood by the API server. */
export const BODY = {
  json: 'application/json',
  merge: 'application/merge-patch+json',
  /** Server-side apply: JSON is YAML. */
  apply: 'application/apply-patch+yaml',
} as const;

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly type?: (typeof BODY)[keyof typeof BODY];
  readonly signal?: AbortSignal | undefined;
}

/** What the controller needs of an API server. */
export interface ApiServer {
  /** @throws ApiFailure for every answer that is not 2xx, and where there is none */
  ask(asked: Asked): Promise<unknown>;
  /** Settles when the watch has ended, undefined: regularly. @throws nothing */
  watch(
    path: string,
    query: Query,
    hear: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<ApiFailure | undefined>;
}

/** Milliseconds for one answer; a page of a list is the largest. */
const PATIENCE = 30_000;
/** Milliseconds after which credentials are read again: tokens of pods are exchanged before they expire. */
const FRESH = 30_000;

interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher;
  readonly readAt: number;
}

/**
 * @param config where the API server is, and who asks; the library renews tokens
 * NOT checked: the shape of answers, see read* of kubernetes/.
 */
export class ClusterApi implements ApiServer {
  readonly server: string;
  readonly #library: typeof Library;
  readonly #config: Library.KubeConfig;
  #credentials: Promise<Credentials> | undefined;

  constructor(library: typeof Library, config: Library.KubeConfig) {
    this.#library = library;
    this.#config = config;
    this.server = config.getCurrentCluster()?.server.replace(/\/+$/, '') ?? '';
  }

  async ask({ method, path, query = {}, body, type = BODY.json, signal }: Asked): Promise<unknown> {
    const about = `${method} ${path}`;
    try {
      const { headers, dispatcher } = await this.#authenticate();
      const { statusCode, body: answer } = await request(`${this.server}${path}${search(query)}`, {
        method,
        dispatcher,
        headers: { ...headers, accept: 'application/json', ...(body !== undefined && { 'content-type': type }) },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])]),
      });
      const read = readJson(await answer.text());
      if (statusCode >= 200 && statusCode < 300) return read;
      throw readApiFailure(statusCode, read, about);
    } catch (error) {
      const failure = connectionFailure(error, about);
      // Another token, or another CA: both are read again, with new connections.
      if (failure.status === undefined || failure.status === 401) this.#credentials = undefined;
      throw failure;
    }
  }

  async watch(
    path: string,
    query: Query,
    hear: (event: WatchEvent) => void,
    signal: AbortSignal,
  ): Promise<ApiFailure | undefined> {
    const about = `watch ${path}`;
    const { promise, resolve } = Promise.withResolvers<ApiFailure | undefined>();
    let told: ApiFailure | undefined;
    const listen = (type: string, object: unknown) => {
      // The library takes an exception of its listener for a broken line, and drops it.
      if (type === 'ERROR') told = readApiFailure(codeOf(object), object, about);
      else hear({ type, object });
    };
    const end = (error: unknown) => {
      // A silence is as good as an end: the library closes a watch that has said nothing for half a minute.
      const silent = error instanceof Error && error.name === 'TimeoutError';
      const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined;
      if (told !== undefined) resolve(told);
      else if (error === null || error === undefined || silent) resolve(undefined);
      else resolve(status === undefined ? connectionFailure(error, about) : new ApiFailure(status, 'failed', about));
    };
    try {
      const watch = new this.#library.Watch(await this.#pooled());
      const open = await watch.watch(path, { ...query }, listen, end);
      const stop = () => open.abort();
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop();
      return await promise.finally(() => signal.removeEventListener('abort', stop));
    } catch (error) {
      return connectionFailure(error, about);
    }
  }

  /** The library would open a new connection for each request. */
  async #pooled(): Promise<Library.KubeConfig> {
    const { headers, dispatcher } = await this.#authenticate();
    const pooled = new this.#library.KubeConfig();
    pooled.loadFromOptions({
      clusters: this.#config.getClusters(),
      users: this.#config.getUsers(),
      contexts: this.#config.getContexts(),
      currentContext: this.#config.getCurrentContext(),
    });
    pooled.applySecurityAuthentication = async (context: Library.RequestContext) => {
      for (const [name, value] of Object.entries(headers)) context.setHeaderParam(name, value);
      context.setDispatcher(dispatcher);
    };
    return pooled;
  }

  async #authenticate(): Promise<Credentials> {
    const before = await this.#credentials?.catch(() => undefined);
    if (before !== undefined && performance.now() - before.readAt < FRESH) return before;
    return await (this.#credentials = this.#readCredentials(before?.dispatcher));
  }

  /** @param dispatcher the one in use: its connections are kept, unless a certificate or CA could have changed */
  async #readCredentials(dispatcher: Dispatcher | undefined): Promise<Credentials> {
    const context = new this.#library.RequestContext(this.server, this.#library.HttpMethod.GET);
    await this.#config.applySecurityAuthentication(context);
    const fresh = context.getDispatcher() ?? new Agent();
    return { headers: { ...context.getHeaders() }, dispatcher: dispatcher ?? fresh, readAt: performance.now() };
  }
}

/**
 * Connects to the cluster that KUBECONFIG names, or to the one around this pod. The library is loaded here, and nowhere else.
 * @returns text: why not, without a word of what the file says
 */
export async function connectCluster(): Promise<
  { readonly api: ClusterApi; readonly namespace: string | undefined } | string
> {
  const library = await import('@kubernetes/client-node');
  const config = new library.KubeConfig();
  try {
    config.loadFromDefault();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    return `the file that KUBECONFIG names, or ~/.kube/config, cannot be read${code}; expected one that "kubectl config view" takes`;
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) return 'the kubeconfig names no cluster in use; kubectl config use-context NAME chooses one';
  // What the library falls back to is no cluster of anybody's choice.
  if (cluster.server === 'http://localhost:8080') {
    return 'there is no cluster: neither KUBECONFIG nor the token of a pod is there';
  }
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  return { api: new ClusterApi(library, config), namespace };
}

function search(query: Query): string {
  const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)])).toString();
  return text === '' ? '' : `?${text}`;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function codeOf(status: unknown): number {
  return typeof status === 'object' && status !== null && 'code' in status && typeof status.code === 'number'
    ? status.code
    : 500;
}
