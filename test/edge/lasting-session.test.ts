// HTTP/2 peers that leave in the middle of field lines, in a process that Node would end.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('lasting-session-program.ts', import.meta.url));

async function run(...words: readonly string[]): Promise<{ out: string; errors: string; signal: string | null }> {
  const child = spawn(process.execPath, ['--expose-gc', PROGRAM, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, errors, [, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { out, errors, signal };
}

describe('a peer that leaves in the middle of field lines', () => {
  for (const side of ['clients', 'upstreams']) {
    for (const end of ['reset', 'broken']) {
      it(`${side}, ${end}: the process goes on, and holds nothing for ever`, async () => {
        const { out, errors } = await run('lasting', side, end);
        assert.equal(errors, '');
        assert.equal(out, 'waited, waits no more\n');
      });

      // What upstreams break ends a process with plain sessions only on a busy machine.
      if (side === 'upstreams' && end === 'broken') continue;
      it(`${side}, ${end}: with a plain session Node ends it; where that passes no more, LastingSession can go`, async () => {
        const { errors, signal } = await run('plain', side, end);
        assert.match(errors, /current_nghttp2_memory_/);
        assert.equal(signal, 'SIGABRT');
      });
    }
  }
});
