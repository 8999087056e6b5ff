// The command of docs/fapi.md that makes the gateway's JWK, run as it stands there.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** With the Node of the tests, whichever else the machine has. */
const PATH = `${dirname(process.execPath)}:${process.env['PATH']}`;
const PAGE = join(import.meta.dirname, '../../docs/fapi.md');

/** What the command leaves in its file, and what it prints for the authorization server. */
export function makeIntrospectionKey(): { readonly privateJwk: string; readonly publishedJwks: string } {
  const [, command = ''] = /^```sh jwk\n([^]*?)^```$/m.exec(readFileSync(PAGE, 'utf8')) ?? [];
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-fapi-'));
  try {
    const publishedJwks = execFileSync('sh', ['-c', command], {
      cwd: folder,
      env: { ...process.env, PATH },
      encoding: 'utf8',
    });
    return { privateJwk: readFileSync(join(folder, 'introspection.jwk'), 'utf8'), publishedJwks };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
