// One exchange, from the facts of a request to its answer, log line and metrics.

import type { Permit } from '../binding/permit.ts';
import { type Decision, enforce, type Notes, shadow } from '../enforce.ts';
import { isNonceChallenge } from '../observe/labels.ts';
import { chooseRoute, groupOf, preflightReach } from '../policy/route-table.ts';
import { grpcCodeFor, type OwnAnswer } from '../policy/own-answer.ts';
import type { Demand, Route } from '../policy/policy.ts';
import { grpcCodeOf, Rejection, reject } from '../rejection/rejection.ts';
import type { Answer } from '../rejection/answer.ts';
import { type GrpcCall, readGrpcCall } from '../http/grpc.ts';
import { answer } from './transaction/answer.ts';
import { type Deciding, letPass, readQuestion } from './decide/decide.ts';
import { Question } from './decide/question.ts';
import { corsFields, isKeptFromPage, preflightAnswer, preflightResult } from './intake/cors.ts';
import { correlate, type Correlation, idFields, recordedTrace } from './intake/correlation.ts';
import { type EdgeFacts, readFacts } from './intake/facts.ts';
import { forward } from './forward/forward.ts';
import type { ExchangeOwner } from './forward/forward-exchange.ts';
import { metadataAnswer } from './intake/metadata.ts';
import type { Outcome } from './outcome.ts';
import { type Ended, type Ending, labelOf, lineOf, recordOf } from './report.ts';
import { permitLasts } from './forward/tunnel.ts';
import { answerRefusal, NOTHING_TO_SAY, routeAnswer } from './answers.ts';
import { type Arrival, correlationRules, grpcCallOf, type ListenerAtWork, type Runtime } from './runtime.ts';
import { Steps } from './steps.ts';
import { owesSignature } from './turns.ts';

/** Takes one request to its end. Never throws: what nobody expected is refused, logged and counted as `internal_error`. */
export function serve(runtime: Runtime, listener: string, arrival: Arrival): void {
  const deciding = runtime.listeners.get(listener)?.deciding;
  if (deciding !== undefined) return decide(runtime, listener, arrival, deciding);
  const exchange = new Exchange(runtime, listener, arrival);
  exchange.walk().catch((error: unknown) => exchange.fail(error));
}

/** The same for a request that another proxy describes. */
function decide(runtime: Runtime, listener: string, arrival: Arrival, deciding: Deciding): void {
  const { transaction, connection } = arrival;
  readQuestion(deciding, transaction, connection, runtime.now()).then(
    (read) => {
      if (read === undefined) return;
      const { question, rejection } = read;
      const exchange = new Exchange(runtime, listener, { transaction: question, connection });
      exchange.walk(rejection).catch((error: unknown) => exchange.fail(error));
    },
    (error: unknown) => new Exchange(runtime, listener, arrival).fail(error),
  );
}

class Exchange implements ExchangeOwner {
  readonly #runtime: Runtime;
  readonly #listener: string;
  readonly #at: ListenerAtWork | undefined;
  readonly #arrival: Arrival;
  readonly #correlation: Correlation;
  readonly #started: number;
  #facts: EdgeFacts | undefined;
  #route: Route | undefined;
  #cors: Route['cors'];
  #permit: Permit | undefined;
  #notes: Notes = {};
  #shadowed: Rejection | undefined;
  #settled = false;
  #sending: Ended['sending'];
  /** undefined: nothing of it is recorded. */
  #steps: Steps | undefined;
  /** When it was forwarded, on the monotonic clock. */
  #forwarded: number | undefined;
  /** When its tunnel opened, on the monotonic clock. */
  #opened: number | undefined;

  constructor(runtime: Runtime, listener: string, arrival: Arrival) {
    this.#runtime = runtime;
    this.#listener = listener;
    this.#at = runtime.listeners.get(listener);
    this.#arrival = arrival;
    this.#correlation = correlate(
      arrival.transaction,
      arrival.connection,
      correlationRules(runtime, this.#at),
      runtime.now,
    );
    this.#started = performance.now();
  }

