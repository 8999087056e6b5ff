// The readiness that /readyz shows, with its causes.

import type { Mask } from '../config/report/mask.ts';
import type { IssuerKeys } from '../issuer/keys.ts';
import type { Status } from '../operator/status.ts';
import type { Readiness } from '../operator/telemetry.ts';
import type { Policy } from '../policy/policy.ts';
import type { WorkerState } from './crew.ts';

interface ReadinessSources {
  readonly state: Status['state'];
  /** More requests are wanted. */
  readonly wanted: boolean;
  readonly policy: Policy;
  readonly workers: readonly WorkerState[];
  /** undefined: none since the start. */
  readonly lastReload: string | undefined;
  readonly listeners: readonly string[];
  readonly keys: readonly Pick<IssuerKeys, 'issuer' | 'loadedOnce' | 'lastError'>[];
  readonly mask: Mask;
}

/** Ready is a gateway that wants requests, with a worker at least, and with the keys of every issuer that is required for it. */
export function collectReadiness(sources: ReadinessSources): Readiness {
  const { state, wanted, policy, workers, lastReload, listeners, keys, mask } = sources;
  const issuers = keys.map(({ issuer, loadedOnce, lastError }) => ({
    issuer: issuer.name,
    keys_loaded: loadedOnce,
    required: policy.awaitedIssuers.has(issuer.name),
    ...(lastError === undefined ? {} : { last_error: mask(lastError) }),
  }));
  const keysReady = issuers.every(({ keys_loaded: loaded, required }) => loaded || !required);
  const serving = workers.filter((worker) => worker.state === 'serving').length;
  return {
    ready: wanted && keysReady && serving > 0,
    details: {
      state,
      policy: policy.id,
      workers: { serving, of: workers.length },
      last_reload: lastReload,
      listeners,
      issuers,
      ...(policy.replay.redis === undefined ? {} : { replay_store: storeOf(workers) }),
    },
  };
}

/** An outage of the store is shown and makes nothing unready: another replica would have the same one. */
function storeOf(workers: readonly WorkerState[]): object {
  const states = workers.map(({ replayStore }) => replayStore);
  const reasons = new Set(states.flatMap((state) => state?.reason ?? []));
  return { store: 'redis', up: states.every((state) => state?.up === true), reasons: [...reasons] };
}
