// The series that a policy can have, at zero: the first event of each is an increase.

import type { BindingName } from '../binding/permit.ts';
import type { Requirement } from '../binding/binding.ts';
import { formatTarget } from '../policy/addresses.ts';
import type { Demand, Listener, Policy, Route } from '../policy/policy.ts';
import { type Upstream, upstreamsOf } from '../policy/upstream.ts';
import type { Stage } from '../rejection/reason-row.ts';
import { REASON_NAMES, REASONS, type Reason } from '../rejection/rejection.ts';
import type { Issuer } from '../token/issuer.ts';
import { HANDSHAKE_REASONS, TLS_VERSIONS } from './connection-metrics.ts';
import {
  addCounter,
  addHistogram,
  type Definition,
  DURATION_BUCKETS,
  type Snapshot,
  createRegistry,
} from './instruments.ts';
import {
  CONNECTION_REFUSALS,
  type Mode,
  type OutcomeLabel,
  PREFLIGHT_RESULTS,
  type SchemeLabel,
  STATUS_CLASSES,
  type StatusLabel,
  statusLabel,
} from './labels.ts';
import { METRICS } from './metric-table.ts';

/** Routes whose requests and refusals begin at zero, 40 to 140 series each; those of further routes begin with their first event. */
const ROUTES = 100;

/** What the series of a policy are made of. */
export type ZeroSources = Pick<Policy, 'listeners' | 'issuers' | 'upstreams' | 'routes'> & {
  readonly replay: Pick<Policy['replay'], 'redis'>;
};

type Labels = Readonly<Record<string, string>>;

/** @returns to be added up with what the workers counted */
export async function zerosOf(policy: ZeroSources): Promise<Snapshot> {
  const registry = createRegistry();
  const count = (definition: Definition, all: readonly Labels[]) => {
    const counter = addCounter(registry, definition);
    for (const labels of all) counter.inc({ ...labels }, 0);
  };
  const { listeners, issuers, upstreams } = policy;
  const routes = policy.routes.slice(0, ROUTES);
  count(METRICS.requests, [...NO_ROUTE.requests, ...routes.flatMap(requestsOf)]);
  count(METRICS.rejections, [...NO_ROUTE.rejections, ...routes.flatMap(rejectionsOf)]);
  const proving = routes.filter(({ demand }) => demand.requirement !== 'public' && demand.requirement !== 'mtls');
  count(METRICS.nonceChallenges, proving.map(byRoute));
  count(METRICS.nonceRecoveries, proving.map(byRoute));
  const open = routes.filter(({ cors }) => cors !== undefined);
  count(METRICS.preflights, labelled(open.map(byRoute), 'result', PREFLIGHT_RESULTS));
  count(METRICS.corsRefused, open.map(byRoute));
  const durations = addHistogram(registry, METRICS.requestDuration, DURATION_BUCKETS);
  for (const route of routes) durations.zero(route.name);
  countConnections(count, listeners);
  countIssuers(count, issuers);
  countUpstreams(count, upstreams);
  const mirrors = new Set(policy.routes.flatMap((route) => (route.mirrors ?? []).map(({ upstream }) => upstream.name)));
  const mirroring = [...mirrors].map((upstream) => ({ upstream }));
  count(METRICS.mirrored, labelled(mirroring, 'result', ['sent', 'busy', 'too_large']));
  return await registry.getMetricsAsJSON();
}

type Count = (definition: Definition, all: readonly Labels[]) => void;

const byRoute = ({ name }: Route): Labels => ({ route: name });

/** Each set of labels with every value of one more. */
const labelled = (sets: readonly Labels[], name: string, values: readonly string[]): readonly Labels[] =>
  sets.flatMap((labels) => values.map((value) => ({ ...labels, [name]: value })));