  /** The walk: facts → route → decision → token for the upstream → upstream; any Rejection ends it. @param rejection of what was before the facts */
  async walk(rejection?: Rejection): Promise<void> {
    const { policy, now, stopping, metrics } = this.#runtime;
    if (stopping()) return this.#refuse(reject('draining'));
    if (rejection !== undefined) return this.#refuse(rejection);

    const facts = this.#readFacts(now());
    if (facts instanceof Rejection) return this.#refuse(facts);
    this.#facts = facts;
    if (facts.endsHere) return this.#answer(NOTHING_TO_SAY);

    const metadata = metadataAnswer(policy, facts);
    if (metadata instanceof Rejection) return this.#refuse(metadata);
    if (metadata !== undefined) return this.#answer(metadata);

    const group = groupOf(policy.routeTable, facts);
    const reach = group && facts.preflight && preflightReach(policy.routeTable, facts, group);
    const preflight = reach && preflightAnswer(reach, facts);
    if (preflight !== undefined) {
      const [asked] = reach?.taking(facts.preflight?.method ?? '') ?? [];
      metrics.countPreflight(asked, preflightResult(preflight));
      if (!(preflight instanceof Rejection)) return this.#answer(preflight);
      this.#route = asked;
      return this.#refuse(preflight);
    }

    const route = chooseRoute(policy.routeTable, facts, group);
    this.#cors = (route instanceof Rejection ? group?.routes.find(({ cors }) => cors) : route)?.cors;
    if (route instanceof Rejection) return this.#refuse(route);
    this.#route = route;

    const turn = this.#takeTurn(facts, route);
    if (turn !== undefined && !(await turn)) return this.settled({ kind: 'client_gone', bytes: 0 }, undefined);
    const deciding = this.#decide(facts, route);
    const decision = deciding instanceof Promise ? await deciding : deciding;
    if (decision instanceof Rejection) return this.#refuse(decision);
    this.#permit = decision;
    if (decision.facts.nonceUsed) metrics.countNonceUse(route, facts.authorization[0]);

    if (route.shadow !== undefined) await this.#evaluateShadow(facts, route.shadow);
    if (route.own !== undefined) return this.#answerByRoute(decision, facts, route, route.own);
    const { exchange } = route.forward;
    if (exchange === undefined) return this.#forward(decision, facts, route);
    const token = await this.#runtime.exchangeToken(decision.facts, exchange, facts.now);
    this.#steps?.took('exchange');
    if (token instanceof Rejection) return this.#refuse(token);
    this.#forward(decision, facts, route, token);
  }

  /** Settles when it may be decided; false: its client did not wait, so that nothing of it is verified, counted or remembered. */
  #takeTurn(facts: EdgeFacts, route: Route): Promise<boolean> | undefined {
    const { turns, ports } = this.#runtime;
    if (!owesSignature(facts, route, ports.tokens)) return undefined;
    return turns.take(facts.clientAddress)?.then(() => !this.#arrival.transaction.gone);
  }

