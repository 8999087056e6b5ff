// A gateway with the configuration into which objects of a cluster are translated.

import type { TestContext } from 'node:test';
import {
  CLIENT_CA,
  CLIENT_ROOT,
  ISSUER_KEY,
  SERVER,
  startTestGateway,
  type TestGateway,
} from '../../support/gateway.ts';
import { CONTROLLER, configurationOf, secretOf, translated } from '../../support/manifests.ts';
import { asText } from './as-objects.ts';

/** An address of pods that stands for this machine, which a cluster does not take for one of a pod. */
export const HERE = '10.0.0.1';

const configMap = (namespace: string, name: string, data: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});

/** The keys of the issuer, the CAs of clients and the certificate of the tests, by the names that objects have for them. */
export const GIVEN = [
  asText([
    configMap('system', 'issuer', { 'keys.json': JSON.stringify({ keys: [ISSUER_KEY.jwk] }) }),
    configMap('shop', 'clients', { 'ca.crt': `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}` }),
  ]),
  secretOf('shop', 'cert', { cert: SERVER.chain, key: SERVER.key }),
];
export const CLASS_HERE = { controllerName: CONTROLLER, namespace: 'system' };

/** Only one Gateway may be among the objects, whose listener with the lowest port is asked. */
export async function startTranslated(t: TestContext, ...texts: readonly string[]): Promise<TestGateway> {
  const configuration = configurationOf(translated(GIVEN[0] ?? '', ...GIVEN.slice(1), ...texts));
  const text = JSON.stringify({ ...configuration, admin: { bind: '127.0.0.1:0' } })
    .replaceAll(/"0\.0\.0\.0:\d+"/g, '"127.0.0.1:0"')
    .replaceAll(`//${HERE}:`, '//127.0.0.1:');
  return await startTestGateway(t, { files: { 'holdfast.yaml': text } });
}