function countConnections(count: Count, listeners: readonly Listener[]): void {
  const all = listeners.map(({ name }) => ({ listener: name }));
  const secured = listeners.filter(({ tls }) => tls !== undefined).map(({ name }) => ({ listener: name }));
  count(METRICS.handshakes, labelled(labelled(secured, 'version', TLS_VERSIONS), 'resumed', ['no', 'yes']));
  count(METRICS.handshakeFailures, labelled(secured, 'reason', HANDSHAKE_REASONS));
  count(METRICS.refusedConnections, labelled(all, 'reason', CONNECTION_REFUSALS));
}

function countIssuers(count: Count, issuers: readonly Issuer[]): void {
  const named = (which: readonly Issuer[]) => which.map(({ name }) => ({ issuer: name }));
  count(METRICS.issuerKeyRefreshes, labelled(named(issuers), 'result', ['loaded', 'failed']));
  const ends = ['forwarded', 'rejected', 'challenged', 'upstream_failed', 'client_gone'];
  count(METRICS.issuerRequests, labelled(named(issuers), 'outcome', ends));
  const asked = named(issuers.filter(({ introspection }) => introspection !== undefined));
  count(METRICS.introspections, labelled(asked, 'result', ['active', 'inactive', 'failed', 'refused']));
  count(METRICS.introspectionCacheHits, asked);
  const exchanging = named(issuers.filter(({ tokenExchange }) => tokenExchange !== undefined));
  count(METRICS.tokenExchanges, labelled(exchanging, 'result', ['issued', 'refused', 'failed', 'queue_full']));
  count(METRICS.tokenExchangeCacheHits, exchanging);
}

function countUpstreams(count: Count, upstreams: readonly Upstream[]): void {
  const targets = upstreams.flatMap(({ name: upstream, targets: all }) =>
    all.map((target) => ({ upstream, target: formatTarget(target) })),
  );
  const answers = STATUS_CLASSES.filter((status) => status !== 'none' && status !== '1xx');
  count(METRICS.upstreamAnswers, labelled(targets, 'status', answers));
  count(METRICS.upstreamFailures, labelled(targets, 'reason', ['unreachable', 'timed_out', 'invalid', 'broken']));
  const named = upstreams.map(({ name: upstream }) => ({ upstream }));
  count(METRICS.upstreamRetries, labelled(named, 'reason', ['unconnected', 'refused', 'closed', 'answered']));
}

interface RequestLabels extends Labels {
  readonly scheme: SchemeLabel;
  readonly binding: BindingName;
  readonly outcome: OutcomeLabel;
  readonly status: StatusLabel;
}

/** As whom a request can be permitted. */
const SENDERS: Readonly<Record<Requirement, readonly Pick<RequestLabels, 'scheme' | 'binding'>[]>> = {
  public: [{ scheme: 'none', binding: 'none' }],
  token: [
    { scheme: 'Bearer', binding: 'none' },
    { scheme: 'Bearer', binding: 'mtls' },
    { scheme: 'DPoP', binding: 'dpop' },
  ],
  'sender-constrained': [
    { scheme: 'Bearer', binding: 'mtls' },
    { scheme: 'DPoP', binding: 'dpop' },
  ],
  dpop: [{ scheme: 'DPoP', binding: 'dpop' }],
  mtls: [{ scheme: 'Bearer', binding: 'mtls' }],
};
const PASSED: readonly Pick<RequestLabels, 'outcome' | 'status'>[] = [
  { outcome: 'forwarded', status: '2xx' },
  { outcome: 'forwarded', status: '3xx' },
  { outcome: 'forwarded', status: '4xx' },
  { outcome: 'forwarded', status: '5xx' },
  { outcome: 'upstream_failed', status: '5xx' },
  { outcome: 'client_gone', status: 'none' },
];
/** Refused before or in the decision: nobody is bound yet. */
const REFUSED: readonly RequestLabels[] = (['none', 'Bearer', 'DPoP'] as const).flatMap((scheme) =>
  (['4xx', '5xx'] as const).map((status) => ({ scheme, binding: 'none', outcome: 'rejected', status })),
);
const CHALLENGED: RequestLabels = { scheme: 'DPoP', binding: 'none', outcome: 'challenged', status: '4xx' };

