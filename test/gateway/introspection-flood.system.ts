// A flood of invented opaque tokens, and other clients who are served as before.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Agent } from 'node:https';
import { type TestContext, test } from 'node:test';
import { assertUnharmed, attack, serviceOf } from '../support/bystander.ts';
import { type Answered, startTestGateway } from '../support/gateway.ts';
import { json, serve } from '../support/issuer-server.ts';
import { AUDIENCE } from '../support/tokens.ts';

/** Milliseconds that the issuer takes for an answer. */
const LATENCY = 100;
const [FLOODER, OTHER] = ['127.0.0.2', '127.0.0.3'];

/** An issuer that calls tokens active whose text begins with `good`, and counts what it is asked about. */
async function stage(t: TestContext) {
  const issuer = await serve(t);
  issuer.answer = (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const active = new URLSearchParams(body).get('token')?.startsWith('good') === true;
      const answer = active ? { active, token_type: 'Bearer', aud: AUDIENCE, sub: 'alice' } : { active };
      setTimeout(() => json(answer, { 'content-type': 'application/json' })(request, response), LATENCY);
    });
  };
  const asking = `endpoint: "${issuer.origin}/introspect", client_id: gateway, client_secret_file: issuer.secret, cache: 1s`;
  const gateway = await startTestGateway(t, {
    threads: true,
    issuers: `login: { issuer: "${issuer.origin}", audience: ["${AUDIENCE}"], keys: { jwks_file: keys.json }, introspection: { ${asking} } }`,
    files: { 'issuer.secret': 'a secret\n' },
    routes: '- { name: any, match: { path: /* }, upstream: orders, require: token, weaker_than_defaults: [require] }',
    more: 'drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }\nworkers: 1',
  });
  const agents: Agent[] = [];
  t.after(() => agents.forEach((agent) => agent.destroy()));
  /** A client with a connection that it keeps. */
  const client = (from: string) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    return (token: string) => gateway.request('GET', '/1', { token, from, agent });
  };
  return { gateway, client };
}

const passed = async (answer: Promise<Answered>) => (await answer).status === 200;

test('known tokens and new ones of another client pass beside a flood of invented ones', async (t) => {
  const { gateway, client } = await stage(t);
  const other = client(OTHER);
  let count = 0;
  const fresh = () => passed(other(`good-${(count += 1)}`));
  const known = (nth: number) => passed(other(`good-known-${nth % 20}`));
  const before = await serviceOf(50, fresh);
  await serviceOf(20, known);

  const refused: Answered[] = [];
  const flooders = Array.from({ length: 400 }, () => client(FLOODER));
  // Few handshakes of one address at a time: one that takes long ends when others of that address wait for it.
  for (let nth = 0; nth < flooders.length; nth += 16)
    assert.ok(
      (await Promise.all(flooders.slice(nth, nth + 16).map((ask) => passed(ask('good-known-0'))))).every(Boolean),
    );
  const flood = attack(t, { attackers: flooders.length, pause: 800 }, async (attacker) => {
    const answer = await flooders[attacker]!(`invented-${randomUUID()}`);
    assert.ok(['token_inactive', 'introspection_queue_full'].includes(answer.reason ?? ''), String(answer.reason));
    if (answer.reason === 'introspection_queue_full') refused.push(answer);
  });
  while (refused.length === 0) await fresh();
  await assertUnharmed(50, fresh, before);
  // Their answers have run out: the issuer is asked again.
  await assertUnharmed(50, known, before);
  await flood.stop();
  const [first] = refused;
  assert.deepEqual([first?.status, first?.fields.one('retry-after')], [503, '1']);
  assert.deepEqual(first?.fields.all('www-authenticate'), []);
  await gateway.reaches(refused.length, 'holdfast_introspections_total', { result: 'refused' });
  assert.equal(await gateway.count('holdfast_introspections_total', { result: 'failed' }), 0);
});
