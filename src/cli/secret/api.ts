// Two requests to the API server: one Secret as it is, and its changes from then on.

import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { readAccess, type Cluster } from './access.ts';
import { asMapping, readSecretObject, type Secret } from './document.ts';

/** Milliseconds for a connection and an answer; a watch is silent for longer, but for bookmarks each minute. */
const ANSWER = 15_000;
/** Seconds after which the API server ends a watch, and another one begins: longer than that no dead connection is believed in. */
const WATCH = 120;
/** Milliseconds for that on our side, with room for a slow server. */
const WATCH_ENDS = (WATCH + 15) * 1000;
/** Bytes of an answer, or of one event: a Secret has at most a mebibyte, in base64, with its metadata. */
const LARGEST = 8 * 2 ** 20;

/** The name of one Secret. */
export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** The API server did not answer, or not as expected; the message is for people. */
export class SecretFailure extends Error {
  /** It does not know the version any more from which changes were asked for (410). */
  readonly gone: boolean;

  constructor(message: string, { gone = false, cause }: { readonly gone?: boolean; readonly cause?: unknown } = {}) {
    super(message, { cause });
    this.gone = gone;
  }
}

/** A Secret at one moment; undefined: there is none. `version`: from which changes can be asked for. */
export interface Listed {
  readonly secret: Secret | undefined;
  readonly version: string;
}

/**
 * Lists the one Secret: a list with its name, which a Role may allow by resourceNames.
 * @throws SecretFailure
 */
export async function listSecret(cluster: Cluster, name: SecretName, signal: AbortSignal): Promise<Listed> {
  const response = await ask(cluster, name, {}, AbortSignal.any([signal, AbortSignal.timeout(ANSWER)]));
  let text = '';
  for await (const chunk of pieces(response)) {
    text += chunk;
    if (text.length > LARGEST) throw new SecretFailure(`the API server answered with more than ${LARGEST} bytes`);
  }
  const { metadata, items } = asMapping(parsed(text)) ?? {};
  const { resourceVersion: version } = asMapping(metadata) ?? {};
  if (typeof version !== 'string' || !Array.isArray(items))
    throw new SecretFailure('the API server answered with something else than a list');
  return { secret: items.length === 0 ? undefined : readSecretObject(items[0]), version };
}

/** What happened to the Secret; `version` is where to go on from. */
export interface Change {
  readonly version: string;
  /** `gone`: it was deleted; undefined: nothing happened to it. */
  readonly secret: Secret | 'gone' | undefined;
}

/**
 * The changes of a Secret after a version, until the watch ends, which is no failure.
 * @throws SecretFailure
 */
export async function* watchSecret(
  cluster: Cluster,
  name: SecretName,
  version: string,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const query = { watch: '1', allowWatchBookmarks: 'true', resourceVersion: version, timeoutSeconds: String(WATCH) };
  const response = await ask(cluster, name, query, AbortSignal.any([signal, AbortSignal.timeout(WATCH_ENDS)]));
  let rest = '';
  for await (const chunk of pieces(response)) {
    const end = chunk.lastIndexOf('\n');
    const lines = end === -1 ? [] : `${rest}${chunk.slice(0, end)}`.split('\n');
    rest = end === -1 ? rest + chunk : chunk.slice(end + 1);
    if (rest.length > LARGEST) throw new SecretFailure(`the API server sent an event of more than ${LARGEST} bytes`);
    for (const line of lines) if (line.trim() !== '') yield readChange(parsed(line));
  }
}

/** @throws SecretFailure */
export function readChange(event: unknown): Change {
  const { type, object } = asMapping(event) ?? {};
  if (type === 'ERROR') throw statusFailure(object);
  const { metadata } = asMapping(object) ?? {};
  const { resourceVersion: version } = asMapping(metadata) ?? {};
  if (typeof version !== 'string') throw new SecretFailure('the API server sent an event without a version');
  if (type === 'BOOKMARK') return { version, secret: undefined };
  if (type === 'DELETED') return { version, secret: 'gone' };
  const secret = type === 'ADDED' || type === 'MODIFIED' ? readSecretObject(object) : undefined;
  return { version, secret };
}

/** Of a Status object: code and reason, words of the server's own. */
function statusFailure(status: unknown): SecretFailure {
  const { code, reason } = asMapping(status) ?? {};
  const words = typeof reason === 'string' && /^[A-Za-z]{1,40}$/.test(reason) ? ` (${reason})` : '';
  const number = typeof code === 'number' ? code : 0;
  return new SecretFailure(`the API server ended the watch with ${number}${words}`, { gone: number === 410 });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SecretFailure('the API server answered with something else than JSON');
  }
}

async function ask(
  cluster: Cluster,
  { namespace, name }: SecretName,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { agent, authorization } = await readAccess(cluster).catch((error: unknown) => {
    throw new SecretFailure(`the token and CA of the pod cannot be read: ${codeOf(error)}`, { cause: error });
  });
  const path = `/api/v1/namespaces/${namespace}/secrets?${new URLSearchParams({ ...query, fieldSelector: `metadata.name=${name}` }).toString()}`;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { Authorization: authorization, Accept: 'application/json', 'User-Agent': 'holdfast' };
  const asked = request({ host: cluster.host, port: cluster.port, path, headers, agent, signal });
  asked.once('error', (error) =>
    reject(new SecretFailure(`the API server does not answer: ${codeOf(error)}`, { cause: error })),
  );
  asked.once('response', resolve);
  asked
    .setTimeout(ANSWER)
    .once('timeout', () => asked.destroy(Object.assign(new Error('late'), { code: 'ETIMEDOUT' })));
  asked.end();
  const response = await promise;
  asked.setTimeout(0);
  if (response.statusCode === 200) return response;
  response.destroy();
  throw new SecretFailure(refusal(response.statusCode ?? 0, namespace, name), { gone: response.statusCode === 410 });
}

function refusal(status: number, namespace: string, name: string): string {
  const rights = `expected a Role that lets this ServiceAccount get, list and watch secret ${name} in ${namespace}`;
  if (status === 403) return `the API server answered 403, ${rights}`;
  return `the API server answered ${status}`;
}

/** Pieces of the text of an answer. @throws SecretFailure where it breaks off */
async function* pieces(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  try {
    for await (const chunk of response) yield String(chunk);
  } catch (error) {
    throw new SecretFailure(`the answer of the API server broke off: ${codeOf(error)}`, { cause: error });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error
    ? String(error.code)
    : error instanceof Error
      ? error.name
      : 'failed';
}
