// The scenes of the demo, played through a proxy with tokens of the tests.

import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { exportJWK } from 'jose';
import type { Scene, Stage } from '../../../quickstart/demo-scenes.ts';
import { describeSeen } from '../../../quickstart/describe-seen.ts';
import { TRACE_FIELD } from '../../../quickstart/echo-upstream.ts';
import { makeCertificate } from '../../support/pki.ts';
import { CLIENT_CA, ISSUER_KEY, ORIGIN, sendRequest } from '../../support/gateway.ts';
import { makeKey, makeToken } from '../../support/tokens.ts';
import type { Rig } from './rig.ts';

const PARTIES = {
  nobody: undefined,
  alice: await makeCertificate({ names: ['alice.example.com'], subject: 'CN=alice', ca: CLIENT_CA }),
  mallory: await makeCertificate({ names: ['mallory.example.com'], subject: 'CN=mallory', ca: CLIENT_CA }),
};
const [HOLDER, THIEF] = [await makeKey(), await makeKey()];

/** As much of a gateway and its upstream as a scene needs. */
export interface SceneRig {
  readonly gateway: Pick<Rig['gateway'], 'now'>;
  readonly upstream: Rig['upstream'];
}

/** @param port of the proxy @param to its address; loopback otherwise */
export async function setStage(port: number, { gateway }: SceneRig, to?: string): Promise<Stage> {
  const token = (kind: string, claims: Record<string, unknown> = {}) =>
    makeToken(ISSUER_KEY, gateway.now(), { claims: { client_id: `${kind}-client`, ...claims } });
  // Proofs dated before the replay store remembers, to the second, would need a nonce.
  await pause(1000 - (Date.now() % 1000));
  return {
    gateway: ORIGIN,
    tokens: {
      bearer: await token('bearer'),
      dpop: await token('dpop', { cnf: { jkt: HOLDER.jkt } }),
      mtls: await token('mtls', { cnf: { 'x5t#S256': PARTIES.alice.thumbprint } }),
      expired: await token('expired', { exp: Math.floor(gateway.now()) - 600 }),
    },
    holderKey: await exportJWK(HOLDER.privateKey),
    thiefKey: await exportJWK(THIEF.privateKey),
    certificates: { alice: PARTIES.alice.cert, mallory: PARTIES.mallory.cert },
    send: async (party, { method = 'GET', path, fields = {} }) => {
      const trace = randomUUID();
      const client = PARTIES[party];
      const lines = [...Object.entries(fields), [TRACE_FIELD, trace] as const];
      const answered = await sendRequest(port, method, path, {
        fields: lines,
        ...(to !== undefined && { to }),
        ...(client && { client }),
      });
      const answer = { status: answered.status, fields: fieldsOf(answered.fields.lines), body: answered.body };
      return { answer, trace };
    },
  };
}

/** Lower-cased names; several lines of one name become an array. */
function fieldsOf(lines: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (const [name, value] of lines) {
    const before = fields[name.toLowerCase()];
    fields[name.toLowerCase()] = before === undefined ? value : [before, value].flat();
  }
  return fields;
}

export interface Played {
  readonly answers: readonly number[];
  readonly reason: string | undefined;
  readonly saw: string;
}

export async function playScene(scene: Scene, stage: Stage, { upstream }: Pick<SceneRig, 'upstream'>): Promise<Played> {
  const exchanges = await scene.play(stage);
  const reasons = exchanges.map(({ answer }) => /"reason":"(\w+)"/.exec(answer.body)?.[1]);
  const trace = exchanges.at(-1)?.trace ?? '';
  const seen = upstream.requests.find(({ lines }) => lines.some(([, value]) => value === trace));
  // Some proxies set a field without a value to nothing, which is as good as none.
  const fields = seen && fieldsOf(seen.lines.filter(([, value]) => value !== ''));
  return {
    answers: exchanges.map(({ answer }) => answer.status),
    reason: reasons.findLast((found) => found !== undefined),
    saw: describeSeen(fields && { fields }),
  };
}
