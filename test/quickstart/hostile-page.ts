// The demo page at servers that answer with markup: gateway, authorization server, upstream.

import { createServer, type RequestListener } from 'node:http';
import type { TestContext } from 'node:test';
import { close, listen } from '../../quickstart/loopback.ts';
import { startPage } from '../../quickstart/page-server.ts';

/** Markup, long words and directions of text. */
const NASTY = `"><script>document.title='run'</script><img src=x onerror=alert(1)>\u202e${'w'.repeat(400)}`;
const ISSUER = 'https://login.example.com';

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Sends the browser straight back with a code, and gives a token of nasty claims for it. */
const authorizationServer: RequestListener = (request, response) => {
  const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
  if (request.method === 'GET') {
    const back = new URLSearchParams({ code: NASTY, state: searchParams.get('state') ?? '', iss: ISSUER });
    response.writeHead(303, { Location: `${searchParams.get('redirect_uri')}?${back.toString()}` }).end();
    return;
  }
  const claims = { sub: NASTY, aud: NASTY, scope: NASTY, cnf: { jkt: NASTY }, [NASTY]: NASTY };
  const token = `${base64url({ alg: 'ES256' })}.${base64url(claims)}.c2ln`;
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ access_token: token, token_type: NASTY }));
};

export interface Hostility {
  /** How many requests are answered with 200; preflights, which always are, not among them. */
  readonly passes: number;
  /** The others get no answer but the end of their connection. */
  readonly hangsUp?: boolean;
}

/** A gateway that lets a few requests pass and refuses the others with nasty words. */
function hostileGateway({ passes, hangsUp = false }: Hostility): RequestListener {
  let left = passes;
  return (request, response) => {
    const preflight = request.method === 'OPTIONS';
    const passing = preflight || left > 0;
    if (!preflight) left -= 1;
    if (!passing && hangsUp) {
      request.socket.destroy();
      return;
    }
    response.writeHead(passing ? 200 : 401, {
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Headers': 'authorization, dpop, x-demo-request',
      'Access-Control-Expose-Headers': 'WWW-Authenticate, DPoP-Nonce',
      'Content-Type': 'application/problem+json',
      'WWW-Authenticate': `DPoP realm="${'<b>'.repeat(100)}"`,
      'DPoP-Nonce': `<i>${'n'.repeat(400)}`,
    });
    response.end(JSON.stringify({ title: NASTY, detail: { NASTY }, reason: NASTY }));
  };
}

/** Starts all of it for a test. @returns the address of the page */
export async function startHostilePage(t: TestContext, hostility: Hostility): Promise<string> {
  const gateway = createServer(hostileGateway(hostility));
  const seen = { fields: { 'X-Auth-Subject': NASTY, [`X-Auth-${NASTY}`]: [NASTY] } };
  const upstream = createServer((_request, response) => response.end(JSON.stringify(seen)));
  const ports = [await listen(gateway, 0), await listen(upstream, 0)];
  const page = await startPage({
    port: 0,
    told: { gateway: `http://localhost:${ports[0]}`, issuer: ISSUER, audience: 'https://api.example.com' },
    upstream: `http://127.0.0.1:${ports[1]}`,
    authorizationServer,
  });
  t.after(async () => {
    await page.close();
    await close(gateway);
    await close(upstream);
  });
  return `${page.origin}/`;
}
