// The reader of the command line: a command, its operand and its options.

import { parseArgs } from 'node:util';
import { nearest } from '../config/nearest.ts';
import {
  COMMAND_NAMES,
  COMMANDS,
  type CommandName,
  type CommandRow,
  isCommand,
  type Option,
  OPTIONS,
  type OptionRow,
  optionsOf,
} from './commands.ts';

/** Thrown for people: the message says what is wrong with the command line. */
export class UsageError extends Error {
  /** The command whose help says more; undefined: the list of commands does. */
  readonly command: CommandName | undefined;

  constructor(message: string, { command, cause }: { readonly command?: CommandName; readonly cause?: unknown } = {}) {
    super(message, { cause });
    this.command = command;
  }
}

type Value<O extends Option> = (typeof OPTIONS)[O] extends { multiple: true }
  ? readonly string[]
  : (typeof OPTIONS)[O]['type'] extends 'boolean'
    ? boolean
    : string;

export interface CommandLine {
  readonly command: CommandName | 'help';
  /** What stands behind the command; of `help` the command that is asked about; '': nothing. */
  readonly operand: string;
  /** All of them, for a command that takes several. */
  readonly operands: readonly string[];
  readonly options: { readonly [O in Option]?: Value<O> };
}

/** Reads the arguments after the program's name. @throws UsageError */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const { positionals, tokens } = parseArgs({
    args: [...argv],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const given = tokens.filter((token) => token.kind === 'option');
  const asks = (option: Option) => given.some(({ name }) => name === option);
  const [command, ...operands] = positionals;
  if (command === 'help') return helpAbout(operands[0]);
  if (asks('help')) return helpAbout(command);
  if (command === undefined && asks('version')) {
    return commandLine(
      'version',
      [],
      given.filter(({ name }) => name !== 'version'),
    );
  }
  if (command === undefined) throw new UsageError('a command is missing');
  if (!isCommand(command)) throw new UsageError(`there is no command "${command}"${meant(command, COMMAND_NAMES)}`);
  return commandLine(command, operands, given);
}

interface GivenOption {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function commandLine(command: CommandName, operands: readonly string[], given: readonly GivenOption[]): CommandLine {
  const options: Record<string, string | true | readonly string[]> = {};
  for (const one of given) {
    const option = takenBy(command, one);
    const { type, multiple }: OptionRow = OPTIONS[option];
    const value = readValue(command, one, type);
    const before = options[option];
    if (before !== undefined && !multiple) throw new UsageError(`--${option} is given twice`, { command });
    options[option] = multiple ? [...(typeof before === 'object' ? before : []), String(value)] : value;
  }
  const { operand: takes }: CommandRow = COMMANDS[command];
  const isConfig = takes?.name === 'FILE' && options['config'] === undefined;
  const [operand = '', second] = operands;
  const most = takes?.several ? undefined : second;
  const tooMany = takes === undefined || (takes.name === 'FILE' && !isConfig) ? operands[0] : most;
  if (tooMany !== undefined) throw new UsageError(`"${tooMany}" is one argument too many`, { command });
  if (takes !== undefined && takes.optional !== true && operand === '') {
    throw new UsageError(`"${command}" needs a ${takes.name}`, { command });
  }
  if (isConfig && operand !== '') options['config'] = operand;
  return { command, operand, operands, options };
}

/** The option by its name, which the command takes. */
function takenBy(command: CommandName, { name, rawName }: GivenOption): Option {
  const taken = optionsOf(command);
  const option = taken.find((one) => one === name);
  if (option !== undefined) return option;
  const foreign = Object.hasOwn(OPTIONS, name) && name !== 'version';
  const hint = foreign ? '' : meant(name, taken, '--');
  throw new UsageError(foreign ? `"${command}" takes no ${rawName}` : `there is no option ${rawName}${hint}`, {
    command,
  });
}

function readValue(
  command: CommandName,
  { name, value, inlineValue }: GivenOption,
  type: OptionRow['type'],
): string | true {
  if (type === 'boolean') {
    if (value !== undefined) throw new UsageError(`--${name} takes no value`, { command });
    return true;
  }
  // `--config --json`: the next option was meant, and no file of that name.
  if (value === undefined || value === '' || (!inlineValue && /^-./.test(value))) {
    throw new UsageError(`--${name} needs a value`, { command });
  }
  return value;
}

function helpAbout(command: string | undefined): CommandLine {
  if (command === undefined || command === 'help') return { command: 'help', operand: '', operands: [], options: {} };
  if (!isCommand(command)) throw new UsageError(`there is no command "${command}"${meant(command, COMMAND_NAMES)}`);
  return { command: 'help', operand: command, operands: [], options: {} };
}

function meant(word: string, words: readonly string[], before = ''): string {
  const near = nearest(word, words);
  return near === undefined ? '' : `; did you mean ${before}${near}?`;
}

/** The value of an option that the command cannot do without. @throws UsageError */
export function demand({ command, options }: CommandLine, option: 'config' | 'method' | 'url'): string {
  const value = options[option];
  if (value !== undefined && value !== '') return value;
  throw new UsageError(`"${command}" needs --${option}`, command === 'help' ? {} : { command });
}
