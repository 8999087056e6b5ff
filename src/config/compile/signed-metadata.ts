// Compilation of the key that signs protected resource metadata (RFC 9728 §2.2).

import { decodeText } from '../../http/content.ts';
import { compileSigner, keyIdOf, readSigningKey, SIGNING_KEY_EXPECTED } from '../../jose/signing-key.ts';
import type { SignMetadata } from '../../policy/protected-resource.ts';
import type { ConfigPath } from '../problem.ts';
import type { Compilation } from './compilation.ts';

/** What one route says, and where. */
interface Given {
  readonly at: ConfigPath;
  readonly issuer: string;
  readonly key: string;
}

/**
 * Signers by resource identifier. Documents are signed once, with the policy, so that no private key of theirs reaches a thread that
 * serves. Claims are the parameters of the document, `iss`, and `iat`: the time of compilation.
 * Problems: a key that cannot sign, and routes of one resource that say different things about it.
 */
export function compileSigners(compilation: Compilation): ReadonlyMap<string, SignMetadata> {
  const signers = new Map<string, SignMetadata>();
  const seen = new Map<string, Given>();
  for (const [index, { resource }] of compilation.read.config.routes.entries()) {
    if (resource?.signed_metadata === undefined) continue;
    const { identifier, signed_metadata: signed } = resource;
    const at = ['routes', index, 'resource', 'signed_metadata'];
    const key = decodeText(compilation.fileAt([...at, 'key_file'])?.content);
    const given = { at, issuer: signed.issuer ?? identifier, key };
    checkSame(compilation, given, seen.get(identifier));
    if (seen.has(identifier)) continue;
    seen.set(identifier, given);
    const sign = compileSign(compilation, given);
    if (sign !== undefined) signers.set(identifier, sign);
  }
  return signers;
}

function compileSign(compilation: Compilation, { at, issuer, key: text }: Given): SignMetadata | undefined {
  const key = readSigningKey(text);
  if (key === undefined) {
    compilation.problem([...at, 'key_file'], `cannot sign metadata (RFC 9728 §2.2), ${SIGNING_KEY_EXPECTED}`);
    return undefined;
  }
  const sign = compileSigner(key, { kid: keyIdOf(key) });
  const iat = Math.floor(compilation.now);
  return (parameters) => sign(JSON.stringify({ ...parameters, iss: issuer, iat }));
}

function checkSame(compilation: Compilation, given: Given, before: Given | undefined): void {
  if (before === undefined || (given.issuer === before.issuer && given.key === before.key)) return;
  compilation.problem(
    given.at,
    `differs from what another route says of the same resource (${compilation.placeOf(before.at)}), expected it once`,
  );
}
