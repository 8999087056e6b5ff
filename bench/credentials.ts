// Credentials of benchmark clients: keys, access tokens, proofs and certificates.

import { execFileSync } from 'node:child_process';
import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  type webcrypto,
  X509Certificate,
} from 'node:crypto';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';

const CLIENTS = 50;
export const ISSUER = 'https://login.example.com';
export const AUDIENCE = 'https://api.example.com';

export interface Client {
  readonly privateKey: KeyObject;
  readonly jwk: webcrypto.JsonWebKey;
  /** `expired` and `foreign`, which is for another audience, are unbound. */
  readonly tokens: Readonly<Record<'dpop' | 'mtls' | 'bearer' | 'expired' | 'foreign', string>>;
}

export interface Credentials {
  readonly clients: readonly Client[];
  /** Another token of the issuer, unbound. @param more claims, or others in place of the usual ones @param header likewise */
  readonly issue: (more?: object, header?: object) => string;
  /** The key set of the issuer, as JSON. */
  readonly keySet: string;
  /** Files in PEM. */
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string; readonly ca: string };
}

const base64url = (value: string | Buffer) => Buffer.from(value).toString('base64url');

/** ES256, and ES512 by a key for it. */
function signJws(header: object, payload: object, key: KeyObject): string {
  const input = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(payload))}`;
  const hash = key.asymmetricKeyDetails?.namedCurve === 'secp521r1' ? 'sha512' : 'sha256';
  return `${input}.${base64url(sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }))}`;
}

/** Of a key on a curve (RFC 7638). */
export function thumbprint({ crv, kty, x, y }: webcrypto.JsonWebKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** Makes everything anew in `folder`: an issuer, 50 clients with three tokens each, a CA and two certificates. */
export function makeCredentials(folder: string): Credentials {
  const issuer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificates = makeCertificates(folder);
  const x5t = new X509Certificate(readFileSync(certificates.client.cert));
  const leaf = createHash('sha256').update(x5t.raw).digest('base64url');
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'bench' };
  const now = Math.floor(Date.now() / 1000);
  const claims = (sub: string) => ({
    iss: ISSUER,
    aud: AUDIENCE,
    sub,
    client_id: sub,
    scope: 'orders:read',
    jti: randomUUID(),
    iat: now,
    exp: now + 24 * 3600,
  });
  const clients = Array.from({ length: CLIENTS }, (_, at): Client => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' });
    const token = (more: object) => signJws(header, { ...claims(`client-${at}`), ...more }, issuer.privateKey);
    const tokens = {
      dpop: token({ cnf: { jkt: thumbprint(jwk) } }),
      mtls: token({ cnf: { 'x5t#S256': leaf } }),
      bearer: token({}),
      expired: token({ iat: now - 7200, exp: now - 3600 }),
      foreign: token({ aud: 'https://other.example.com' }),
    };
    return { privateKey, jwk, tokens };
  });
  const publicJwk = { ...issuer.publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' };
  const issue = (more: object = {}, other: object = {}) =>
    signJws({ ...header, ...other }, { ...claims(randomUUID()), ...more }, issuer.privateKey);
  return { clients, issue, keySet: JSON.stringify({ keys: [publicJwk] }), ...certificates };
}

function makeCertificates(folder: string): Pick<Credentials, 'server' | 'client'> {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) =>
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', ...args],
      {
        stdio: 'ignore',
      },
    );
  const ca = { cert: file('ca.pem'), key: file('ca.key') };
  openssl('-subj', '/CN=Bench CA', '-days', '7', '-out', ca.cert, '-keyout', ca.key);
  const issue = (name: string, subject: string, ...extensions: string[]) => {
    const made = { cert: file(`${name}.pem`), key: file(`${name}.key`) };
    const add = ['basicConstraints=critical,CA:FALSE', ...extensions].flatMap((each) => ['-addext', each]);
    openssl(
      '-subj',
      subject,
      '-days',
      '7',
      '-CA',
      ca.cert,
      '-CAkey',
      ca.key,
      ...add,
      '-out',
      made.cert,
      '-keyout',
      made.key,
    );
    return made;
  };
  return {
    server: issue('server', '/CN=localhost', 'subjectAltName=DNS:localhost', 'extendedKeyUsage=serverAuth'),
    client: { ...issue('client', '/CN=Bench client', 'extendedKeyUsage=clientAuth'), ca: ca.cert },
  };
}

/** One access token per line, for load.lua. */
export function writeTokens(path: string, clients: readonly Client[], kind: keyof Client['tokens']): void {
  writeFileSync(path, `${clients.map((client) => client.tokens[kind]).join('\n')}\n`);
}

/** A proof for one request, made now, with the token of its client. @param more claims, or others in place of the good ones */
export function makeProof(client: Client, htm: string, htu: string, more: object = {}): string {
  return signProof(client, {}, { htm, htu, ...more });
}

/** A proof with this header and these claims, and the usual ones where there are none. */
export function signProof({ jwk, privateKey, tokens }: Client, header: object, claims: object): string {
  const ath = createHash('sha256').update(tokens.dpop).digest('base64url');
  const usual = { jti: randomUUID(), iat: Math.floor(Date.now() / 1000), ath };
  return signJws({ typ: 'dpop+jwt', alg: 'ES256', jwk, ...header }, { ...usual, ...claims }, privateKey);
}

/** Signs `count` proofs for GET `htu` now, for each client in turn, one per line. */
export async function writeProofs(path: string, clients: readonly Client[], htu: string, count: number): Promise<void> {
  const out = createWriteStream(path);
  for (let made = 0; made < count; made++) {
    const line = `${makeProof(clients[made % clients.length]!, 'GET', htu)}\n`;
    if (!out.write(line)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
}