  #decide(facts: EdgeFacts, route: Route): Decision | Promise<Decision> {
    const { ports, metrics } = this.#runtime;
    const watch = metrics.watch(this.#started);
    this.#notes = { watch };
    if (this.#correlation.trace?.sampled !== true) return enforce(facts, route, ports, this.#notes);
    const steps = new Steps(this.#started, watch);
    steps.took('route');
    this.#steps = steps;
    this.#notes = { watch: steps };
    return enforce(facts, route, steps.timed(ports), this.#notes);
  }

  /** Changes nothing for a request that was permitted, not even by failing. */
  async #evaluateShadow(facts: EdgeFacts, demand: Demand): Promise<void> {
    try {
      this.#shadowed = await shadow(facts, demand, this.#runtime.ports);
      this.#steps?.took('shadow');
    } catch (error) {
      this.#runtime.log.failure('a shadow demand could not be evaluated', error, this.#correlation.requestId);
    }
  }

  #readFacts(now: number): EdgeFacts | Rejection {
    if (this.#at === undefined) throw new Error(`no listener ${this.#listener}`);
    return readFacts(this.#arrival.transaction, this.#arrival.connection, this.#at.intake, now);
  }

  #forward(permit: Permit, facts: EdgeFacts, route: Route, upstreamToken?: string): void {
    const { transaction } = this.#arrival;
    const correlation = this.#correlation;
    const cors = route.cors ? corsFields(route.cors, facts.browserOrigin, readGrpcCall(transaction)).flat() : [];
    if (transaction instanceof Question) {
      return this.#letPass(route, { question: transaction, permit, facts, upstreamToken, cors, correlation });
    }
    const choose = this.#at?.routes.get(route);
    if (choose === undefined) throw new Error(`route ${route.name} is not at work`);
    const atWork = choose();
    if (atWork === undefined) return this.#refuse(reject('upstream_absent'));
    const own = { fields: [...cors, ...(correlation.requestField ?? [])], unlessThere: correlation.interaction };
    if (this.#steps !== undefined) this.#forwarded = performance.now();
    forward(permit, { transaction, facts, upstreamToken, route: atWork, correlation, own, owner: this });
  }

  /** The proxy in front forwards. */
  #letPass(route: Route, passing: Parameters<typeof letPass>[2]): void {
    const deciding = this.#at?.deciding;
    if (deciding === undefined) throw new Error(`listener ${this.#listener} does not decide`);
    letPass(deciding, route, passing);
    this.#report({ outcome: 'permitted', status: 200, sent: 0 });
  }

  settled(outcome: Outcome, sending: Ended['sending']): void {
    this.#sending = sending;
    const cut = this.#runtime.cutting();
    if (outcome.kind === 'rejected') return this.#refuse(cut ? reject('draining') : outcome.rejection);
    const status = outcome.kind === 'client_gone' ? undefined : outcome.status;
    const tunnel = outcome.kind === 'tunnelled' ? outcome.tunnel : undefined;
    const rejection = outcome.kind === 'cut_off' ? outcome.rejection : undefined;
    if (tunnel !== undefined) this.#runtime.metrics.countTunnel(this.#route, -1);
    if (rejection !== undefined)
      this.#runtime.metrics.countRejection(this.#route, rejection, 'enforced', recordedTrace(this.#correlation));
    const label = labelOf(outcome);
    // Whose end was heard first says nothing: both connections were closed here.
    const stopped = cut && (label === 'client_gone' || label === 'upstream_failed');
    this.#report({ outcome: stopped ? 'stopped' : label, status, sent: outcome.bytes, tunnel, rejection });
  }

  tunnelOpened(): number {
    this.#opened = performance.now();
    this.#runtime.metrics.countTunnel(this.#route, 1);
    return this.#permit === undefined ? 0 : permitLasts(this.#permit.facts, this.#runtime.now());
  }

  #refuse(rejection: Rejection): void {
    if (this.#settled) return;
    const { metrics } = this.#runtime;
    const grpc = grpcCallOf(this.#at, this.#arrival.transaction);
    const known = { runtime: this.#runtime, at: this.#at, facts: this.#facts, route: this.#route };
    const answerOf = answerRefusal(rejection, { ...known, requestId: this.#correlation.requestId, grpc });
    metrics.countRejection(this.#route, rejection, 'enforced', recordedTrace(this.#correlation));
    if (answerOf.fields.some(([name]) => name === 'DPoP-Nonce'))
      metrics.countNonceChallenge(this.#route, this.#facts?.authorization[0]);
    this.#write({ ...answerOf, fields: [...answerOf.fields, ...this.#corsFields(grpc)] });
    const failed =
      rejection.stage === 'upstream' && rejection.status >= 500 && rejection.reason !== 'upstream_queue_full';
    const outcome = failed ? 'upstream_failed' : isNonceChallenge(rejection.reason) ? 'challenged' : 'rejected';
    const { status, body } = answerOf;
    this.#report({ outcome, status, sent: body.length, rejection, grpcStatus: grpc && grpcCodeOf(rejection) });
  }

  /** Every answer of a route with `cors` has its fields, so that the page can read why it was refused. */
  #corsFields(grpc: GrpcCall | undefined): Answer['fields'] {
    if (this.#cors === undefined) return [];
    return [...corsFields(this.#cors, this.#facts?.browserOrigin, grpc), ['Vary', 'Origin']];
  }

  /** The route itself is the end of the way: behind the same decision as an upstream. */
  #answerByRoute(permit: Permit, facts: EdgeFacts, route: Route, own: OwnAnswer): void {
    const grpc = grpcCallOf(this.#at, this.#arrival.transaction);
    const made = routeAnswer(permit, { at: this.#at, own, facts, edits: route.responseFields, grpc });
    const grpcStatus = made.status === own.status ? undefined : grpcCodeFor(own.status);
    this.#answer({ ...made, fields: [...made.fields, ...this.#corsFields(grpc)] }, grpcStatus);
  }

  #answer(own: Answer, grpcStatus?: number): void {
    this.#write(own);
    this.#report({ outcome: 'answered', status: own.status, sent: own.body.length, grpcStatus });
  }

  #write(own: Answer): void {
    const { transaction } = this.#arrival;
    answer(transaction, { ...own, fields: [...own.fields, ...idFields(this.#correlation)] });
  }

  #report(ending: Ending): void {
    if (this.#settled) return;
    this.#settled = true;
    const { metrics, log, recent, policy, traces } = this.#runtime;
    const permitted = this.#permit?.facts;
    const to = performance.now();
    if (this.#shadowed !== undefined)
      metrics.countRejection(this.#route, this.#shadowed, 'shadow', recordedTrace(this.#correlation));
    if (permitted?.unknownConfirmations) metrics.countUnknownConfirmations(permitted.unknownConfirmations);
    const ended: Ended = {
      arrival: this.#arrival,
      listener: this.#listener,
      correlation: this.#correlation,
      facts: this.#facts,
      route: this.#route,
      permit: this.#permit,
      shadowed: this.#shadowed,
      sending: this.#sending,
      ending,
      log: policy.log,
      from: this.#started,
      to,
    };
    const line = lineOf(ended);
    // A 101 is the whole answer; what follows it in the tunnel is none of HTTP (RFC 9110 §15.2.2).
    metrics.countRequest(line, ((this.#opened ?? to) - this.#started) / 1000, recordedTrace(this.#correlation));
    metrics.countIssuerRequest(this.#notes.issuer, ending.outcome);
    if (isKeptFromPage(this.#route?.cors, this.#facts)) metrics.countCorsRefusal(this.#route);
    log.request(line);
    recent.count(line, this.#runtime.now());
    const { trace } = this.#correlation;
    if (trace?.sampled !== true) return;
    const steps = this.#steps?.taken(ending.rejection) ?? [];
    traces?.record({ trace, ...recordOf(ended, line, steps, this.#forwarded) });
  }

  /** Fails closed: nothing more is forwarded, and an answer that has begun, or cannot be made, is broken off. */
  fail(error: unknown): void {
    const { transaction } = this.#arrival;
    this.#runtime.log.failure('a request could not be decided', error, this.#correlation.requestId);
    try {
      if (transaction.begun) transaction.breakOff();
      this.#refuse(reject('internal_error'));
    } catch (again) {
      transaction.breakOff();
      this.#runtime.log.failure('a request could not be answered', again, this.#correlation.requestId);
    }
  }
}
