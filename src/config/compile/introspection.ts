// Compiles how an issuer is asked about tokens: where, and with what the gateway says who it is.

import { decodeText } from '../../http/content.ts';
import { readSigningKey, SIGNING_KEY_EXPECTED } from '../../jose/signing-key.ts';
import type { ClientCredentials, IntrospectionRules } from '../../token/issuer.ts';
import { compileAccessToken } from './access-token.ts';
import { type Compilation, isLoopback } from './compilation.ts';
import { keyPairAt } from './pem.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';

type IssuerConfig = Config['issuers'][string];

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
  if (endpoint !== undefined)
    checkEndpoint(compilation, [...at, 'endpoint'], new URL(endpoint), { insecure, credentials });
  const accessToken = compileAccessToken(compilation, [...at, 'access_token'], introspection.access_token);
  return credentials && { endpoint, clientId, credentials, accessToken, signed, always, cache };
}

function checkEndpoint(
  compilation: Compilation,
  at: ConfigPath,
  { protocol, hostname }: URL,
  { insecure, credentials }: { readonly insecure: boolean; readonly credentials: ClientCredentials | undefined },
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
  const key = readSigningKey(decodeText(compilation.fileAt(at)?.content));
  if (key !== undefined) return { method: 'private_key_jwt', ...key };
  compilation.problem(at, `cannot sign client assertions (RFC 7523), ${SIGNING_KEY_EXPECTED}`);
  return undefined;
}
