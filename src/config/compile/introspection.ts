// Compiles how an issuer is asked about tokens: where, and with what the gateway says who it is.

import { createPrivateKey, createPublicKey } from 'node:crypto';
import { decodeText } from '../../http/content.ts';
import { algorithmsOfKey, RSA_BITS } from '../../jose/algorithms.ts';
import type { ClientCredentials, IntrospectionRules } from '../../token/issuer.ts';
import { isJsonObject, type JsonObject, readJsonObject } from '../../jose/jws.ts';
import { compileAccessToken } from './access-token.ts';
import { type Compilation, isLoopback } from './compilation.ts';
import { keyPairAt } from './pem.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';

type IssuerConfig = Config['issuers'][string];

const KEY_EXPECTED =
  'expected a private key in PEM or JWK: EC P-256, P-384 or P-521, Ed25519, or RSA of at least 2048 bits';
/**
 * The rules of `introspection`; undefined where there are none, and after a problem with the credentials. Problems: an endpoint
 * over http beyond loopback without `insecure_http` (RFC 7662 §4), or where a certificate is to be shown; a secret that is empty;
 * keys and certificates that cannot be used. NOT checked: that the issuer takes them.
 */
export function compileIntrospection(
  compilation: Compilation,
  name: string,
  { introspection, insecure_http: insecure }: IssuerConfig,
): IntrospectionRules | undefined {
  if (introspection === undefined) return undefined;
  const at = ['issuers', name, 'introspection'];
  const { endpoint, client_id: clientId, signed, always, cache } = introspection;
  const credentials = compileCredentials(compilation, at, introspection);
  if (endpoint !== undefined) checkEndpoint(compilation, [...at, 'endpoint'], new URL(endpoint), insecure, credentials);
  const accessToken = compileAccessToken(compilation, [...at, 'access_token'], introspection.access_token);
  return credentials && { endpoint, clientId, credentials, accessToken, signed, always, cache };
}

function checkEndpoint(
  compilation: Compilation,
  at: ConfigPath,
  { protocol, hostname }: URL,
  insecure: boolean,
  credentials: ClientCredentials | undefined,
): void {
  if (protocol === 'https:') return;
  if (credentials?.method === 'tls_client_auth') {
    return compilation.problem(at, 'is http, where no certificate can be shown, expected https');
  }
  if (insecure || isLoopback(hostname)) return;
  compilation.problem(
    at,
    'is http beyond loopback, where tokens can be read and answers be replaced on the way, ' +
      'expected https, or insecure_http: true on the issuer',
  );
}

function compileCredentials(
  compilation: Compilation,
  at: ConfigPath,
  config: NonNullable<IssuerConfig['introspection']>,
): ClientCredentials | undefined {
  if (config.client_secret_file !== undefined) return compileSecret(compilation, [...at, 'client_secret_file']);
  if (config.private_key_file !== undefined) return compileKey(compilation, [...at, 'private_key_file']);
  const pair = keyPairAt(compilation, at);
  return pair && { method: 'tls_client_auth', cert: pair.cert, key: pair.key };
}

function compileSecret(compilation: Compilation, at: ConfigPath): ClientCredentials | undefined {
  const secret = compilation.fileAt(at)?.content.toString('utf8').trim();
  if (secret) return { method: 'client_secret_basic', secret };
  compilation.problem(at, 'has nothing in it, expected the secret of the client, white space at its ends not counted');
  return undefined;
}

function compileKey(compilation: Compilation, at: ConfigPath): ClientCredentials | undefined {
  const text = decodeText(compilation.fileAt(at)?.content);
  const jwk = readJsonObject(text);
  const read = readSigningKey(jwk ?? text, jwk?.alg);
  const kid = jwk?.kid;
  if (read === undefined || (kid !== undefined && typeof kid !== 'string')) {
    compilation.problem(at, `cannot sign client assertions (RFC 7523), ${KEY_EXPECTED}`);
    return undefined;
  }
  return { method: 'private_key_jwt', ...read, kid };
}

/** The key as PEM, and its algorithm: the `alg` of the JWK where it fits, else RS256 for RSA and what the curve says. */
function readSigningKey(from: JsonObject | string, named: unknown): { key: string; alg: string } | undefined {
  try {
    const key = createPrivateKey(isJsonObject(from) ? { key: from, format: 'jwk' } : from);
    if ((key.asymmetricKeyDetails?.modulusLength ?? RSA_BITS) < RSA_BITS) return undefined;
    const { kty, crv } = createPublicKey(key).export({ format: 'jwk' });
    const possible = algorithmsOfKey(kty, crv);
    const usual = possible.includes('RS256') ? 'RS256' : possible[0];
    const alg = named === undefined ? usual : possible.find((one) => one === named);
    return alg === undefined ? undefined : { key: key.export({ type: 'pkcs8', format: 'pem' }), alg };
  } catch {
    return undefined; // Reported by the caller: no word about the content of a key may leave here.
  }
}
