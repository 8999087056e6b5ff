// Everything that is wrong now, in sentences: the box at the top of the status page.

import type { Status, Trouble } from './status.ts';

const DAY = 86_400;
/** Seconds before its end from which a certificate is mentioned. */
const SOON = 14 * DAY;
/** Share of the replay store from which on it is mentioned: full, it refuses. */
const NEARLY_FULL = 0.8;

/** Everything that an operator should do something about, the gravest first; empty: nothing. */
export function findTroubles(status: Omit<Status, 'troubles'>): readonly Trouble[] {
  return [
    ...issuerTroubles(status),
    ...targetTroubles(status),
    ...reloadTroubles(status),
    ...certificateTroubles(status),
    ...storeTroubles(status),
    ...workerTroubles(status),
  ].toSorted((a, b) => Number(b.grave) - Number(a.grave));
}

function issuerTroubles({ issuers }: Pick<Status, 'issuers'>): Trouble[] {
  return issuers.flatMap(({ name, keys, lastError }): Trouble[] => {
    if (keys > 0 && lastError === undefined) return [];
    const why = lastError ?? 'its key set is empty';
    return keys > 0
      ? [
          {
            what: `The keys of issuer ${name} could not be refreshed.`,
            more: `${why}. The keys of before count for 24 hours.`,
            grave: false,
          },
        ]
      : [{ what: `Issuer ${name} has no keys: its tokens get 503.`, more: why, grave: true }];
  });
}

function targetTroubles({ upstreams }: Pick<Status, 'upstreams'>): Trouble[] {
  return upstreams.flatMap(({ name, targets }) => {
    const down = targets.filter(({ health }) => health === 'unhealthy');
    if (down.length === 0) return [];
    const all = down.length === targets.length;
    const what = all
      ? `Upstream ${name} is down.`
      : `${down.length} of ${targets.length} targets of upstream ${name} are down.`;
    return [{ what, more: down.map(({ target }) => target).join(', '), grave: all }];
  });
}

function reloadTroubles({ lastReload }: Pick<Status, 'lastReload'>): Trouble[] {
  if (lastReload?.result !== 'refused') return [];
  return [
    {
      what: 'The last change of the configuration was refused.',
      more: lastReload.problems.slice(0, 3).join('; '),
      grave: false,
    },
  ];
}

function certificateTroubles({ certificates, now }: Pick<Status, 'certificates' | 'now'>): Trouble[] {
  return certificates
    .filter(({ ends }) => ends < now + SOON)
    .map(({ file, listener, ends }) => {
      const [over, days] = [ends <= now, Math.floor((ends - now) / DAY)];
      const what = over ? `Certificate ${file} has ended.` : `Certificate ${file} ends in ${days} d.`;
      return {
        what,
        more: `Listener ${listener}: renew it; the new one counts as soon as the file changes.`,
        grave: over,
      };
    });
}

function storeTroubles({ replay }: Pick<Status, 'replay'>): Trouble[] {
  if (replay.replica?.up === false) {
    const what = `The replay store in Redis does not answer: ${replay.replica.reason ?? 'away'}.`;
    const more = 'Until it does, DPoP requests are refused, or get a nonce, as replay.when_unavailable says.';
    return [{ what, more, grave: true }];
  }
  const share = replay.entries / Math.max(1, replay.capacity);
  if (share < NEARLY_FULL) return [];
  const what = `The replay store is ${Math.round(share * 100)} % full.`;
  return [{ what, more: 'Full, it refuses new proofs: raise replay.capacity, or lower max_age.', grave: share >= 1 }];
}

function workerTroubles({ workers }: Pick<Status, 'workers'>): Trouble[] {
  const away = workers.filter(({ state }) => state === 'gone' || state === 'starting');
  if (away.length === 0) return [];
  const what = `${away.length} of ${workers.length} workers do not serve.`;
  return [{ what, more: 'The log says why they ended.', grave: away.length === workers.length }];
}
