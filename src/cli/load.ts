// Reading and compiling a configuration for a command: a policy, or its problems.

import { availableParallelism, totalmem } from 'node:os';
import { compilePolicy } from '../config/compile/compile.ts';
import type { Kept } from '../config/kept.ts';
import { compileMask } from '../config/report/mask.ts';
import { inOrder, oncePerCause, type Problem } from '../config/problem.ts';
import { type PolicyRead, type ReadPolicy, readPolicyFile } from '../config/read/read.ts';
import type { Policy } from '../policy/policy.ts';
import type { Sources } from '../config/read/sources.ts';

/** A policy and what it was read from, or everything that is wrong with it; `sources` has to be watched for a change in any case. */
export type Loaded = { readonly sources: Sources } & (
  | { readonly policy: Policy; readonly warnings: readonly Problem[]; readonly read: ReadPolicy }
  | { readonly problems: readonly Problem[] }
);

/** A configuration that was good. */
export type Good = Extract<Loaded, { policy: Policy }>;

/**
 * @param stdin the text of the configuration where `file` is `-`
 * @param withoutFiles files that keys name may be absent, which a warning says: for checking only
 */
export function loadPolicy(file: string, stdin?: string, withoutFiles = false): Loaded {
  return loadRead(readPolicyFile(file, { env: process.env, stdin, withoutFiles }));
}

function loadRead(read: PolicyRead): Loaded {
  const { sources } = read;
  const now = Date.now() / 1000;
  if (!('problems' in read)) {
    const compiled = compilePolicy(read, now, { cores: availableParallelism(), memory: availableMemory() });
    if ('problems' in compiled) return { problems: oncePerCause(masked(compiled.problems, read)), sources };
    const { policy } = compiled;
    return {
      policy,
      get warnings() {
        return oncePerCause(inOrder([...read.absent, ...masked(compiled.warnings, read)]));
      },
      read,
      sources,
    };
  }
  const rest = read.rest && compilePolicy(read.rest, now);
  const more = read.rest && rest !== undefined && 'problems' in rest ? masked(rest.problems, read.rest) : [];
  return { problems: oncePerCause(inOrder([...read.problems, ...more])), sources };
}

/**
 * The same of a document that is all there is: it names no files, and the environment is nothing to it.
 * @param called what problems call it
 * @param kept what is known of those before it
 */
export function loadDocument(text: string, called: string, kept?: Kept): Loaded {
  return loadRead(readPolicyFile('-', { env: {}, stdin: text, called, kept }));
}

/** The effective configuration (effective.ts), made and its code loaded when it is first asked for. */
export function shownConfig(read: ReadPolicy): () => Promise<string> {
  let text: Promise<string> | undefined;
  return () => (text ??= import('../config/report/effective.ts').then(({ effectiveConfig }) => effectiveConfig(read)));
}

/** Bytes that the container may use, or the machine has. */
function availableMemory(): number {
  const limit = process.constrainedMemory();
  // 0 where nothing is known, and a number beyond all memory where there is no limit.
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** What parts of a configuration mean together is told in compiled values, some of which can be the environment's. */
function masked(problems: readonly Problem[], { substitutions }: ReadPolicy): readonly Problem[] {
  const mask = compileMask(substitutions);
  return problems.map((problem) => ({ ...problem, message: mask(problem.message) }));
}
