// Compilation of the log: what its lines may say of clients.

import type { LogRules } from '../../policy/policy.ts';
import { type Compilation, unlessNone } from './compilation.ts';

/** Bytes of the key of clients' hashes, at least. */
const KEY_BYTES = 32;

/** Problems: a key that is too short, or that nothing is hashed with. */
export function compileLog(compilation: Compilation): LogRules {
  const { level, sample_successes: sampleSuccesses, client, client_key_file: file } = compilation.read.config.log;
  const at = ['log', 'client_key_file'];
  if (file !== undefined && client !== 'hash') {
    compilation.problem(at, 'is the key of a hash that nothing asks for, expected client: hash, or no client_key_file');
  }
  const key = compilation.fileAt(at)?.content.toString('latin1').trim();
  if (key !== undefined && key.length < KEY_BYTES) {
    compilation.problem(
      at,
      `has too few bytes, expected a secret of at least ${KEY_BYTES}, white space at its ends not counted`,
    );
  }
  const clientKey = key === undefined ? undefined : Buffer.from(key, 'latin1');
  return { level, sampleSuccesses, client: unlessNone(client), clientKey };
}
