// The source of a key set: a file, a URI, or issuer metadata (RFC 8414 §3).

import { readFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { decodeText } from '../http/content.ts';
import type { Issuer } from '../token/issuer.ts';
import {
  codeOf,
  discover,
  type FetchLimits,
  fetchText,
  issuerAgent,
  IssuerFailure,
  parseFetched,
  placeNamed,
  placeOf,
  plainOrTls,
} from './fetch.ts';

type KeyFile = Extract<Issuer['keys'], { from: 'jwks_file' }>;

/** A document as it came: parsed JSON that nobody has looked at yet. */
export interface KeyDocument {
  readonly json: unknown;
  /** Seconds for which the answer says it is fresh (RFC 9111 §5.2.2.1); undefined: it does not say. */
  readonly maxAge: number | undefined;
}

/**
 * Reads the key set document of an issuer. Discovery starts anew each time, so that a moved `jwks_uri` is noticed.
 * @param signal ends it early. @param lookup how names are resolved, for tests
 * @throws IssuerFailure
 * NOT checked: what is in the document.
 */
export async function readKeyDocument(
  issuer: Issuer,
  limits: FetchLimits,
  { signal, lookup }: { readonly signal: AbortSignal; readonly lookup?: LookupFunction | undefined },
): Promise<KeyDocument> {
  const { keys } = issuer;
  if (keys.from === 'jwks_file') return readKeyFile(keys, limits.size);
  // For one reading: nothing of it stays open, and a changed CA counts at once.
  const agent = issuerAgent(issuer, limits, { lookup });
  const accept = 'application/json, application/jwk-set+json';
  // The media type is not looked at: key sets are served under several, and nothing but JSON parses.
  const get = async (url: URL): Promise<KeyDocument> => {
    const { text, maxAge } = await fetchText(url, { agent, limits, signal, accept });
    return { json: parseFetched(text, placeOf(url)), maxAge };
  };
  const named = (uri: string | undefined) =>
    discover(
      issuer,
      uri,
      async (url) => (await get(url)).json,
      (metadata, from) => placeNamed('jwks_uri', 'jwks_uri' in metadata ? metadata.jwks_uri : undefined, from, issuer),
    );
  try {
    return await get(keys.from === 'jwks_uri' ? plainOrTls(keys.uri, issuer) : await named(keys.uri));
  } finally {
    await agent.destroy();
  }
}

async function readKeyFile({ file, content }: KeyFile, size: number): Promise<KeyDocument> {
  const reading = content === undefined ? readFile(file) : Promise.resolve(content);
  const bytes = await reading.catch((error: unknown) => {
    throw new IssuerFailure(`${file}: ${codeOf(error)}`);
  });
  if (bytes.length > size) throw new IssuerFailure(`${file}: larger than ${size} bytes`);
  // Reading it again costs nothing, so it is as old as it can be at once.
  return { json: parseFetched(decodeText(bytes), file), maxAge: 0 };
}
