// The doctor's look at Redis: connection, credentials, role, settings, rights, speed.

import { randomBytes } from 'node:crypto';
import { redisTrials, type RedisTrial } from '../../memory/redis/trial.ts';
import { readTrouble } from '../../memory/redis/trouble.ts';
import type { RedisPolicy } from '../../policy/redis.ts';
import { connectionTrouble, type DoctorFinding, findingsOf, type Terms } from './finding.ts';

/** What is asked of Redis beyond remembering proofs. */
interface Wants {
  /** Rate limits that replicas share. */
  readonly rates: boolean;
}

type Info = Readonly<Record<string, string>>;
type Of = ReturnType<typeof findingsOf>;

/**
 * Looks at every server that the policy names, and writes keys under its prefix that live for a second.
 * NOT checked: servers of a cluster that the policy does not name.
 */
export async function lookAtRedis(policy: RedisPolicy, wants: Wants, terms: Terms): Promise<readonly DoctorFinding[]> {
  const trials = redisTrials(policy, terms.each, terms.names.lookup);
  const findings = trials.map(async (trial) => {
    const end = () => trial.close();
    terms.signal.addEventListener('abort', end, { once: true });
    const found = await lookAtServer(trial, policy, wants).finally(end);
    terms.signal.removeEventListener('abort', end);
    return found;
  });
  return (await Promise.all(findings)).flat();
}

async function lookAtServer(trial: RedisTrial, policy: RedisPolicy, wants: Wants): Promise<readonly DoctorFinding[]> {
  const of = findingsOf(`redis ${trial.place}`);
  try {
    await trial.connect();
    // A server that asks for a password takes any connection, and refuses the first command.
    await trial.call('GET', `${policy.prefix}doctor`).catch(throwUnlessAllowed);
  } catch (error) {
    return [unreachable(of, policy, error)];
  }
  const info = await readInfo(trial);
  const cluster = policy.place.kind === 'cluster';
  const replica = info?.['role'] === 'slave';
  return [
    of.ok('connection', policy.tls === undefined ? 'open, in the clear' : 'open, TLS'),
    ...lookAtRole(of, info, cluster),
    ...(await lookAtSettings(of, trial, info)),
    ...(await lookAtRights(of, trial, policy, wants)),
    // A replica of a cluster names the master instead of taking the key.
    ...(replica ? [] : [await lookAtWrites(of, trial, policy)]),
    await lookAtSpeed(of, trial, policy),
  ];
}

/** Only that the account is not known ends the look: rights come later. */
function throwUnlessAllowed(error: unknown): void {
  const message = messageOf(error);
  if (/^(?:NOAUTH|WRONGPASS)\b/.test(message) || !/^[A-Z]+ /.test(message)) throw error;
}

