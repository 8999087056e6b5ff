// Hostile tenants of a Gateway: what their requests reach, and that others are as before.

import { test, type TestContext } from 'node:test';
import { portOf, SERVER, startUpstream } from '../support/gateway.ts';
import { secretOf } from '../support/manifests.ts';
import { asText, attackedClass, serviceAt } from './gateway-api/as-objects.ts';
import { meetFates, type SharedSide, UNHARMED } from './gateway-api/fates.ts';
import { ALONE } from './gateway-api/hosts.ts';
import { sharedWorld } from './gateway-api/shared-world.ts';
import { hostOf, objectsOf, TOGETHER } from './gateway-api/tenants.ts';
import { CLASS_HERE, HERE, startTranslated } from './gateway-api/translated.ts';

async function startShared(t: TestContext, ...texts: readonly string[]): Promise<SharedSide> {
  const [shop, evil] = [await startUpstream(t), await startUpstream(t)];
  const place = ({ origin }: typeof shop) => ({ address: HERE, port: Number(new URL(origin).port) });
  const gateway = await startTranslated(
    t,
    attackedClass(CLASS_HERE),
    sharedWorld('attacked'),
    asText([...serviceAt('shop', 'shop', place(shop)), ...serviceAt('evil', 'evil', place(evil))]),
    ...['infra', 'evil'].map((namespace) => secretOf(namespace, 'cert', { cert: SERVER.chain, key: SERVER.key })),
    ...texts,
  );
  return { address: '127.0.0.1', port: portOf(gateway.running.listeners[0]?.bind), shop, evil };
}

test('tenants with one hostile route each, all at once', async (t) => {
  const side = await startShared(t, ...TOGETHER.map(objectsOf));
  await t.test('leave the good tenant as it is', async () => await meetFates(side, UNHARMED, ''));
  for (const [at, attack] of TOGETHER.entries()) {
    await t.test(attack.what, async () => await meetFates(side, attack, hostOf(at)));
  }
});

for (const [at, attack] of ALONE.entries()) {
  test(`a tenant who wants ${attack.what}`, async (t) => {
    const side = await startShared(t, objectsOf(attack, at));
    await meetFates(side, UNHARMED, '');
    await meetFates(side, attack, hostOf(at));
  });
}
