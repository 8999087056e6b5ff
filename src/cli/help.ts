// The help texts: the list of commands, and one page for each, made from the table.

import {
  COMMAND_NAMES,
  COMMANDS,
  type CommandName,
  type CommandRow,
  type Option,
  OPTIONS,
  type OptionRow,
  optionsOf,
} from './commands.ts';
import { columns, wrap } from './layout.ts';

export const PURPOSE = 'an edge gateway for OAuth tokens that cannot be stolen';

/** All commands, one line each. */
export function overview(): string {
  const rows = COMMAND_NAMES.map((name) => [name, COMMANDS[name].summary] as const);
  return [
    `holdfast: ${PURPOSE}\n`,
    `Usage: holdfast COMMAND [options]\n\n${columns(rows)}`,
    'holdfast COMMAND --help shows the options of a command, its exit codes and an example.\n' +
      'holdfast --version prints the version.\n',
    'Others on the machine can see arguments: give secrets in files or on standard input.\n' +
      'Exit codes: 0 good or permitted, 1 refused or failed, 2 could not tell (probe), 64 wrong usage, 78 problems in the configuration.\n',
  ].join('\n');
}

/** One command: usage, what it does, options, examples and exit codes. */
export function helpOf(command: CommandName): string {
  const { about, examples, exits }: CommandRow = COMMANDS[command];
  const options = optionsOf(command).map((option) => [optionForms(option), OPTIONS[option].about] as const);
  return [
    `Usage: ${usageOf(command)}\n`,
    ...about.map((paragraph) => `${wrap(paragraph).join('\n')}\n`),
    `Options:\n${columns(options)}`,
    `${examples.length === 1 ? 'Example' : 'Examples'}:\n${examples.map(({ call, about }) => `  # ${about.replace(/:$/, '')}\n  ${call}\n`).join('')}`,
    `Exit codes:\n${columns(Object.entries(exits))}`,
  ].join('\n');
}

/** `holdfast why REQUEST_ID [options]`. */
export function usageOf(command: CommandName): string {
  const { operand, needs = [] }: CommandRow = COMMANDS[command];
  const shown = operand?.optional ? `[${operand.name}${operand.several ? ' ...' : ''}]` : operand?.name;
  const needed = needs.map((option) => `--${option} ${valueOf(option)}`);
  return ['holdfast', command, ...(shown === undefined ? [] : [shown]), ...needed, '[options]'].join(' ');
}

/** `-c, --config FILE`. */
export function optionForms(option: Option): string {
  const { short }: OptionRow = OPTIONS[option];
  const value = valueOf(option);
  return `${short === undefined ? '    ' : `-${short}, `}--${option}${value === '' ? '' : ` ${value}`}`;
}

function valueOf(option: Option): string {
  const { value = '' }: OptionRow = OPTIONS[option];
  return value;
}