function requestsOf({ name: route, own, demand: { requirement } }: Route): readonly Labels[] {
  const ends = own === undefined ? PASSED : [{ outcome: 'answered', status: statusLabel(own.status) } as const];
  const passed = SENDERS[requirement].flatMap((sender) => ends.map((end) => ({ ...sender, ...end })));
  const refused = requirement === 'public' ? REFUSED.filter(({ scheme }) => scheme === 'none') : REFUSED;
  const challenged = requirement === 'public' || requirement === 'mtls' ? [] : [CHALLENGED];
  return [...passed, ...refused, ...challenged].map((labels) => ({ route, ...labels }));
}

/** Stages of a route that anybody may call, and those that are added where a token is demanded. */
const PUBLIC_STAGES: readonly Stage[] = ['policy', 'upstream'];
const TOKEN_STAGES: readonly Stage[] = ['presentation', 'token', 'binding', 'policy'];

/** Of other stages than `signature`. */
const OF_SIGNATURES: ReadonlySet<Reason> = new Set(['signature_replayed', 'content_digest_mismatch']);

/** Of this stage and other routes. */
function foreignTo(route: Route): ReadonlySet<Reason> {
  const unsigned = route.demand.signature === undefined ? OF_SIGNATURES : [];
  const undivided: readonly Reason[] = route.split === undefined ? ['upstream_absent'] : [];
  const targets: readonly Reason[] = upstreamsOf(route).every((one) => one.targets.length > 0)
    ? ['upstream_without_targets']
    : [];
  return new Set([...unsigned, ...undivided, ...targets]);
}

function rejectionsOf(of: Route): readonly Labels[] {
  const { name: route, demand, shadow, forward, cors } = of;
  const ofDemand = ({ requirement, signature }: Demand): readonly Stage[] => {
    if (requirement === 'public') return PUBLIC_STAGES;
    const certificate: readonly Stage[] = requirement === 'dpop' ? [] : ['certificate'];
    const proof: readonly Stage[] = requirement === 'mtls' ? [] : ['proof', 'replay'];
    const signed: readonly Stage[] = signature === undefined ? [] : ['signature', 'replay'];
    return [...TOKEN_STAGES, ...certificate, ...proof, ...signed];
  };
  const exchange: readonly Stage[] = forward.exchange === undefined ? [] : ['exchange'];
  const enforced = new Set<Stage>([...ofDemand(demand), 'upstream', ...exchange]);
  if (of.own !== undefined) enforced.delete('upstream');
  const shadowed = new Set<Stage>(shadow === undefined ? [] : ofDemand(shadow));
  for (const stage of ['replay', 'upstream'] as const) shadowed.delete(stage);
  const always: readonly Reason[] = [
    'internal_error',
    ...(cors === undefined ? [] : (['preflight_refused'] as const)),
    ...(demand.requirement === 'public' ? [] : (['certificate_field_malformed'] as const)),
  ];
  const foreign = foreignTo(of);
  const reasons = (stages: ReadonlySet<Stage>) =>
    REASON_NAMES.filter((reason) => stages.has(REASONS[reason].stage) && !foreign.has(reason));
  return [
    ...[...always, ...reasons(enforced)].map((reason) => rejection(route, reason, 'enforced')),
    ...reasons(shadowed).map((reason) => rejection(route, reason, 'shadow')),
  ];
}

const rejection = (route: string, reason: Reason, mode: Mode): Labels => ({
  route,
  reason,
  stage: REASONS[reason].stage,
  mode,
});

/** What happens before a route is found. */
const NO_ROUTE = {
  requests: [
    ...REFUSED.map((labels) => ({ route: 'none', ...labels })),
    { route: 'none', scheme: 'none', binding: 'none', outcome: 'answered', status: '2xx' },
  ],
  rejections: REASON_NAMES.filter((reason) => ['edge', 'route'].includes(REASONS[reason].stage)).map((reason) =>
    rejection('none', reason, 'enforced'),
  ),
} satisfies Readonly<Record<string, readonly Labels[]>>;
