// Compilation of the gateway as a client of an issuer: endpoint and credentials.

import { generateKeyPairSync } from 'node:crypto';
import { decodeText } from '../../http/content.ts';
import { readSigningKey, SIGNING_KEY_EXPECTED } from '../../jose/signing-key.ts';
import type { ClientCredentials, ClientRules } from '../../token/issuer.ts';
import type { Compilation } from './compilation.ts';
import { isLoopback } from '../../http/address.ts';
import { keyPairAt } from './pem.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';

type IssuerConfig = Config['issuers'][string];
type ClientConfig = NonNullable<IssuerConfig['introspection'] | IssuerConfig['token_exchange']>;

/**
 * The rules of a block with credentials; undefined after a problem with them. Problems: an endpoint over http beyond loopback without
 * `insecure_http`, or where a certificate is to be shown; a secret that is empty; keys and certificates that cannot be used.
 * @param insecure `insecure_http` of the issuer
 * NOT checked: that the issuer takes them.
 */
export function compileClient(
  compilation: Compilation,
  at: ConfigPath,
  config: ClientConfig,
  insecure: boolean,
): ClientRules | undefined {
  const { endpoint, client_id: clientId } = config;
  const credentials = compileCredentials(compilation, at, config);
  if (endpoint !== undefined) {
    const problem = problemOf(new URL(endpoint), insecure, credentials);
    if (problem !== undefined) compilation.problem([...at, 'endpoint'], problem);
  }
  return credentials && { endpoint, clientId, credentials };
}

function problemOf(
  { protocol, hostname }: URL,
  insecure: boolean,
  credentials: ClientCredentials | undefined,
): string | undefined {
  if (protocol === 'https:') return undefined;
  if (credentials?.method === 'tls_client_auth') {
    return 'is http, where no certificate can be shown, expected https';
  }
  if (insecure || isLoopback(hostname)) return undefined;
  return (
    'is http beyond loopback, where tokens can be read and answers be replaced on the way, ' +
    'expected https, or insecure_http: true on the issuer'
  );
}

function compileCredentials(
  compilation: Compilation,
  at: ConfigPath,
  config: ClientConfig,
): ClientCredentials | undefined {
  if (config.client_secret_file !== undefined) return compileSecret(compilation, [...at, 'client_secret_file']);
  if (config.private_key_file !== undefined) return compileKey(compilation, [...at, 'private_key_file']);
  const pair = keyPairAt(compilation, at);
  return pair && { method: 'tls_client_auth', cert: pair.cert, key: pair.key };
}

function compileSecret(compilation: Compilation, at: ConfigPath): ClientCredentials | undefined {
  const secret = compilation.fileAt(at)?.content.toString('utf8').trim();
  if (secret) return { method: 'client_secret_basic', secret };
  if (compilation.isAbsent(at)) return { method: 'client_secret_basic', secret: '' };
  compilation.problem(at, 'has nothing in it, expected the secret of the client, white space at its ends not counted');
  return undefined;
}

function compileKey(compilation: Compilation, at: ConfigPath): ClientCredentials | undefined {
  const key = readSigningKey(compilation.isAbsent(at) ? standIn() : decodeText(compilation.fileAt(at)?.content));
  if (key !== undefined) return { method: 'private_key_jwt', ...key };
  compilation.problem(at, `cannot sign client assertions (RFC 7523), ${SIGNING_KEY_EXPECTED}`);
  return undefined;
}

/** A key in place of one that is not here: a configuration that is only checked says by what the gateway would authenticate. */
function standIn(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' });
}
