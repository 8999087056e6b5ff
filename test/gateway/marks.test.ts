// Marked credentials through every refusal and success, searched for in all output.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Answered, ORIGIN, type RequestWishes, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { CLIENT, dpop, HOLDER, issue, MARK, THIEF, TO_BOTH, TO_CERTIFICATE } from './credentials.ts';
import { gatewayFor, POLICY_OF_ALL, REFUSALS } from './refusals.ts';

const CODE = `code=${MARK}`;

/** Everything that clients sent which nobody else may see, and everything that came out. */
class Search {
  readonly secrets = new Set<string>([MARK, HOLDER.jkt, THIEF.jkt, CLIENT.thumbprint, String(HOLDER.jwk.x)]);
  readonly #places: [place: string, text: string][] = [];

  /** The same gateway, for clients that put marks wherever they can; what they send and get is remembered. */
  of(gateway: TestGateway): TestGateway {
    const kept = async (answer: Promise<Answered>) => {
      const { status, fields, body } = await answer;
      const lines = fields.lines.filter(([name]) => name !== 'DPoP-Nonce');
      this.add('an answer', JSON.stringify([status, lines, body]));
      return answer;
    };
    return {
      ...gateway,
      raw: (bytes) => kept(gateway.raw(bytes)),
      request: (method, path, wishes = {}) => {
        this.#keep(wishes);
        // What is signed with a mark is sent as it is.
        const query = path.endsWith(CODE) ? '' : `${path.includes('?') ? '&' : '?'}${CODE}`;
        const fields = [...(wishes.fields ?? []), ['Cookie', `id=${MARK}`], ['X-Private', MARK]] as const;
        return kept(gateway.request(method, `${path}${query}`, { ...wishes, fields }));
      },
    };
  }

  /** Claims and signature; the protected header of a JWS is no secret, and `{"typ":"JWT"}` may stand anywhere. */
  #keep({ token, proof }: RequestWishes): void {
    for (const part of [token, proof].flatMap((jws) => jws?.split('.').slice(1) ?? [])) {
      if (part.length > 8) this.secrets.add(part);
    }
  }

  add(place: string, text: string): void {
    this.#places.push([place, text]);
  }

  async addPagesOf({ page, log }: TestGateway): Promise<void> {
    for (const path of ['/livez', '/readyz', '/metrics']) this.add(path, (await page(path)).body);
    for (const line of log) this.add('the log', JSON.stringify(withoutShown(line)));
  }

  get found(): readonly string[] {
    const secrets = [...this.secrets];
    return this.#places
      .filter(([, text]) => secrets.some((secret) => text.includes(secret)))
      .map(([place, text]) => `${place}: ${text}`);
  }
}

/**
 * The values that a refusal may show, by its reason (docs/decisions/0116): each by the one fact that cannot be mended without it. Of the
 * credentials of these tests they are a verified audience, thumbprints, and what is said to be issuer, key and type.
 */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  token_audience_mismatch: ['received'],
  certificate_mismatch: ['expected', 'received'],
  proof_key_mismatch: ['expected', 'received'],
  signature_key_mismatch: ['expected', 'received'],
  proof_type_invalid: ['received'],
  token_issuer_unknown: ['received'],
  token_key_unknown: ['received'],
};

/** The line without those, so that nothing else in it is let through. */
function withoutShown(line: Readonly<Record<string, unknown>>): object {
  const shown = SHOWN[String(line['reason'])];
  if (shown === undefined) return line;
  const facts = Object.entries(line['facts'] as object).filter(([name]) => !shown.includes(name));
  assert.equal(facts.length, Object.keys(line['facts'] as object).length - shown.length, String(line['reason']));
  return { ...line, facts: Object.fromEntries(facts) };
}

test('a search that finds nothing would have found it', () => {
  const search = new Search();
  search.add('somewhere', `a log line with ${MARK} in it`);
  search.add('elsewhere', 'a clean one');
  assert.equal(search.found.length, 1);
});

