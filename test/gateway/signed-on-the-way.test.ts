// Signed requests that are changed on the way by fields which no signature covers.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { type RequestWishes, startTestGateway } from '../support/gateway.ts';
import { openWebSocket, refusal, say, startWebSockets } from '../support/websockets.ts';
import { dpop } from './credentials.ts';
import { makeSigned, sendSigned, type SignedRequest } from './signed-requests.ts';

const ROUTES = `
- { name: signed, match: { path: /signed/* }, upstream: orders, signature: { components: [content-type, idempotency-key] } }
- { name: plain, match: { path: /plain/* }, upstream: orders }
- { name: chat, match: { path: /chat/* }, upstream: chat, signature: {} }
`;

async function start(t: TestContext) {
  const chat = await startWebSockets(t);
  return startTestGateway(t, { routes: ROUTES, upstreams: `chat: { targets: ["${chat.target}"] }` });
}

const adding =
  (name: string, value: string) =>
  (request: RequestWishes): RequestWishes => ({ ...request, fields: [...(request.fields ?? []), [name, value]] });

const KEYED = {
  fields: [['Idempotency-Key', 'k1']] as const,
  covered: ['@method', '@target-uri', 'authorization', 'dpop', 'idempotency-key'],
};

describe('fields that were added on the way', () => {
  it('Connection takes no signed field away from the upstream', async (t) => {
    const gateway = await start(t);
    for (const [named, reason] of [
      ['Idempotency-Key', 'field_forbidden'],
      ['close,\tidempotency-key', 'field_forbidden'],
      ['\u00a0idempotency-key', 'field_forbidden'],
      ['Authorization', 'signature_component_refused'],
    ] as const) {
      const answer = await sendSigned(gateway, KEYED, adding('Connection', named));
      assert.deepEqual([answer.reason, gateway.upstream.seen.length], [reason, 0], named);
    }
    const unsigned = await sendSigned(gateway, KEYED, adding('Connection', 'Signature'));
    assert.deepEqual([unsigned.reason, gateway.upstream.seen.length], ['field_forbidden', 0]);
  });

  it('but an unsigned one, or the connection itself, may be named', async (t) => {
    const gateway = await start(t);
    for (const named of ['close', 'X-Hop', 'keep-alive, te']) {
      const answer = await sendSigned(gateway, KEYED, (request) =>
        adding('X-Hop', '1')(adding('Connection', named)(request)),
      );
      assert.equal(answer.status, 200, named);
      assert.equal(gateway.upstream.seen.at(-1)?.fields.one('idempotency-key'), 'k1');
    }
  });

  it('none that CGI reads as a signed one stands next to it', async (t) => {
    const gateway = await start(t);
    for (const name of ['Idempotency_Key', 'Content_Type', 'idempotency.key', 'Content_Digest']) {
      const answer = await sendSigned(gateway, {}, adding(name, 'k2'));
      assert.deepEqual([answer.reason, gateway.upstream.seen.length], ['field_forbidden', 0], name);
    }
    assert.equal((await sendSigned(gateway, {}, adding('X_Other', 'k2'))).status, 200);
  });

  it('where nothing is signed the same name is one like any other', async (t) => {
    const gateway = await start(t);
    for (const name of ['Idempotency_Key', 'Content_Digest', 'Signature_Input']) {
      const wishes = { fields: [[name, 'k2']] as const };
      assert.equal((await dpop(gateway, 'GET', '/plain/1', wishes)).status, 200, name);
      assert.equal(gateway.upstream.seen.at(-1)?.fields.one(name), 'k2');
    }
    const named = { fields: [['Connection', 'Idempotency-Key']] as const };
    assert.equal((await dpop(gateway, 'GET', '/plain/1', named)).status, 200);
  });

  it('a signed request does not become a WebSocket', async (t) => {
    const gateway = await start(t);
    const made = await makeSigned(gateway, { path: '/chat/1' });
    const socket = openWebSocket(t, gateway, made.path, { headers: headersOf(made) });
    const opened = once(socket, 'open').then(() => 'opened');
    const refused = refusal(socket).then(({ body }) => /"reason":"(\w+)"/.exec(body)?.[1]);
    assert.equal(await Promise.race([opened, refused]), 'signature_component_missing');
  });

  it('unless its client signed that it asks for one', async (t) => {
    const gateway = await start(t);
    const made = await makeSigned(gateway, {
      path: '/chat/1',
      fields: [['Upgrade', 'websocket']],
      covered: ['@method', '@target-uri', 'authorization', 'dpop', 'upgrade'],
    });
    const socket = openWebSocket(t, gateway, made.path, { headers: headersOf(made) });
    await once(socket, 'open');
    assert.equal(await say(socket, 'hello'), 'hello');
  });
});

/** Without those that the client of WebSockets writes itself. */
function headersOf({ request }: SignedRequest): Record<string, string> {
  const fields = (request.fields ?? []).filter(([name]) => name !== 'Upgrade');
  return { Authorization: `DPoP ${request.token}`, DPoP: request.proof ?? '', ...Object.fromEntries(fields) };
}
