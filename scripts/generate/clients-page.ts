// docs/clients.md with its pieces of code, each of which is a region of a file in docs/clients/ that the tests run.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FENCE = /^```(\w+) (clients\/\S+)\n[^]*?^```$/gm;
const REGION = /^[ \t]*(?:\/\/|#) #region page\n([^]*?)\n+[ \t]*(?:\/\/|#) #endregion/m;

/** The page as it is, with the text of every piece taken from the file that its fence names. Throws where a file has no region. */
export function clientsPage(root: string): string {
  const page = readFileSync(join(root, 'docs/clients.md'), 'utf8');
  return page.replace(FENCE, (_all, language: string, file: string) => {
    const [, region] = REGION.exec(readFileSync(join(root, 'docs', file), 'utf8')) ?? [];
    if (region === undefined) throw new Error(`docs/${file} has no region for docs/clients.md`);
    return ['```', language, ' ', file, '\n', withoutIndent(region), '\n```'].join('');
  });
}

function withoutIndent(text: string): string {
  const [indent = ''] = /^[ \t]*/.exec(text) ?? [];
  return text.replaceAll(new RegExp(`^${indent}`, 'gm'), '').replaceAll('\t', '    ');
}
