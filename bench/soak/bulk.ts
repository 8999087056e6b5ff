// Soak clients with bodies of 1 to 50 MiB, fast and slow, both ways.

import { randomUUID } from 'node:crypto';
import type { Version } from './clients.ts';
import { content, digestOf } from './content.ts';
import { expectAnswer, type Kind } from './kind.ts';

const MIB = 1024 * 1024;
/** Two in forty are 50 MiB, so that the load stays moderate. */
const SIZES = [...Array.from({ length: 32 }, () => 1), ...Array.from({ length: 6 }, () => 10), 50, 50];
/** Milliseconds between two pieces of 64 KiB. */
const SLOW = 20;

export function bulkKinds(): Kind[] {
  const versions: readonly Version[] = ['h1', 'h2'];
  return versions.flatMap((version) => [
    download(`download, ${version}`, version, 0.6),
    download(`download, slow reader, ${version}`, version, 0.3, SLOW),
    upload(`upload, ${version}`, version, 0.6),
    upload(`upload, slow sender, ${version}`, version, 0.3, SLOW),
  ]);
}

/** All sizes in turn, and with a slow client those that end in seconds. */
function sizes(slow: number | undefined): () => number {
  const turn = slow === undefined ? SIZES.toSorted(() => Math.random() - 0.5) : [1, 2, 4];
  let next = 0;
  return () => (turn[next++ % turn.length] ?? 1) * MIB;
}

function download(name: string, version: Version, perSecond: number, slow?: number): Kind {
  const size = sizes(slow);
  return {
    name,
    perSecond,
    atOnce: 6,
    async run({ clients }) {
      const [body, bytes] = [randomUUID(), size()];
      const path = `/public/bytes?name=${body}&bytes=${bytes}`;
      const answer = await clients.send({ version, path, ...(slow !== undefined && { slow }) });
      expectAnswer(answer, 200);
      if (answer.sha256 !== digestOf(body, bytes)) throw new Error('the body is not what the upstream sent');
    },
  };
}

function upload(name: string, version: Version, perSecond: number, slow?: number): Kind {
  const size = sizes(slow);
  return {
    name,
    perSecond,
    atOnce: 6,
    async run({ clients, someone }) {
      const [body, bytes] = [randomUUID(), size()];
      const answer = await clients.send({
        version,
        method: 'PUT',
        path: '/token/upload',
        fields: { authorization: `Bearer ${someone().tokens.bearer}` },
        body: content(body, bytes),
        ...(slow !== undefined && { slow }),
      });
      expectAnswer(answer, 200);
      if (answer.text !== digestOf(body, bytes)) throw new Error('the upstream got another body');
    },
  };
}
