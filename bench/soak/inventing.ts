// Soak clients that invent tokens: unknown kids, and unknown opaque tokens.

import { randomUUID } from 'node:crypto';
import type { Version } from './clients.ts';
import { SMALL } from './content.ts';
import { expectAnswer, type Kind, type Load } from './kind.ts';

/** Known tokens; their remembered answers run out all the time. */
const KNOWN = 50;

export function inventingKinds(): Kind[] {
  const versions: readonly Version[] = ['h1', 'h2'];
  return versions.flatMap((version) => {
    const kind = (name: string, perSecond: number, run: (load: Load) => Promise<void>): Kind => ({
      name: `${name}, ${version}`,
      perSecond,
      atOnce: 40,
      run,
    });
    const send = ({ clients }: Load, route: string, token: string) =>
      clients.send({ version, path: `/${route}/${randomUUID()}`, fields: { authorization: `Bearer ${token}` } });
    const expectInvented = async (load: Load, kid: string) =>
      expectAnswer(await send(load, 'token', withKid(load, kid)), 401, 'token_key_unknown');
    return [
      kind('one invented kid', 20, (load) => expectInvented(load, 'invented')),
      kind('invented kids', 5, (load) => expectInvented(load, randomUUID())),
      kind('invented opaque token', 20, async (load) =>
        expectAnswer(await send(load, 'opaque', `invented-${randomUUID()}`), 401, 'token_inactive'),
      ),
      kind('known opaque token', 10, async (load) => {
        const answer = await send(load, 'opaque', `good-${Math.floor(Math.random() * KNOWN)}`);
        expectAnswer(answer, 200);
        if (answer.text !== SMALL) throw new Error('another body than that of the upstream');
      }),
    ];
  });
}

/** A good token but for its header, and so for its signature. */
function withKid({ someone }: Load, kid: string): string {
  const [, ...rest] = someone().tokens.bearer.split('.');
  const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid })).toString('base64url');
  return [header, ...rest].join('.');
}