test('no refusal lets a token, proof, nonce, claim, query or private field out', async (t) => {
  const shared = await startTestGateway(t, POLICY_OF_ALL);
  const search = new Search();
  const reasons = new Set<string>();
  for (const refusal of REFUSALS) {
    const gateway = await gatewayFor(t, refusal, shared);
    reasons.add((await refusal.send(search.of(gateway))).reason ?? 'none');
    if (gateway !== shared) await search.addPagesOf(gateway);
  }
  await search.addPagesOf(shared);
  assert.deepEqual(search.found, []);
  assert.deepEqual(reasons, new Set(REFUSALS.map(({ reason }) => reason)));
});

test('no success does, and what the upstream alone should see is seen by nobody else', async (t) => {
  const gateway = await startTestGateway(t, POLICY_OF_ALL);
  const search = new Search();
  const client = search.of(gateway);
  const challenge = await dpop(client, 'GET', '/nonce/1');
  const nonce = challenge.fields.one('dpop-nonce') ?? assert.fail('no nonce');
  search.secrets.add(nonce);
  const answers = [
    await dpop(client, 'GET', '/nonce/1', { proving: { claims: { nonce } } }),
    await dpop(client, 'GET', '/dpop/1'),
    await dpop(client, 'GET', '/any/1', { claims: TO_BOTH, client: CLIENT }),
    await client.request('GET', '/any/1', { token: await issue(client) }),
    await client.request('GET', '/mtls/1', { token: await issue(client, TO_CERTIFICATE), client: CLIENT }),
    await client.request('POST', '/open/1', { token: MARK, proof: MARK, body: MARK }),
  ];
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  for (const path of ['/nonce/1', '/dpop/1', '/mtls/1', '/open/1']) await gateway.logged({ path, status: 200 });
  await search.addPagesOf(gateway);
  assert.deepEqual(search.found, []);
  assert.ok(gateway.upstream.seen.every(({ target }) => target.endsWith(`?code=${MARK}`)));
});

test('explain_to_clients says what was expected and received and how far the clock is off, and no more', async (t) => {
  const still = Math.floor(Date.now() / 1000);
  const listener = `${POLICY_OF_ALL.listener}\nexplain_to_clients: true`;
  const wishes = { ...POLICY_OF_ALL, listener, now: () => still };
  const gateway = await startTestGateway(t, wishes);
  const search = new Search();
  const problem = async (claims: object) => {
    const { body } = await dpop(search.of(gateway), 'GET', '/dpop/1', { proving: { claims: { ...claims } } });
    return JSON.parse(body) as Record<string, unknown>;
  };
  const elsewhere = await problem({ htu: `https://${MARK}@api.example.com/dpop/2?code=${MARK}#${MARK}` });
  assert.equal(elsewhere['expected'], `${ORIGIN}/dpop/1`);
  assert.equal(elsewhere['received'], 'https://***@api.example.com/dpop/2');
  const late = await problem({ iat: gateway.now() - 300 });
  assert.equal(late['clock_offset'], -300);
  await search.addPagesOf(gateway);
  assert.deepEqual(search.found, []);
});

test('an unexpected error is logged by name and place, without its message', async (t: TestContext) => {
  let broken = false;
  const gateway = await startTestGateway(t, {
    ...POLICY_OF_ALL,
    now: () => {
      if (broken) throw new RangeError(`no clock for ${MARK}`);
      return Date.now() / 1000;
    },
  });
  broken = true;
  const answer = await gateway.request('GET', '/dpop/1', { token: MARK });
  broken = false;
  const line = await gateway.logged({ level: 'error' });
  assert.equal(line['request_id'], JSON.parse(answer.body).request_id);
  const { name, at } = line['error'] as { name: string; at: string[] };
  assert.equal(name, 'RangeError');
  assert.match(at[0] ?? '', /marks\.test\.ts/);
  assert.ok(!JSON.stringify(line).includes(MARK));
});
