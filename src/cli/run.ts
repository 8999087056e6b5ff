// The commands: argv → serve, check, doctor, explain, why, probe, version and the others.

import { readFileSync } from 'node:fs';
import { type CommandLine, demand, readCommandLine, UsageError } from './arguments.ts';
import { EXIT, isCommand } from './commands.ts';
import { type Printed, printFailure } from './printed.ts';

const printed = (stdout: string): Printed => ({ exit: EXIT.ok, stdout, stderr: '' });

/** Runs one command to its end. What nobody expected comes out as a failure that quotes nothing. */
export function run(argv: readonly string[]): Promise<Printed> {
  return runCommand(argv).catch(failure);
}

/** Each command is loaded when it is called: `serve` starts faster, and smaller, without the others. */
async function runCommand(argv: readonly string[]): Promise<Printed> {
  const line = readCommandLine(argv);
  const json = line.options.json ?? false;
  switch (line.command) {
    case 'serve':
      (await import('../supervisor/spawn.ts')).spawnAhead();
      return serve(line, json);
    case 'check':
      return checkFile(line, json);
    case 'doctor':
      return (await import('./doctor/doctor.ts')).doctor(demand(line, 'config'), json);
    case 'explain':
      return (await import('./explain/explain.ts')).explain(line);
    case 'why':
      return (await import('./why.ts')).why(line.operand, line.options.admin, json);
    case 'drain':
      return (await import('./drain.ts')).drain(line);
    case 'probe':
      return (await import('./probe/probe.ts')).probe(line.operand, line.options, version());
    case 'shadow-report':
      return (await import('./shadow-report.ts')).shadowReport(line);
    case 'controller':
      return (await import('./controller/controller.ts')).controlUntilSignal(line.options, version());
    case 'policies':
      return (await import('./controller/policies.ts')).showPolicies(line);
    case 'schema': {
      const { jsonSchema } = await import('../config/schema/json-schema.ts');
      return printed(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
    }
    case 'version':
      return printed(
        json ? `${JSON.stringify({ version: version(), node: process.version })}\n` : `holdfast ${version()}\n`,
      );
    case 'completion':
      return completion(line.operand);
    case 'help': {
      const { helpOf, overview } = await import('./help.ts');
      return printed(isCommand(line.operand) ? helpOf(line.operand) : overview());
    }
  }
}

async function serve(line: CommandLine, json: boolean): Promise<Printed> {
  const { 'from-secret': secret } = line.options;
  if (secret === undefined)
    return (await import('./serve.ts')).serveUntilSignal(demand(line, 'config'), version(), json);
  const { secretOf } = await import('./secret/from-secret.ts');
  const { serveSecret } = await import('./secret/serve-secret.ts');
  return serveSecret({ ...secretOf(line, secret), version: version(), json });
}

async function checkSecret(line: CommandLine, written: string): Promise<Printed> {
  const { verbose, json, 'without-files': withoutFiles, online } = line.options;
  if (withoutFiles || online)
    throw new UsageError('--from-secret goes with --verbose and --json alone', { command: 'check' });
  const { cluster, secret } = (await import('./secret/from-secret.ts')).secretOf(line, written);
  return (await import('./secret/check-secret.ts')).checkSecret(cluster, secret, { json, verbose });
}

async function checkFile(line: CommandLine, json: boolean): Promise<Printed> {
  const { 'from-secret': secret } = line.options;
  if (secret !== undefined) return checkSecret(line, secret);
  const file = demand(line, 'config');
  const { check, checkOnline } = await import('./check.ts');
  const { verbose, 'without-files': withoutFiles, online } = line.options;
  if (online) {
    if (file !== '-' && !withoutFiles) return checkOnline(file, { json, verbose });
    throw new UsageError('--online needs a file with all that it names: neither - nor --without-files goes with it', {
      command: 'check',
    });
  }
  return check(file, file === '-' ? readFileSync(0, 'utf8') : undefined, { json, verbose, withoutFiles });
}

async function completion(name: string): Promise<Printed> {
  const { completionScript, SHELLS } = await import('./completion.ts');
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
