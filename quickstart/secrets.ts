// The development secrets: signing key, client secrets and the client's DPoP key.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { openFolder, writePrivate } from './settings.ts';

export interface Secrets {
  /** Private JWK, ES256, with a kid. */
  readonly signingKey: JWK;
  /** Private JWK, ES256: the key to which the client's DPoP tokens are bound. */
  readonly proofKey: JWK;
  readonly clientSecret: { readonly bearer: string; readonly dpop: string; readonly expired: string };
}

export async function makeSecrets(): Promise<Secrets> {
  const secret = () => randomBytes(32).toString('base64url');
  return {
    signingKey: { ...(await makeKey()), kid: secret().slice(0, 8), use: 'sig', alg: 'ES256' },
    proofKey: await makeKey(),
    clientSecret: { bearer: secret(), dpop: secret(), expired: secret() },
  };
}

/** A private JWK for ES256. */
export async function makeKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return exportJWK(privateKey);
}

/** The secrets kept in `folder`, made on the first call. */
export async function keepSecrets(folder: string): Promise<Secrets> {
  const file = join(folder, 'secrets.json');
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept) as Secrets;
  const made = await makeSecrets();
  await openFolder(folder);
  await writePrivate(file, JSON.stringify(made));
  return made;
}
