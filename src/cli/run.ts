// The commands: argv → serve, check, explain, why, schema, version, help.

import { readFileSync } from 'node:fs';
import { check } from './check.ts';
import { type CommandLine, demand, EXIT, readCommandLine, USAGE, UsageError } from './arguments.ts';
import { explain } from './explain/explain.ts';
import { type Printed, printFailure } from './load.ts';
import { serveUntilSignal } from './serve.ts';
import { why } from './why.ts';
import { jsonSchema } from '../config/schema/json-schema.ts';

const printed = (stdout: string): Printed => ({ exit: EXIT.ok, stdout, stderr: '' });

/** Runs one command to its end. What nobody expected comes out as a failure that quotes nothing. */
export function run(argv: readonly string[]): Promise<Printed> {
  return runCommand(argv).catch(failure);
}

async function runCommand(argv: readonly string[]): Promise<Printed> {
  const line = readCommandLine(argv);
  const json = line.options.json ?? false;
  switch (line.command) {
    case 'serve':
      return serveUntilSignal(demand(line, 'config'), version(), json);
    case 'check':
      return checkFile(line, json);
    case 'explain':
      return explain(line);
    case 'why':
      return why(line.id, line.options.admin, json);
    case 'schema':
      return printed(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
    case 'version':
      return printed(
        json ? `${JSON.stringify({ version: version(), node: process.version })}\n` : `holdfast ${version()}\n`,
      );
    case 'help':
      return printed(USAGE);
  }
}

function checkFile(line: CommandLine, json: boolean): Printed {
  const file = demand(line, 'config');
  return check(file, file === '-' ? readFileSync(0, 'utf8') : undefined, json, line.options['without-files']);
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function failure(error: unknown): Printed {
  const json = process.argv.includes('--json');
  const hint = 'Try holdfast --help.\n';
  if (error instanceof UsageError) return printFailure(EXIT.usage, error.message, json, hint);
  // Of an error that nobody expected only the kind is told: its message may quote a file.
  const kind = error instanceof Error ? error.name : 'unknown error';
  return printFailure(EXIT.failed, `failed unexpectedly (${kind}); please report this`, json);
}
