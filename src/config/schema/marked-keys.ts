// The keys of which the schema says that they name files, or that a reload cannot change.
//
// scripts/build.ts puts the two lists in place of this file: making them takes longer than reading a configuration.

import { KEYS } from './keys.ts';

/** Keys that a reload cannot change; `*`: every listener, known by its name. */
export const RESTART_KEYS: readonly string[] = KEYS.filter(({ node }) => node.restart).map(({ key }) => key);

/** Keys that name files: what is in them is read and watched. */
export const FILE_KEYS: readonly string[] = KEYS.filter(({ node }) => node.file).map(({ key }) => key);
