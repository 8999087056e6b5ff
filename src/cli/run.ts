// The commands: argv → serve, check, doctor, explain, why, probe, version and the others.

import { readFileSync } from 'node:fs';
import { check, checkOnline } from './check.ts';
import { type CommandLine, demand, readCommandLine, UsageError } from './arguments.ts';
import { EXIT, isCommand } from './commands.ts';
import { completionScript, SHELLS } from './completion.ts';
import { doctor } from './doctor/doctor.ts';
import { explain } from './explain/explain.ts';
import { helpOf, overview } from './help.ts';
import { shadowReport } from './shadow-report.ts';
import { type Printed, printFailure } from './load.ts';
import { probe } from './probe/probe.ts';
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
    case 'doctor':
      return doctor(demand(line, 'config'), json);
    case 'explain':
      return explain(line);
    case 'why':
      return why(line.operand, line.options.admin, json);
    case 'probe':
      return probe(line.operand, line.options, version());
    case 'shadow-report':
      return shadowReport(line);
    case 'schema':
      return printed(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
    case 'version':
      return printed(
        json ? `${JSON.stringify({ version: version(), node: process.version })}\n` : `holdfast ${version()}\n`,
      );
    case 'completion':
      return completion(line.operand);
    case 'help':
      return printed(isCommand(line.operand) ? helpOf(line.operand) : overview());
  }
}

async function checkFile(line: CommandLine, json: boolean): Promise<Printed> {
  const file = demand(line, 'config');
  const { verbose, 'without-files': withoutFiles, online } = line.options;
  if (online) {
    if (file !== '-' && !withoutFiles) return checkOnline(file, { json, verbose });
    throw new UsageError('--online needs a file with all that it names: neither - nor --without-files goes with it', {
      command: 'check',
    });
  }
  return check(file, file === '-' ? readFileSync(0, 'utf8') : undefined, { json, verbose, withoutFiles });
}

function completion(name: string): Printed {
  const shell = SHELLS.find((one) => one === name);
  if (shell !== undefined) return printed(completionScript(shell));
  throw new UsageError(`"completion" knows ${SHELLS.join(', ')}`, { command: 'completion' });
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function failure(error: unknown): Printed {
  const json = process.argv.includes('--json');
  if (error instanceof UsageError) {
    const about = error.command === undefined ? '' : ` ${error.command}`;
    return printFailure(EXIT.usage, error.message, json, `Try holdfast${about} --help.\n`);
  }
  // Of an error that nobody expected only the kind is told: its message may quote a file.
  const kind = error instanceof Error ? error.name : 'unknown error';
  return printFailure(EXIT.failed, `failed unexpectedly (${kind}); please report this`, json);
}
