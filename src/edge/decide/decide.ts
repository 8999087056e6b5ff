// Mode decide: another proxy describes a request, and is told whether it may pass.

import type { DecideRules, ManagedFields, Route } from '../../policy/policy.ts';
import type { RejectionFacts } from '../../rejection/facts.ts';
import { Rejection, reject } from '../../rejection/rejection.ts';
import type { FieldRules } from '../fields/fields.ts';
import type { Connection } from '../listen/connection.ts';
import type { Transaction } from '../transaction/transaction.ts';
import type { DescribedRequest, Dialect } from './dialect.ts';
import { ENVOY_GRPC } from './envoy-grpc.ts';
import { envoyHttp, FORWARDED } from './http-dialects.ts';
import { compileUpstreamFields, type Passing, permittedFields, type UpstreamFields } from './permitted.ts';
import { Question } from './question.ts';

/** One listener in mode decide under one policy. */
export interface Deciding {
  readonly dialect: Dialect;
  readonly fields: UpstreamFields;
  readonly rules: ReadonlyMap<Route, FieldRules>;
}

/** @param rules of all routes; those that the listener reaches decide which fields it sets */
export function compileDeciding(
  { dialect, pathPrefix }: DecideRules,
  rules: ReadonlyMap<Route, FieldRules>,
  managed: ManagedFields,
): Deciding {
  const compiled = { forwarded: FORWARDED, 'envoy-http': envoyHttp(pathPrefix), 'envoy-grpc': ENVOY_GRPC }[dialect];
  return { dialect: compiled, fields: compileUpstreamFields([...rules.keys()], managed), rules };
}

/**
 * Reads a question. Only trusted peers may ask.
 * @param now seconds since the epoch
 * @returns the request that it describes, to be answered through the dialect; with a Rejection (`peer_unknown`,
 * `request_malformed`) the question itself stands for it; undefined: no decision was asked for, and it is answered
 */
export async function readQuestion(
  { dialect }: Deciding,
  asked: Transaction,
  connection: Connection,
  now: number,
): Promise<{ readonly question: Question; readonly rejection: Rejection | undefined } | undefined> {
  if (await dialect.answerItself?.(asked)) return undefined;
  const described =
    now <= connection.trustedUntil ? await dialect.describe(asked) : reject('peer_unknown', strangerFacts(connection));
  if (!(described instanceof Rejection)) {
    return { question: new Question(asked, dialect, described), rejection: undefined };
  }
  return { question: new Question(asked, dialect, standIn(asked)), rejection: described };
}

function strangerFacts({ remoteAddress }: Connection): RejectionFacts {
  return remoteAddress === undefined ? { what: 'peer' } : { what: 'peer', received: remoteAddress };
}

function standIn(asked: Transaction): DescribedRequest {
  const { method, target, scheme, httpVersion } = asked;
  return { method, target, scheme, httpVersion, rawHeaders: [], stated: { scheme: undefined, host: undefined } };
}

/** Lets a permitted request pass. */
export function letPass(
  { fields, rules }: Deciding,
  route: Route,
  passing: Passing & { readonly question: Question },
): void {
  const ofRoute = rules.get(route);
  if (ofRoute === undefined) throw new Error(`route ${route.name} is not at work`);
  passing.question.permit(permittedFields(passing, ofRoute, fields));
}
