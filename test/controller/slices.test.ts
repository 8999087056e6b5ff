// Tests of long translations: they come in steps, between which others have their turn.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ReconcilerParts, Reconciler } from '../../src/controller/reconciler.ts';
import { inSlices } from '../../src/controller/slices.ts';
import { ClusterView } from '../../src/controller/view.ts';
import { KINDS } from '../../src/kubernetes/kinds.ts';
import { Memory } from '../../src/kubernetes/memory.ts';
import type { ClusterState, Settings, Translation } from '../../src/kubernetes/state.ts';
import { translate, translateInSteps } from '../../src/kubernetes/translate.ts';
import { allAtOnce, type InSteps } from '../../src/long-work.ts';
import { SmallApiServer } from '../support/api-server.ts';
import { clusterOf, CONTROLLER, manifests, NOW } from '../support/manifests.ts';
import { GATEWAY_SECRET, sharedGateway } from '../support/shared-gateway.ts';

const SETTINGS: Settings = { controllerName: CONTROLLER, now: NOW };

const routeOf = (at: number) => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r${at}, namespace: evil }
spec:
  parentRefs: [{ name: gw, namespace: infra }]
  hostnames: [h${at % 3}.example.com]
  rules: [{ matches: [{ path: { value: /${at} } }], backendRefs: [{ name: none, port: 80 }] }]
`;

const many = (count: number): ClusterState =>
  clusterOf(manifests(sharedGateway(), GATEWAY_SECRET, ...Array.from({ length: count }, (_, at) => routeOf(at))));

/** Counts what is made, as a measure of work that no machine is slower at. */
class CountingMemory extends Memory {
  made = 0;

  override keep<T>(...[subject, part, inputs, make]: Parameters<typeof Memory.prototype.keep<T>>): T {
    return super.keep(subject, part, inputs, () => {
      this.made += 1;
      return make();
    });
  }
}

/** Steps of a translation, and the most that one of them makes. */
function measured(state: ClusterState): { readonly steps: number; readonly longest: number } {
  const memory = new CountingMemory();
  const work = translateInSteps(state, SETTINGS, memory);
  let [steps, longest] = [0, 0];
  for (let before = 0; !work.next().done; before = memory.made) {
    steps += 1;
    longest = Math.max(longest, memory.made - before);
  }
  return { steps, longest };
}

test('no step of a translation makes more for more routes: there are more steps', () => {
  const [few, more] = [measured(many(20)), measured(many(120))];
  assert.ok(more.longest <= few.longest, `${few.longest}, then ${more.longest}`);
  assert.ok(more.longest < 100, `${more.longest}`);
  assert.ok(more.steps > 100 + few.steps, `${few.steps}, then ${more.steps}`);
});

test('the event loop turns between slices, and the result is the same', async () => {
  const state = many(60);
  let turns = 0;
  let ended = false;
  const turn = () => {
    turns += 1;
    if (!ended) setImmediate(turn);
  };
  setImmediate(turn);
  const fired = new Promise<number>((resolve) => setTimeout(() => resolve(turns), 1));
  const result = await inSlices(translateInSteps(state, SETTINGS), 0);
  ended = true;
  assert.ok(turns > 60, `${turns}`);
  assert.ok((await fired) < turns, 'a timer ran in between');
  assert.deepEqual(result, translate(state, SETTINGS));
});

const NOTHING = { dataPlanes: [], statuses: [], events: [], effective: [] };
const EMPTY = clusterOf([]);

test('what changes during a translation is part of the next one', async () => {
  const asked: string[] = [];
  const ending = new AbortController();
  let world = 'first';
  let written = 0;
  const parts: ReconcilerParts = {
    view: {
      unsettled: [],
      *state() {
        yield;
        asked.push(`read ${world}`);
        return EMPTY;
      },
    },
    *translate(): InSteps<Translation> {
      asked.push(`translate ${world}`);
      if (world === 'first') {
        world = 'second';
        reconciler.request();
      }
      yield;
      return NOTHING;
    },
    delivery: {
      deliver: async () => {
        asked.push('deliver');
        return await Promise.resolve({ complete: true, troubles: new Map() });
      },
      sweep: async () => await Promise.resolve(true),
    },
    statuses: {
      async write() {
        written += 1;
        if (written === 2) ending.abort();
        await Promise.resolve();
      },
    },
    events: { write: async () => await Promise.resolve() },
    controllerName: CONTROLLER,
    leads: () => true,
    onDone: () => {},
    onError: (error) => assert.ifError(error),
  };
  const reconciler: Reconciler = new Reconciler(parts);
  reconciler.request();
  await reconciler.run(ending.signal);
  assert.deepEqual(asked, ['read first', 'translate first', 'deliver', 'read second', 'translate second', 'deliver']);
});

test('a state is the one of its first step, whatever comes while it is read', async (t) => {
  const kinds = KINDS.map(({ group, version, plural }) =>
    group === '' ? `/api/${version}/${plural}` : `/apis/${group}/${version}/${plural}`,
  );
  await using server = await new SmallApiServer(kinds).start();
  const services = '/api/v1/namespaces/shop/services';
  const put = (name: string) => server.put(services, { metadata: { name }, spec: { ports: [] } });
  const before = Array.from({ length: 30 }, (_, at) => `s${at}`);
  for (const name of before) put(name);
  let changed = Promise.withResolvers<void>();
  const view = new ClusterView({
    api: server.api,
    controllerName: CONTROLLER,
    namespace: 'edge',
    secretsIn: [],
    onChange: () => changed.resolve(),
    onFailure: () => {},
    onList: () => {},
  });
  const ending = new AbortController();
  const running = view.run(ending.signal);
  t.after(async () => {
    ending.abort();
    await running;
  });
  const heard = async (holds: () => boolean) => {
    while (!holds()) {
      // oxlint-disable-next-line no-await-in-loop -- one change after the other
      await changed.promise;
      changed = Promise.withResolvers();
    }
  };
  const seen = () => view.counts.find(([kind]) => kind === 'Service')?.[1];
  await heard(() => seen() === before.length);
  const reading = view.state(new Map());
  assert.equal(reading.next().done, false);
  put('new');
  server.remove(services, 's29');
  await heard(() => view.find('Service', { namespace: 'shop', name: 's29' }) === undefined);
  const names = ({ services: read }: ClusterState) => read.map(({ meta }) => meta.name).toSorted();
  assert.deepEqual(names(allAtOnce(reading)), before.toSorted());
  const after = [...before.slice(0, -1), 'new'];
  assert.deepEqual(names(allAtOnce(view.state(new Map()))), after.toSorted());
});
