// `holdfast doctor`: issuers, upstreams, origins and Redis as this machine meets them.

import { compileMask } from '../../config/report/mask.ts';
import { names as gatewayNames } from '../../dns/resolver.ts';
import type { Policy } from '../../policy/policy.ts';
import type { Issuer } from '../../token/issuer.ts';
import { EXIT } from '../commands.ts';
import { harmless } from '../layout.ts';
import { type Good, loadPolicy } from '../load.ts';
import { type Printed, printProblems } from '../printed.ts';
import { exchangesOf, lookAtExchange, lookAtIntrospection } from './endpoints.ts';
import { type DoctorFinding, findingsOf, type Terms } from './finding.ts';
import { lookAtIssuer } from './issuers.ts';
import { lookAtOrigins } from './origins.ts';
import { lookAtRedis } from './redis.ts';
import { countFindings, printFindings, tellFindings } from './report.ts';
import { lookAtTarget } from './upstreams.ts';

/** Seconds: for one question, and for all of them. */
const LIMITS = { each: 5, all: 15 };

export interface ExamineOptions {
  readonly limits?: { readonly each: number; readonly all: number };
  /** Seconds since the epoch. */
  readonly now?: () => number;
  /** The default is the one of the gateway. */
  readonly names?: Terms['names'];
  /** Told of each subject that is done: a line without its end. */
  readonly progress?: (line: string) => void;
}

/** Looks at everything that a configuration names. @throws nothing that a server could bring about */
export async function doctor(file: string, json: boolean): Promise<Printed> {
  const loaded = loadPolicy(file);
  if ('problems' in loaded) return printProblems(loaded.problems, json);
  const { exit, findings } = await examineLoaded(loaded);
  const stdout = json ? `${JSON.stringify(tellFindings(findings), undefined, 2)}\n` : printFindings(findings);
  return { exit, stdout, stderr: '' };
}

/** The findings of a good configuration, with progress on standard error and without secrets of the environment. */
export async function examineLoaded({
  policy,
  read,
}: Good): Promise<{ readonly exit: number; readonly findings: readonly DoctorFinding[] }> {
  const mask = compileMask(read.substitutions);
  const progress = (line: string) => process.stderr.write(`${harmless(mask(line))}\n`);
  const findings = mask(await examine(policy, { progress }));
  return { exit: countFindings(findings).fault > 0 ? EXIT.failed : EXIT.ok, findings };
}

/** One subject, and what looks at it. */
interface Task {
  readonly subject: string;
  readonly look: (terms: Terms) => Promise<readonly DoctorFinding[]>;
}

/** All findings about a policy, subjects at the same time, in the order of the configuration. */
export async function examine(
  policy: Policy,
  { limits = LIMITS, now = () => Date.now() / 1000, names = gatewayNames, progress = () => {} }: ExamineOptions = {},
): Promise<readonly DoctorFinding[]> {
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(), limits.all * 1000);
  const terms: Terms = { each: limits.each, signal: ended.signal, now, names };
  const examined = tasksOf(policy).map(async ({ subject, look }) => {
    const started = performance.now();
    const findings = await Promise.race([look(terms), tooLate(subject, terms.signal)]).catch((error: unknown) => [
      brokenLook(subject, error),
    ]);
    progress(`${subject}: looked at, ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return findings;
  });
  return (await Promise.all(examined).finally(() => clearTimeout(timer))).flat();
}

function tasksOf(policy: Policy): readonly Task[] {
  const { redis } = policy.replay;
  const rates = policy.routes.some(({ rateLimit }) => rateLimit?.shared === true);
  return [
    ...policy.listeners.map((listener) => ({
      subject: `listener ${listener.name}`,
      look: (terms: Terms) => lookAtOrigins(listener, terms),
    })),
    ...policy.issuers.map((issuer) => ({
      subject: `issuer ${issuer.name}`,
      look: (terms: Terms) => lookAtAllOf(policy, issuer, terms),
    })),
    ...policy.upstreams.flatMap((upstream) =>
      upstream.targets.map((target) => ({
        subject: `upstream ${upstream.name} ${target.socketPath ?? target.origin}`,
        look: (terms: Terms) => lookAtTarget(upstream, target, terms),
      })),
    ),
    ...(redis === undefined
      ? []
      : [{ subject: 'redis', look: (terms: Terms) => lookAtRedis(redis, { rates }, terms) }]),
  ];
}

async function lookAtAllOf(policy: Policy, issuer: Issuer, terms: Terms): Promise<readonly DoctorFinding[]> {
  const { introspection, tokenExchange } = issuer;
  const documents = lookAtIssuer(issuer, terms);
  const asked =
    introspection &&
    (introspection.signed ? documents : Promise.resolve({ keys: undefined })).then(({ keys }) =>
      lookAtIntrospection(issuer, introspection, keys, terms),
    );
  const exchanges = tokenExchange === undefined ? [] : exchangesOf(policy, issuer);
  const exchanged = exchanges.map((one) => tokenExchange && lookAtExchange(issuer, tokenExchange, one, terms));
  const [{ findings }, ...endpoints] = await Promise.all([documents, asked, ...exchanged]);
  return [...findings, ...endpoints.filter((one) => one !== undefined)];
}

/** What is in flight ends with its own limit; its answer counts no longer. */
function tooLate(subject: string, signal: AbortSignal): Promise<readonly DoctorFinding[]> {
  const next = 'Look for what is slow: it was asked at the same time as everything else.';
  const finding = findingsOf(subject).fault('time', 'not done when the time for everything was over', next);
  return new Promise((resolve) => {
    const late = () => resolve([finding]);
    // In the next turn: what ends by the same signal may have more to say.
    signal.addEventListener('abort', () => setTimeout(late, 100), { once: true });
  });
}

function brokenLook(subject: string, error: unknown): DoctorFinding {
  const kind = error instanceof Error ? error.name : 'unknown error';
  return findingsOf(subject).fault('examination', `failed unexpectedly (${kind})`, 'Please report this.');
}
