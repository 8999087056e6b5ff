// A token by client credentials for the probe (RFC 6749 §4.4), bound or not.

import { isJsonObject, readJsonObject } from '../../jose/jws.ts';
import { authenticator } from '../../issuer/client-credentials.ts';
import type { ClientCredentials } from '../../token/issuer.ts';
import { UsageError } from '../arguments.ts';
import {
  type Credentials,
  gatherCredentials,
  type ProbeCertificate,
  readGiven,
  readKeyFile,
  readToken,
  readTokenFile,
} from './credentials.ts';
import { forge, makeProbeKey, type ProbeKey, probeKeyOf, randomId } from './forgery.ts';
import { fieldOf, shownReply } from './reply.ts';
import { destinationOf, type ProbeOptions, readNamedFile, readTarget } from './settings.ts';
import { exchange } from './wire.ts';

/** What keeps a probe from running, in words for people. */
export class ProbeFailure extends Error {}

/**
 * The credentials, by files or from the token endpoint. Without a certificate, and unless it shall be unbound, a new DPoP key is made
 * for the token.
 * @throws UsageError, ProbeFailure
 */
export async function obtainCredentials(options: ProbeOptions): Promise<Credentials> {
  const given = readGiven(options);
  const key = given.key && probeKeyOf(given.key);
  const file = options['token-file'];
  const endpoint = options['token-endpoint'];
  if ((file === undefined) === (endpoint === undefined)) {
    throw new UsageError('"probe" needs either --token-file, or --token-endpoint with --client-id');
  }
  if (file !== undefined) {
    return gatherCredentials(readTokenFile('token-file', file), key, given.certificate, options);
  }
  const wanted = given.certificate === undefined && !options.unbound;
  const made = key ?? (wanted ? makeProbeKey() : undefined);
  const url = readTarget('--token-endpoint', endpoint ?? '', options['insecure-http']);
  const issued = await requestToken(url, options, made, given.certificate);
  // The issuer may not know DPoP: then what it issued is bound to nothing. A JWT says so itself.
  const bound = /^dpop$/i.test(issued.type) || issued.token.jws !== undefined ? made : undefined;
  return gatherCredentials(issued.token, bound, given.certificate, options);
}

async function requestToken(
  url: URL,
  options: ProbeOptions,
  key: ProbeKey | undefined,
  certificate: ProbeCertificate | undefined,
) {
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  for (const name of ['scope', 'resource'] as const) {
    const value = options[name];
    if (value !== undefined) form.set(name, value);
  }
  const authenticate = authenticator(
    { issuer: options.issuer ?? '' },
    { endpoint: undefined, clientId: readClientId(options), credentials: readClientCredentials(options, certificate) },
  );
  const ask = async (nonce?: string) => {
    const { fields, parameters } = await authenticate(Date.now() / 1000);
    const body = new URLSearchParams([...form, ...Object.entries(parameters)]).toString();
    const lines = [
      `POST ${url.pathname}${url.search} HTTP/1.1`,
      `Host: ${url.host}`,
      'Accept: application/json',
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
      ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
      ...(key === undefined ? [] : [`DPoP: ${proofForEndpoint(url, key, nonce)}`]),
      'Connection: close',
    ];
    const bytes = `${lines.join('\r\n')}\r\n\r\n${body}`;
    return exchange(destinationOf(url, options), { method: 'POST', bytes, shown: certificate?.shown });
  };
  const first = await ask();
  const nonce = 'kind' in first ? undefined : fieldOf(first, 'dpop-nonce');
  const asked = !('kind' in first) && first.status >= 400 && nonce !== undefined;
  const reply = asked ? await ask(nonce) : first;
  const body = 'kind' in reply ? undefined : readJsonObject(Buffer.from(reply.content, 'latin1').toString());
  const token = isJsonObject(body) && typeof body.access_token === 'string' ? readToken(body.access_token) : undefined;
  if (!('kind' in reply) && reply.status === 200 && token !== undefined) {
    return { token, type: String(body?.token_type) };
  }
  const error = typeof body?.error === 'string' && /^[a-z_]{1,40}$/.test(body.error) ? ` ${body.error}` : '';
  throw new ProbeFailure(`the token endpoint gave no token: ${shownReply(reply)}${error}`);
}

/** RFC 9449 §5. */
function proofForEndpoint(url: URL, key: ProbeKey, nonce: string | undefined): string {
  const claims = {
    jti: randomId(),
    htm: 'POST',
    htu: `${url.origin}${url.pathname}`,
    iat: Math.floor(Date.now() / 1000),
    nonce,
  };
  return forge({ typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk }, claims, key.sign);
}

function readClientId(options: ProbeOptions): string {
  const id = options['client-id'];
  if (id === undefined) throw new UsageError('--token-endpoint needs --client-id');
  return id;
}

function readClientCredentials(options: ProbeOptions, certificate: ProbeCertificate | undefined): ClientCredentials {
  const [secretFile, keyFile] = [options['client-secret-file'], options['client-key-file']];
  if (secretFile !== undefined) {
    return { method: 'client_secret_basic', secret: readNamedFile('client-secret-file', secretFile) };
  }
  if (keyFile !== undefined) {
    if (options.issuer === undefined) {
      throw new UsageError('--client-key-file needs --issuer, for whom the client assertion is (RFC 7523 §3)');
    }
    return { method: 'private_key_jwt', ...readKeyFile('client-key-file', keyFile) };
  }
  if (certificate !== undefined) return { method: 'tls_client_auth', ...certificate.shown };
  throw new UsageError(
    '--token-endpoint needs --client-secret-file, --client-key-file, or --cert-file with --key-file',
  );
}
