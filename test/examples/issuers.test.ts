// The configurations of docs/issuers.md, each with a token of its issuer's form.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportJWK } from 'jose';
import { Permit } from '../../src/binding/permit.ts';
import { enforce } from '../../src/enforce.ts';
import { ROOT } from '../../scripts/generate.ts';
import type { Policy, Route } from '../../src/policy/policy.ts';
import { makePorts } from '../support/enforcing.ts';
import { makeFacts } from '../support/facts.ts';
import { compileText } from '../support/policies.ts';
import { makeKey, makeProof, makeToken, type TestKey } from '../support/tokens.ts';

const PAGE = readFileSync(join(ROOT, 'docs/issuers.md'), 'utf8');
const SECTIONS = new Map(
  PAGE.split(/^## /m).map((section) => [section.split('\n', 1)[0] ?? '', /^```yaml\n(.*?)^```$/ms.exec(section)?.[1]]),
);
const AROUND = `version: 1
listeners: [{ name: public, bind: "127.0.0.1:0", origins: ["https://api.example.com"], trusted_peers: [{ cidr: 127.0.0.1/32 }] }]
upstreams: { orders: { targets: ["http://127.0.0.1:9000"] } }
`;
const GATEWAY_KEY = await makeKey('ES256', 'gateway');
const GATEWAY_JWK = await exportJWK(GATEWAY_KEY.privateKey);

/** What is asked about, with the answer; or header and claims of a JWT. `undefined` takes a claim of the tests' usual ones out. */
interface Form {
  readonly header?: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly opaque?: true;
  readonly method?: string;
  readonly alg?: string;
}

const NOT = { client_id: undefined, scope: undefined };
const FORMS: Readonly<Record<string, readonly Form[]>> = {
  Keycloak: [{ header: { typ: 'JWT' }, alg: 'RS256', claims: { client_id: undefined, azp: 'shop', typ: 'Bearer' } }],
  'Keycloak up to 24': [
    {
      header: { typ: 'JWT' },
      alg: 'RS256',
      claims: { client_id: undefined, aud: 'shop', azp: 'shop', typ: 'Bearer', nonce: 'n', cnf: undefined },
    },
  ],
  Auth0: [
    {
      header: { typ: 'at+jwt' },
      alg: 'RS256',
      claims: { aud: ['https://api.example.com', 'https://example.eu.auth0.com/userinfo'] },
    },
  ],
  Okta: [
    {
      header: { typ: undefined },
      alg: 'RS256',
      claims: { ...NOT, aud: 'api://default', cid: 'shop', scp: ['orders:read'] },
    },
  ],
  'Entra ID': [
    {
      header: { typ: 'JWT' },
      alg: 'RS256',
      claims: { ...NOT, aud: '11111111-1111-1111-1111-111111111111', azp: 'shop', scp: 'Orders.Read', cnf: undefined },
    },
    {
      method: 'POST',
      header: { typ: 'JWT' },
      alg: 'RS256',
      claims: {
        ...NOT,
        aud: '11111111-1111-1111-1111-111111111111',
        azp: 'job',
        roles: ['Orders.Write.All'],
        cnf: undefined,
      },
    },
  ],
  'Entra ID with one registration': [
    {
      header: { typ: 'JWT' },
      alg: 'RS256',
      claims: { ...NOT, aud: 'shop', azp: 'shop', scp: 'access_as_user', cnf: undefined },
    },
  ],
  'Duende IdentityServer': [
    { header: { typ: 'at+jwt' }, alg: 'RS256', claims: { aud: 'orders', scope: ['orders:read'] } },
    { opaque: true, claims: { aud: 'orders', scope: 'orders:read', client_id: 'shop' } },
  ],
  Curity: [{ opaque: true, claims: { token_type: 'DPoP', scope: 'orders:read', client_id: 'shop' } }],
  'Amazon Cognito': [
    { header: { typ: undefined }, alg: 'RS256', claims: { aud: undefined, token_use: 'access', cnf: undefined } },
  ],
  PingOne: [undefined, 'at+jwt'].map((typ) => ({
    header: { typ },
    alg: 'RS256',
    claims: { aud: ['https://api.example.com'], sid: 's', cnf: undefined },
  })),
  PingFederate: ['orders:read', ['orders:read']].map((scope) => ({
    header: { typ: undefined },
    alg: 'RS256',
    claims: { scope, cnf: undefined },
  })),
  'AD FS': [
    { header: { typ: 'JWT' }, alg: 'RS256', claims: { ...NOT, appid: 'shop', scp: 'orders:read', cnf: undefined } },
  ],
  authentik: [
    {
      header: { typ: 'JWT' },
      alg: 'RS256',
      claims: { client_id: undefined, aud: 'shop', azp: 'shop', nonce: 'n', cnf: undefined },
    },
  ],
  'Ory Hydra': [
    {
      opaque: true,
      claims: {
        aud: [],
        token_type: 'Bearer',
        token_use: 'access_token',
        scope: 'orders:read',
        client_id: 'shop',
        cnf: undefined,
      },
    },
  ],
  'django-oauth-toolkit': [
    {
      opaque: true,
      claims: { iss: undefined, aud: undefined, scope: 'orders:read', client_id: 'shop', cnf: undefined },
    },
  ],
  Salesforce: [
    {
      opaque: true,
      claims: { aud: undefined, token_type: 'access_token', scope: 'id api', client_id: 'shop', cnf: undefined },
    },
  ],
};

/** By the name of the section: what its first form is not, and why that is refused. */
const NEAR: Readonly<Record<string, readonly (readonly [change: Form['claims'], reason: string])[]>> = {
  Keycloak: [
    [{ aud: 'account' }, 'token_audience_mismatch'],
    [{ aud: undefined }, 'token_claim_invalid'],
    [{ aud: 'shop' }, 'token_type_refused'],
    [{ typ: 'ID' }, 'token_type_refused'],
  ],
  'Keycloak up to 24': [
    [{ typ: 'ID' }, 'token_type_refused'],
    [{ typ: 'Refresh' }, 'token_type_refused'],
    [{ aud: 'account' }, 'token_audience_mismatch'],
  ],
  'Entra ID': [[{ nonce: 'n' }, 'token_type_refused']],
  'Entra ID with one registration': [[{ scp: undefined, azp: undefined, nonce: 'n' }, 'token_type_refused']],
  'Amazon Cognito': [
    [{ aud: 'shop', token_use: 'id' }, 'token_type_refused'],
    [{ client_id: 'elsewhere' }, 'token_audience_mismatch'],
  ],
  PingOne: [[{ nonce: 'n' }, 'token_type_refused']],
  PingFederate: [[{ aud: undefined }, 'token_claim_invalid']],
  authentik: [[{ scope: undefined }, 'token_type_refused']],
  'Ory Hydra': [[{ token_use: 'refresh_token' }, 'token_type_refused']],
  'django-oauth-toolkit': [[{ client_id: 'elsewhere' }, 'token_audience_mismatch']],
  Salesforce: [
    [{ token_type: 'refresh_token' }, 'token_type_refused'],
    [{ client_id: 'elsewhere' }, 'token_audience_mismatch'],
  ],
};

async function compile(text: string): Promise<Policy> {
  const files = Object.fromEntries(
    [...text.matchAll(/^ {2}(\w+):$/gm)].flatMap(([, name]) => [
      [`issuers.${name}.introspection.client_secret_file`, 'secret'],
      [`issuers.${name}.introspection.private_key_file`, JSON.stringify(GATEWAY_JWK)],
    ]),
  );
  const compiled = compileText(AROUND + text, { files });
  assert.ok('policy' in compiled, JSON.stringify(compiled));
  return compiled.policy;
}

/** The decision about a request with a token of this form, bound to a key unless the form says that it is not. */
async function decide(route: Route, { header, claims, opaque, method = 'GET', alg = 'ES256' }: Form, holder: TestKey) {
  const now = 1_800_000_000;
  const [issuer] = route.demand.issuers;
  assert.ok(issuer);
  const signer = await makeKey(alg, 'k1');
  const own = { iss: issuer.issuer, aud: issuer.audience[0], cnf: { jkt: holder.jkt }, ...claims };
  // As JSON has it: without members that are undefined.
  const answer = Object.fromEntries(
    Object.entries({ active: true, ...own }).filter(([, value]) => value !== undefined),
  );
  const token = opaque ? 'opaque' : await makeToken(signer, now, { claims: own, ...(header && { header }) });
  const url = 'https://api.example.com/orders/1';
  const proof = await makeProof(holder, now, { method, url, token });
  const bound = own.cnf !== undefined;
  const facts = makeFacts({
    method,
    now,
    authorization: [`${bound ? 'DPoP' : 'Bearer'} ${token}`],
    dpop: bound ? [proof] : [],
  });
  const ports = await makePorts([signer], { introspect: () => (opaque ? answer : { active: true }) });
  return enforce(facts, route, ports);
}

for (const [name, forms] of Object.entries(FORMS)) {
  test(`${name}: the configuration compiles, and takes tokens as they are issued`, async () => {
    const { routes } = await compile(SECTIONS.get(name) ?? assert.fail(`docs/issuers.md has no YAML for ${name}`));
    const holder = await makeKey();
    for (const form of forms) {
      const route = routes.find(({ match }) => match.methods?.includes(form.method ?? 'GET') ?? true);
      assert.ok(route);
      const decision = await decide(route, form, holder);
      assert.ok(decision instanceof Permit, JSON.stringify(decision));
      const client = decision.facts.identity.find(([field]) => field === 'X-Auth-Client')?.[1];
      assert.ok(client === 'shop' || client === 'job');
      const elsewhere = await decide(route, { ...form, claims: { ...form.claims, aud: 'urn:elsewhere' } }, holder);
      assert.ok(!(elsewhere instanceof Permit) && elsewhere.reason === 'token_audience_mismatch');
    }
  });
}

for (const [name, changes] of Object.entries(NEAR)) {
  for (const [change, reason] of changes) {
    test(`${name}: ${JSON.stringify(change, (_key, value: unknown) => value ?? 'none')} is ${reason}`, async () => {
      const { routes } = await compile(SECTIONS.get(name) ?? assert.fail());
      const [form] = FORMS[name] ?? [];
      assert.ok(routes[0] && form);
      const decision = await decide(routes[0], { ...form, claims: { ...form.claims, ...change } }, await makeKey());
      assert.ok(!(decision instanceof Permit));
      assert.equal(decision.reason, reason);
    });
  }
}

test('every piece of YAML on the page is one of these', () => {
  const pieces = [...SECTIONS].filter(([, yaml]) => yaml !== undefined).map(([section]) => section);
  assert.deepEqual(pieces, Object.keys(FORMS));
});
