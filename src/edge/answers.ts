// Answers of the gateway itself: to refusals, and of routes that have no upstream.

import type { Permit } from '../binding/permit.ts';
import type { Field } from '../http/field.ts';
import type { GrpcCall } from '../http/grpc.ts';
import type { FieldEdits } from '../policy/edits.ts';
import { makeOwnAnswer, type OwnAnswer } from '../policy/own-answer.ts';
import type { Route } from '../policy/policy.ts';
import { quotaFields } from '../rate/quota.ts';
import { type Answer, rejectionAnswer } from '../rejection/answer.ts';
import type { Rejection } from '../rejection/rejection.ts';
import type { RequestFacts } from '../request-facts.ts';
import { presentedScheme } from '../token/presentation.ts';
import { applyEdits, compileEdits } from './fields/edits.ts';
import type { ListenerAtWork, Runtime } from './runtime.ts';

/** To `OPTIONS *`, and to OPTIONS that must not go further (RFC 9110 §7.6.2, §9.3.7). */
export const NOTHING_TO_SAY: Answer = { status: 204, fields: [['Cache-Control', 'no-store']], body: '' };

/** A refused request, as far as it is known. */
interface Refused {
  readonly runtime: Runtime;
  readonly at: ListenerAtWork | undefined;
  readonly facts: Pick<RequestFacts, 'authorization' | 'origin'> | undefined;
  readonly route: Route | undefined;
  readonly requestId: string;
  readonly grpc: GrpcCall | undefined;
}

export function answerRefusal(rejection: Rejection, { runtime, at, facts, route, requestId, grpc }: Refused): Answer {
  const { ports, now, policy } = runtime;
  return rejectionAnswer(rejection, {
    requestId,
    challenge: route?.challenge,
    presented: presentedScheme(facts?.authorization ?? []),
    realm: facts?.origin.authority ?? '',
    nonce: () => ports.nonces.mint(now()),
    explain: at?.intake.listener.explainToClients ?? false,
    problemBase: policy.problemBase,
    grpc,
    reasonField: at?.deciding !== undefined,
  });
}

/** What a route answers by itself. */
interface AnsweringRoute {
  readonly at: ListenerAtWork | undefined;
  readonly own: OwnAnswer;
  readonly facts: Pick<RequestFacts, 'origin' | 'target'>;
  readonly edits: FieldEdits | undefined;
  readonly grpc: GrpcCall | undefined;
}

/** The answer of a route to a permitted request, with what every answer to its sender says: the quota that is left, a fresh nonce. */
export function routeAnswer(
  { facts: permitted }: Permit,
  { at: listener, own, facts, edits, grpc }: AnsweringRoute,
): Answer {
  // A front would take a status below 300 for a permit.
  if (listener?.deciding !== undefined) throw new Error('a route answers by itself where a proxy in front asks');
  const made = makeOwnAnswer(own, facts, grpc);
  const { quota, freshNonce, accessToken } = permitted;
  const rules = compileEdits(edits, false);
  const flat = made.fields.flat();
  const lines = rules === undefined ? flat : applyEdits(flat, rules, freshNonce && 'cache-control');
  const fields: Field[] = lines.flatMap((name, at) => (at % 2 === 0 ? [[name, lines[at + 1] ?? ''] as const] : []));
  if (quota !== undefined) fields.push(...quotaFields(quota));
  if (freshNonce !== undefined) fields.push(['DPoP-Nonce', freshNonce]);
  // What was answered to one sender is not for another one (RFC 9111 §3.5).
  const isStored = !fields.some(([name]) => name.toLowerCase() === 'cache-control');
  if (isStored && (accessToken !== undefined || freshNonce !== undefined)) fields.push(['Cache-Control', 'no-store']);
  return { ...made, fields };
}
