// The command line: commands, options and the usage text.

import { parseArgs } from 'node:util';

/** sysexits.h: EX_USAGE and EX_CONFIG. */
export const EXIT = { ok: 0, refused: 1, failed: 1, usage: 64, configuration: 78 } as const;

export const USAGE = `holdfast: an edge gateway for OAuth tokens that cannot be stolen

  holdfast serve   -c FILE              run the gateway
  holdfast check   -c FILE [--without-files] [--json]
                                        list all problems of a configuration, or say what each route demands
  holdfast explain -c FILE --method GET --url URL
                   [--token-file F|-] [--proof-file F] [--cert-file F] [--at TIME] [--json]
                                        decide about one request as the gateway would, and show every check
  holdfast why     REQUEST_ID [--admin URL] [--json]
                                        what a running gateway knows about one of its last refusals
  holdfast schema                       print the JSON Schema of the configuration
  holdfast version [--json]             print the version

  -c, --config FILE   the configuration; - reads it from standard input (check only), also out of the ConfigMaps
                      in what helm template or kustomize build prints; check takes FILE without -c as well
  --without-files     certificates, keys and secrets that the configuration names may be absent
  --token-file F      holds the access token, alone or after its scheme ("DPoP ..."); - reads standard input
  --proof-file F      holds the DPoP proof
  --cert-file F       PEM of the client's certificate, issuers after it
  --at TIME           the moment of the request, as in 2026-11-21T12:00:00Z; now by default
  --admin URL         the admin port of the gateway; http://127.0.0.1:9901 by default
  --json              the same for programs
  -h, --help          this text

Secrets are read from files or standard input, never from arguments: others can see those.
Exit codes: 0 good or permitted, 1 refused or failed, 64 wrong usage, 78 problems in the configuration.
`;

/** Thrown for people: the message says what is wrong with the command line. */
export class UsageError extends Error {}

const OPTIONS = {
  config: { type: 'string', short: 'c' },
  json: { type: 'boolean' },
  'without-files': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  method: { type: 'string' },
  url: { type: 'string' },
  'token-file': { type: 'string' },
  'proof-file': { type: 'string' },
  'cert-file': { type: 'string' },
  at: { type: 'string' },
  admin: { type: 'string' },
} as const;
type Option = keyof typeof OPTIONS;

/** Options that each command takes; all take --help. */
const COMMANDS = {
  serve: ['config', 'json'],
  check: ['config', 'without-files', 'json'],
  explain: ['config', 'json', 'method', 'url', 'token-file', 'proof-file', 'cert-file', 'at'],
  why: ['admin', 'json'],
  schema: ['json'],
  version: ['json'],
} as const satisfies Record<string, readonly Option[]>;
export type CommandName = keyof typeof COMMANDS;

export interface CommandLine {
  readonly command: CommandName | 'help';
  /** Of `why`; '': none was given. */
  readonly id: string;
  readonly options: { readonly [O in Option]?: (typeof OPTIONS)[O]['type'] extends 'boolean' ? boolean : string };
}

/** Reads the arguments after the program's name. @throws UsageError */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const { values, positionals, tokens } = parse(argv);
  const [command, ...others] = positionals;
  if (values.help || command === 'help') return { command: 'help', id: '', options: {} };
  if (command === undefined) throw new UsageError('a command is missing');
  if (!isCommand(command)) throw new UsageError(`there is no command "${command}"`);
  const config = command === 'check' && values.config === undefined ? others.shift() : undefined;
  const id = command === 'why' ? (others.shift() ?? '') : '';
  if (others.length > 0) throw new UsageError(`"${others[0]}" is one argument too many`);
  const named = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
  const repeated = named.find((option, index) => named.indexOf(option) < index);
  if (repeated !== undefined) throw new UsageError(`--${repeated} is given twice`);
  const taken: readonly string[] = COMMANDS[command];
  const foreign = Object.keys(values).find((option) => !taken.includes(option));
  if (foreign !== undefined) throw new UsageError(`"${command}" takes no --${foreign}`);
  return { command, id, options: config === undefined ? values : { ...values, config } };
}

function isCommand(text: string): text is CommandName {
  return Object.hasOwn(COMMANDS, text);
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, tokens: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'unreadable arguments', { cause: error });
  }
}

/** The value of an option that the command cannot do without. @throws UsageError */
export function demand({ command, options }: CommandLine, option: 'config' | 'method' | 'url'): string {
  const value = options[option];
  if (value === undefined || value === '') throw new UsageError(`"${command}" needs --${option}`);
  return value;
}
