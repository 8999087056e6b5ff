// Soak requests to upstreams that fail in every way.

import type { Version } from './clients.ts';
import { expectAnswer, type Kind } from './kind.ts';

const FAILURES = [
  { route: 'closed', status: 502, reason: 'upstream_unreachable' },
  { route: 'invalid', status: 502, reason: 'upstream_invalid' },
  { route: 'hanging', status: 504, reason: 'upstream_timed_out' },
] as const;

export function failingKinds(): Kind[] {
  const versions: readonly Version[] = ['h1', 'h2'];
  return versions.flatMap((version) => [
    ...FAILURES.map(({ route, status, reason }) => ({
      name: `upstream ${route}, ${version}`,
      perSecond: 2,
      atOnce: 10,
      run: async ({ clients }: Parameters<Kind['run']>[0]) =>
        expectAnswer(await clients.send({ version, path: `/${route}/hang` }), status, reason),
    })),
    ...['length', 'chunked', 'close'].map((framing) => ({
      name: `upstream breaks off (${framing}), ${version}`,
      perSecond: 1,
      atOnce: 10,
      run: async ({ clients }: Parameters<Kind['run']>[0]) => {
        const answered = clients.send({ version, path: `/public/cut?framing=${framing}` });
        const whole = await answered.then(
          () => true,
          () => false,
        );
        if (whole) throw new Error('an answer that broke off looks like a whole one');
      },
    })),
  ]);
}
