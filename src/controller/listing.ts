// Lists of objects, page by page.

import { ApiFailure } from './api-failure.ts';
import type { ApiServer, Query } from './api.ts';
import { type ClusterObject, keyOf, objectsPath, readObject, type WatchedKind } from './kinds.ts';

/** Objects of one page of a list. */
const PAGE = 500;

/** Objects of one kind at one moment. */
export interface ListedObjects {
  /** By namespace and name. */
  readonly objects: Map<string, ClusterObject>;
  /** From which a watch goes on; undefined: the server did not say. */
  readonly version: string | undefined;
}

/**
 * @param from `namespace` undefined: all
 * @throws ApiFailure, also where an answer is no list: an empty one would take everything away
 */
export async function listObjects(
  api: ApiServer,
  kind: WatchedKind,
  from: { readonly apiVersion: string; readonly namespace?: string | undefined; readonly signal?: AbortSignal },
): Promise<ListedObjects> {
  const path = objectsPath(kind, from.apiVersion, from.namespace);
  const objects = new Map<string, ClusterObject>();
  let more: string | undefined;
  let version: string | undefined;
  do {
    const query: Query = { ...selectorsOf(kind), limit: PAGE, ...(more && { continue: more }) };
    // oxlint-disable-next-line no-await-in-loop -- a page names the next
    const page = readPage(await api.ask({ method: 'GET', path, query, signal: from.signal }), path);
    for (const item of page.items) {
      const object = readKept(kind, item);
      if (object !== undefined) objects.set(keyOf(object), object);
    }
    version ??= page.version;
    more = page.more;
  } while (more !== undefined);
  return { objects, version };
}

/** What is kept of an object of this kind; undefined: it has no usable name. */
export function readKept({ keep }: WatchedKind, given: unknown): ClusterObject | undefined {
  const object = readObject(given);
  return object && keep ? keep(object) : object;
}

export function selectorsOf({ fieldSelector, labelSelector }: WatchedKind): Query {
  return { ...(fieldSelector && { fieldSelector }), ...(labelSelector && { labelSelector }) };
}

interface ListPage {
  readonly items: readonly unknown[];
  readonly version: string | undefined;
  readonly more: string | undefined;
}

function readPage(given: unknown, path: string): ListPage {
  const items = typeof given === 'object' && given !== null && 'items' in given ? given.items : undefined;
  if (!Array.isArray(items)) throw new ApiFailure(undefined, 'malformed', `GET ${path}`);
  const { metadata } = given as { readonly metadata?: { readonly continue?: unknown } };
  const more = typeof metadata?.continue === 'string' && metadata.continue !== '' ? metadata.continue : undefined;
  return { items, version: versionOf(given), more };
}

/** The version of an object or list, from which a watch goes on. */
export function versionOf(given: unknown): string | undefined {
  const { metadata } = (given ?? {}) as { readonly metadata?: { readonly resourceVersion?: unknown } };
  return typeof metadata?.resourceVersion === 'string' && metadata.resourceVersion !== ''
    ? metadata.resourceVersion
    : undefined;
}
