// A deployment to probe: a real authorization server, an echo upstream, and options.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:https';
import type { TestContext } from 'node:test';
import { startAuthorizationServer } from '../../../quickstart/authorization-server.ts';
import { makeDevelopmentCertificates } from '../../../quickstart/development-ca.ts';
import { startEchoUpstream } from '../../../quickstart/echo-upstream.ts';
import { makeSecrets } from '../../../quickstart/secrets.ts';
import { obtainCredentials } from '../../../src/cli/probe/token-request.ts';
import type { ProbeOptions } from '../../../src/cli/probe/settings.ts';
import { ORIGIN, SERVER_CA } from '../../support/gateway.ts';
import { writeFiles } from './probing.ts';

export interface ProbeRig {
  readonly issuer: string;
  /** PEM of the CA of the authorization server and of the clients. */
  readonly ca: string;
  /** The issuer's key set. */
  readonly jwks: string;
  /** Port of the echo upstream on loopback. */
  readonly upstream: number;
  /** Options for a token of this kind at a server on this port. */
  readonly options: (kind: 'dpop' | 'mtls' | 'bearer', port: number) => ProbeOptions;
}

/** Starts everything but the server that is probed. */
export async function startRig(t: Pick<TestContext, 'after'>): Promise<ProbeRig> {
  const [certificates, secrets] = [await makeDevelopmentCertificates(Date.now() / 1000), await makeSecrets()];
  const upstream = await startEchoUpstream({ port: 0, mark: randomUUID() });
  t.after(upstream.close);
  const server = await startAuthorizationServer({ port: 0, audience: ORIGIN, certificates, secrets });
  t.after(server.close);
  const jwks = await fetchText(`${server.issuer}/jwks`, certificates.ca);
  const files = writeFiles(t, {
    ca: `${certificates.ca}\n${SERVER_CA.cert}`,
    jwks,
    cert: certificates.alice.cert,
    key: certificates.alice.key,
    dpop: secrets.clientSecret.dpop,
    bearer: secrets.clientSecret.bearer,
    expired: secrets.clientSecret.expired,
  });
  const endpoint = { 'ca-file': files.ca, 'token-endpoint': `${server.issuer}/token`, scope: 'orders:read' };
  const issue = async (kind: 'bearer' | 'expired') => {
    const by = { 'client-id': `${kind}-client`, 'client-secret-file': files[kind] };
    return (await obtainCredentials({ ...endpoint, ...by, unbound: true })).token.text;
  };
  const more = writeFiles(t, { unbound: await issue('bearer'), expired: await issue('expired') });
  const clients = {
    dpop: { 'client-id': 'dpop-client', 'client-secret-file': files.dpop },
    mtls: { 'client-id': 'mtls-client', 'cert-file': files.cert, 'key-file': files.key },
    bearer: { 'client-id': 'bearer-client', 'client-secret-file': files.bearer, unbound: true },
  };
  return {
    issuer: server.issuer,
    ca: certificates.ca,
    jwks,
    upstream: upstream.port,
    options: (kind, port) => ({
      ...endpoint,
      ...clients[kind],
      'connect-to': `127.0.0.1:${port}`,
      'jwks-file': files.jwks,
      'expired-token-file': more.expired,
      ...(kind === 'bearer' ? {} : { 'unbound-token-file': more.unbound }),
      'public-path': '/healthz',
      framing: true,
    }),
  };
}

async function fetchText(url: string, ca: string): Promise<string> {
  const [answer] = (await once(get(url, { ca, agent: false }), 'response')) as [AsyncIterable<Buffer>];
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return text;
}
