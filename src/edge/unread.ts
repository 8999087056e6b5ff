// Answers to what never became a request.

import type { Answer } from '../rejection/answer.ts';
import { rejectionAnswer } from '../rejection/answer.ts';
import { grpcCodeOf, type Rejection } from '../rejection/rejection.ts';
import type { RequestLine } from '../observe/log.ts';
import { correlate, idFields } from './intake/correlation.ts';
import type { Refused } from './listen/serve.ts';
import { correlationRules, grpcCallOf, type Runtime } from './runtime.ts';

/**
 * The answer to what never became a request: bytes that the parser refused, CONNECT, a header section that did not end.
 * Counted and logged like a refused request; its method and target are known where a stream of HTTP/2 is refused by its size or method.
 */
export function refuseUnread(runtime: Runtime, listener: string, rejection: Rejection, refused: Refused): Answer {
  const { metrics, log, recent, policy } = runtime;
  const { connection, transaction } = refused;
  const at = runtime.listeners.get(listener);
  const grpc = transaction && grpcCallOf(at, transaction);
  const rules = { ...correlationRules(runtime, at), tracing: undefined };
  const correlation = correlate(transaction, connection, rules, runtime.now);
  const { requestId, interaction } = correlation;
  const own = rejectionAnswer(rejection, {
    requestId,
    challenge: undefined,
    presented: 'none',
    realm: '',
    nonce: () => '',
    explain: at?.intake.listener.explainToClients ?? false,
    problemBase: policy.problemBase,
    grpc,
  });
  metrics.countRejection(undefined, rejection, 'enforced');
  const line: RequestLine = {
    requestId,
    interactionId: interaction?.[1],
    traceId: undefined,
    listener: { name: listener },
    route: undefined,
    method: transaction?.method ?? '',
    host: undefined,
    target: transaction?.target ?? '',
    status: own.status,
    grpcStatus: grpc && grpcCodeOf(rejection),
    scheme: 'none',
    binding: 'none',
    outcome: 'rejected',
    rejection,
    shadow: undefined,
    seconds: 0,
    client: connection.remoteAddress,
    tokenClient: undefined,
    sent: 0,
    tunnel: undefined,
    attempts: undefined,
  };
  metrics.countRequest(line, 0);
  log.request(line);
  recent.count(line, runtime.now());
  return { ...own, fields: [...own.fields, ...idFields(correlation)] };
}