function unreachable(of: Of, { username = 'default' }: RedisPolicy, error: unknown): DoctorFinding {
  if (readTrouble(error) === 'denied') {
    const next = `Compare username and password_file of replay.redis with the account on Redis (ACL GETUSER ${username}).`;
    return of.fault('credentials', 'Redis refuses them', next, `that Redis knows the user ${username}`);
  }
  const message = messageOf(error);
  if (/sentinel/i.test(message)) {
    const next = 'Compare name and nodes of replay.redis.sentinel with what SENTINEL MASTERS says there.';
    return of.fault('connection', 'no sentinel names a master that can be reached', next);
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const late = /timeout|ETIMEDOUT/i.test(message) ? 'timeout' : 'ECONNRESET';
  const { found, next } = connectionTrouble(code === '' ? late : code);
  return of.fault('connection', found, next.replace('tls.ca_file of this block', 'replay.redis.tls.ca_file'));
}

async function readInfo(trial: RedisTrial): Promise<Info | undefined> {
  const text = await trial.call('INFO').catch(() => undefined);
  if (typeof text !== 'string') return undefined;
  return Object.fromEntries(
    [...text.matchAll(/^([a-z0-9_]+):([^\r\n]*)/gm)].map(([, key = '', value = '']) => [key, value]),
  );
}

function lookAtRole(of: Of, info: Info | undefined, cluster: boolean): readonly DoctorFinding[] {
  if (info === undefined) {
    return [
      of.unknown('role', 'Redis does not tell (INFO)', 'Give the user the right that is missing, and try again.'),
    ];
  }
  const version = of.ok('version', info['redis_version'] ?? 'not told');
  if (info['role'] === 'master') return [version, of.ok('role', 'master')];
  if (cluster) return [version, of.ok('role', 'replica of the cluster')];
  const next = 'Write the address of the master in replay.redis.url, or let sentinels name it (replay.redis.sentinel).';
  return [version, of.fault('role', 'replica: it takes no writes', next, 'master')];
}

async function lookAtSettings(of: Of, trial: RedisTrial, info: Info | undefined): Promise<readonly DoctorFinding[]> {
  const eviction = info?.['maxmemory_policy'] ?? (await setting(trial, 'maxmemory-policy'));
  const save = await setting(trial, 'save');
  const findings: DoctorFinding[] = [];
  if (eviction === undefined) {
    const next = 'Give the user +info or +config|get; until then the gateway relies on what it cannot see.';
    findings.push(of.warning('maxmemory-policy', 'Redis does not tell', next, 'noeviction'));
  } else if (eviction === 'noeviction') findings.push(of.ok('maxmemory-policy', eviction));
  else {
    const next =
      'CONFIG SET maxmemory-policy noeviction, and in redis.conf: a proof that is evicted passes again, so the gateway does not rely on this server.';
    findings.push(of.fault('maxmemory-policy', eviction, next, 'noeviction'));
  }
  const kinds = [...(info?.['aof_enabled'] === '1' ? ['appendonly'] : []), ...((save ?? '') === '' ? [] : ['save'])];
  if (kinds.length > 0) {
    const next =
      'Turn it off (save "", appendonly no) if this Redis has nothing else: what the gateway keeps lives for minutes, and a restart is noticed.';
    findings.push(of.warning('persistence', `on: ${kinds.join(', ')}`, next, 'off'));
  } else if (info !== undefined && save !== undefined) findings.push(of.ok('persistence', 'off'));
  return findings;
}

async function setting(trial: RedisTrial, name: string): Promise<string | undefined> {
  const answer = await trial.call('CONFIG', 'GET', name).catch(() => undefined);
  return Array.isArray(answer) && typeof answer[1] === 'string' ? answer[1] : undefined;
}

/** A command that the gateway sends, and whether it can do without (docs/scaling.md). */
interface Need {
  readonly right: string;
  readonly words: readonly (string | number)[];
  readonly spare?: true;
}

function needsOf({ place }: RedisPolicy, { rates }: Wants, key: string): readonly Need[] {
  const script = (body: string) => ['EVAL', `return redis.call(${body})`, 1, key];
  return [
    { right: '+set', words: ['SET', key, '1', 'PX', KEPT, 'NX'] },
    { right: '+get', words: ['GET', key] },
    { right: '+pexpire', words: ['PEXPIRE', key, KEPT] },
    { right: '+info', words: ['INFO', 'server'], spare: true },
    { right: '+config|get', words: ['CONFIG', 'GET', 'maxmemory-policy'], spare: true },
    { right: '+client|setname', words: ['CLIENT', 'SETNAME', 'holdfast'], spare: true },
    ...(place.kind === 'server' && place.db !== 0 ? [{ right: '+select', words: ['SELECT', place.db] }] : []),
    ...(place.kind === 'cluster'
      ? [
          { right: '+cluster|slots', words: ['CLUSTER', 'SLOTS'] },
          { right: '+cluster|info', words: ['CLUSTER', 'INFO'] },
        ]
      : []),
    ...(rates
      ? [
          { right: '+eval', words: ['EVAL', 'return 1', 1, key] },
          { right: '+time', words: script("'TIME'") },
          { right: '+del', words: script("'DEL', KEYS[1]") },
        ]
      : []),
  ];
}

/** Milliseconds for which the scratch key lives. */
const KEPT = 1000;

/** Tries every command once, on a key that nothing else uses. What fails for another reason than rights is told by other checks. */
async function lookAtRights(
  of: Of,
  trial: RedisTrial,
  policy: RedisPolicy,
  wants: Wants,
): Promise<readonly DoctorFinding[]> {
  const key = `${policy.prefix}doctor:${randomBytes(9).toString('base64url')}`;
  const missing: Need[] = [];
  let keys = true;
  for (const need of needsOf(policy, wants, key)) {
    const [command = '', ...args] = need.words;
    const said = await trial.call(String(command), ...args).then(() => '', messageOf);
    if (/^NOPERM\b.*\bkeys?\b/i.test(said)) keys = false;
    else if (/^NOPERM\b|executing the script can't run/i.test(said)) missing.push(need);
  }
  const wanted = [...(keys ? [] : [`~${policy.prefix}*`]), ...missing.map(({ right }) => right)];
  if (wanted.length === 0) return [of.ok('rights', 'all that the gateway needs')];
  const shown = wanted.map((right) => (right.includes('|') ? `"${right}"` : right)).join(' ');
  const next = `As an administrator of Redis: ACL SETUSER ${policy.username ?? 'default'} ${shown} (docs/scaling.md).`;
  const verdict = keys && missing.every(({ spare }) => spare) ? of.warning : of.fault;
  return [verdict('rights', `missing: ${wanted.join(' ')}`, next)];
}

/** Writes by words of what hinders them. */
const HINDERED: Readonly<Partial<Record<ReturnType<typeof readTrouble>, readonly [found: string, next: string]>>> = {
  out_of_memory: ['Redis has no memory left', 'Raise maxmemory: docs/scaling.md says what proofs take.'],
  read_only: ['Redis takes no writes', 'Write the address of the master, or let sentinels name it.'],
  not_writable: [
    'Redis refuses writes',
    'Look at its log: it cannot save, or has too few replicas (min-replicas-to-write).',
  ],
  loading: ['Redis is loading its data', 'Wait, and turn persistence off: what the gateway keeps lives for minutes.'],
  busy: ['a script keeps Redis busy', 'Look for it with SLOWLOG GET, and end it with SCRIPT KILL.'],
  cluster_down: ['the cluster has slots without a master', 'Look at CLUSTER INFO and CLUSTER NODES there.'],
};

async function lookAtWrites(of: Of, trial: RedisTrial, { prefix }: RedisPolicy): Promise<DoctorFinding> {
  const key = `${prefix}doctor:${randomBytes(9).toString('base64url')}`;
  const error: unknown = await trial.call('SET', key, '1', 'PX', KEPT, 'NX').then(
    () => undefined,
    (said: unknown) => said,
  );
  const trouble = error === undefined ? undefined : readTrouble(error);
  // Of a cluster this server may not be the one that has the key.
  if (trouble === undefined || trouble === 'moved') return of.ok('writes', 'taken');
  const [found, next] = HINDERED[trouble] ?? [
    `refused (${trouble})`,
    'Look at the rights above, and at the log of Redis.',
  ];
  return of.fault('writes', found, next);
}

/** The fastest of some answers: what is slower than the deadline at its best refuses every request. */
async function lookAtSpeed(of: Of, trial: RedisTrial, { prefix, timeout }: RedisPolicy): Promise<DoctorFinding> {
  let fastest = Number.POSITIVE_INFINITY;
  for (let nth = 0; nth < 5; nth += 1) {
    const started = performance.now();
    const answered = await trial.call('GET', `${prefix}doctor`).then(
      () => true,
      (error: unknown) => /^[A-Z]+ /.test(messageOf(error)),
    );
    if (!answered) break;
    fastest = Math.min(fastest, performance.now() - started);
  }
  const next = 'Raise replay.redis.timeout above it, or put Redis nearer: an answer that is late counts as none.';
  if (fastest === Number.POSITIVE_INFINITY) return of.fault('answer', 'none in time', next);
  const found = `in ${fastest.toFixed(1)} ms at best`;
  const expected = `within ${Math.round(timeout * 1000)} ms (replay.redis.timeout)`;
  return fastest > timeout * 1000 ? of.fault('answer', found, next, expected) : of.ok('answer', found);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : '');
