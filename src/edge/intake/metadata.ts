// Answers to requests for protected resource metadata (RFC 9728 §3).

import { isMetadataPath } from '../../policy/protected-resource.ts';
import type { Policy } from '../../policy/policy.ts';
import { untrusted } from '../../rejection/difference.ts';
import { type Rejection, reject } from '../../rejection/rejection.ts';
import type { Answer } from '../../rejection/answer.ts';
import type { EdgeFacts } from './facts.ts';

const METHODS = 'GET, HEAD, OPTIONS';
/** Without credentials there is nothing to protect from other origins. */
const OPEN = ['Access-Control-Allow-Origin', '*'] as const;

/**
 * @returns undefined: the request asks for no document; Rejection: method_not_allowed
 * NOT checked: credentials, of which none are needed
 */
export function metadataAnswer(
  { resourceMetadata }: Pick<Policy, 'resourceMetadata'>,
  { method, origin, path, query, preflight }: Pick<EdgeFacts, 'method' | 'origin' | 'path' | 'query' | 'preflight'>,
): Answer | Rejection | undefined {
  if (!isMetadataPath(path)) return undefined;
  const uri = `${origin.scheme}://${origin.authority}${origin.pathPrefix}${path}`;
  const body = resourceMetadata.get(query === undefined ? uri : `${uri}?${query}`);
  if (body === undefined) return undefined;
  if (preflight !== undefined) {
    const fields = [OPEN, ['Access-Control-Allow-Methods', METHODS], ['Access-Control-Max-Age', '3600']] as const;
    const asked = preflight.fieldNames === '' ? [] : [['Access-Control-Allow-Headers', '*'] as const];
    return { status: 204, fields: [...fields, ...asked], body: '' };
  }
  if (method !== 'GET' && method !== 'HEAD')
    return reject('method_not_allowed', {
      what: 'method',
      expected: METHODS,
      received: untrusted(method, 32),
      allow: METHODS,
    });
  return { status: 200, fields: [['Content-Type', 'application/json'], ['Cache-Control', 'max-age=300'], OPEN], body };
}
