// The form in which tests expect a refusal, and the duties of every refusal.

import assert from 'node:assert/strict';
import type { Stage } from '../../src/rejection/reason-row.ts';
import type { Reason } from '../../src/rejection/rejection.ts';
import { type Answered, type GatewayWishes, HOST, readSeries, type TestGateway } from '../support/gateway.ts';

/** Parameters of a challenge; `error_description` is left out, every challenge with an error has it. */
export interface Challenge {
  readonly scheme: 'Bearer' | 'DPoP';
  readonly realm?: string;
  readonly algs?: string;
  readonly error?: string;
  readonly scope?: string;
  readonly acr_values?: string;
  readonly max_age?: string;
}

export const BEARER: Challenge = { scheme: 'Bearer', realm: HOST };
export const DPOP: Challenge = { scheme: 'DPoP', algs: 'ES256 ES384 EdDSA PS256 RS256' };

/** One way in which a reason occurs; status and challenges are written as in rejections.md, not taken from the code. */
export interface Refusal {
  readonly reason: Reason;
  /** What the request or the world is like. */
  readonly when: string;
  readonly stage: Stage;
  readonly status: number;
  readonly challenges: readonly Challenge[];
  readonly send: (gateway: TestGateway) => Promise<Answered>;
  /** Fields beside those that every refusal has. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Requests that reach the upstream before there is anything to refuse; the default is none. */
  readonly reached?: number | 'perhaps';
  /** In log and metrics; absent: by stage and status. */
  readonly outcome?: string;
  /** A gateway of its own; absent: the one that all share. */
  readonly wishes?: GatewayWishes;
}

/** Sends it, and holds the answer, the upstream and the log against what is expected. */
export async function meet(gateway: TestGateway, refusal: Refusal): Promise<void> {
  const { reason, stage, reached: allowed = 0 } = refusal;
  const before = gateway.upstream.seen.length;
  const answer = await refusal.send(gateway);
  assert.equal(answer.reason ?? answer.body, reason);
  checkAnswer(answer, refusal);
  if (allowed !== 'perhaps') assert.equal(gateway.upstream.seen.length, before + allowed, 'the upstream was reached');
  const line = await gateway.logged({ msg: 'request', request_id: JSON.parse(answer.body).request_id });
  const failed = stage === 'upstream' && refusal.status >= 500;
  const challenged = reason === 'nonce_required' || reason === 'nonce_stale';
  const outcome = refusal.outcome ?? (failed ? 'upstream_failed' : challenged ? 'challenged' : 'rejected');
  assert.deepEqual([line['reason'], line['stage'], line['status']], [reason, stage, refusal.status]);
  assert.equal(line['outcome'], outcome);
}

/** The metrics have counted these refusals, each once under its reason and stage. Asked once: between two pages a gateway rests. */
export async function assertCounted(gateway: TestGateway, refusals: readonly Refusal[]): Promise<void> {
  const { body } = await gateway.page('/metrics');
  const series = readSeries(body).filter(({ name }) => name === 'holdfast_rejections_total');
  const counted = new Map<string, number>();
  for (const { labels, value } of series) {
    if (labels['mode'] !== 'enforced') continue;
    const key = `${labels['reason']} at ${labels['stage']}`;
    counted.set(key, (counted.get(key) ?? 0) + value);
  }
  const met = Map.groupBy(refusals, ({ reason, stage }) => `${reason} at ${stage}`);
  assert.deepEqual(
    [...met].map(([key]) => [key, counted.get(key)]),
    [...met].map(([key, same]) => [key, same.length]),
  );
}

/** The answer is the one that the refusal describes, in everything. */
export function checkAnswer(answer: Answered, { reason, status, challenges, fields = {} }: Refusal): void {
  assert.equal(answer.status, status);
  const body: Record<string, unknown> = JSON.parse(answer.body);
  const members = Object.keys(body).filter((name) => name !== 'what' && name !== 'differs');
  assert.deepEqual(members, ['type', 'title', 'status', 'detail', 'reason', 'request_id']);
  assert.deepEqual([body['status'], body['reason']], [status, reason]);
  assert.match(String(body['request_id']), /^[0-9a-f-]{36}$/);
  assert.equal(answer.fields.one('content-type'), 'application/problem+json');
  assert.equal(answer.fields.one('cache-control'), 'no-store');
  assert.ok(!Number.isNaN(Date.parse(answer.fields.one('date') ?? '')), 'no Date');
  assert.deepEqual(challengesOf(answer, String(body['title'])), challenges);
  const asksForNonce = challenges.some(({ error }) => error === 'use_dpop_nonce');
  assert.equal(answer.fields.all('dpop-nonce').length, asksForNonce ? 1 : 0);
  for (const [name, value] of Object.entries(fields)) assert.equal(answer.fields.one(name), value, name);
}

const CHALLENGE = /^(Bearer|DPoP) ([a-z_]+="[^"\\]*"(?:, [a-z_]+="[^"\\]*")*)$/;

/** One challenge per line, each with an `error_description` exactly where it has an `error`. */
function challengesOf({ fields }: Answered, title: string): object[] {
  return fields.all('www-authenticate').map((line) => {
    const [, scheme, parameters = ''] = CHALLENGE.exec(line) ?? assert.fail(line);
    const pairs = [...parameters.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name = '', value]) => [name, value]);
    assert.equal(new Set(pairs.map(([name]) => name)).size, pairs.length, `a parameter twice: ${line}`);
    const { error_description: description, ...others } = Object.fromEntries(pairs);
    assert.equal(description, others.error === undefined ? undefined : title, line);
    return { scheme, ...others };
  });
}
