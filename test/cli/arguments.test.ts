// The command line: its arguments, the hints of its refusals, and help for each command.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCommandLine, UsageError } from '../../src/cli/arguments.ts';
import { COMMAND_NAMES, COMMANDS, EXIT, OPTIONS, optionsOf } from '../../src/cli/commands.ts';
import { helpOf, overview } from '../../src/cli/help.ts';
import { columns, printable, wrap } from '../../src/cli/layout.ts';
import { manualPage } from '../../src/cli/manual-page.ts';
import { shellWords } from '../../src/cli/explain/curl.ts';
import { run } from '../../src/cli/run.ts';

const refusal = (...args: string[]) => {
  try {
    readCommandLine(args);
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return [error.message, error.command];
  }
  return assert.fail(args.join(' '));
};

describe('the command line', () => {
  test('a wrong option, a missing value and a value too many name the option, and never repeat a value', () => {
    assert.deepEqual(refusal('check', '--token=secret', 'a.yaml'), ['there is no option --token', 'check']);
    assert.deepEqual(refusal('check', '--jsn', 'a.yaml'), ['there is no option --jsn; did you mean --json?', 'check']);
    assert.deepEqual(refusal('check', '-x', 'a.yaml'), ['there is no option -x', 'check']);
    assert.deepEqual(refusal('serve', '--config', '--json'), ['--config needs a value', 'serve']);
    assert.deepEqual(refusal('serve', '--config='), ['--config needs a value', 'serve']);
    assert.deepEqual(refusal('check', '--json=yes', 'a.yaml'), ['--json takes no value', 'check']);
    assert.deepEqual(refusal('version', '--method', 'GET'), ['"version" takes no --method', 'version']);
    assert.deepEqual(refusal('check', 'a.yaml', '--version'), ['there is no option --version', 'check']);
  });
  test('a wrong command names the one that was meant, and none where there is none near', () => {
    assert.deepEqual(refusal('chekc'), ['there is no command "chekc"; did you mean check?', undefined]);
    assert.deepEqual(refusal('help', 'explian'), ['there is no command "explian"; did you mean explain?', undefined]);
    assert.deepEqual(refusal('validate'), ['there is no command "validate"', undefined]);
    assert.deepEqual(refusal('constructor'), ['there is no command "constructor"', undefined]);
    assert.deepEqual(refusal(), ['a command is missing', undefined]);
    assert.deepEqual(refusal('--json'), ['a command is missing', undefined]);
  });
  test('the configuration with or without -c, never twice', () => {
    for (const command of ['check', 'serve']) {
      const read = [readCommandLine([command, 'a.yaml']), readCommandLine(['--config', 'a.yaml', command])];
      assert.deepEqual(
        read.map(({ options }) => options.config),
        ['a.yaml', 'a.yaml'],
      );
    }
    assert.match(String(refusal('check', '-c', 'a.yaml', 'b.yaml')[0]), /"b.yaml" is one argument too many/);
    assert.match(String(refusal('check', '-c', 'a.yaml', '-c', 'b.yaml')[0]), /--config is given twice/);
    assert.equal(readCommandLine(['check', '-']).options.config, '-');
  });
  test('--help and help ask about the command that is named, wherever they stand', () => {
    for (const args of [
      ['check', '--help'],
      ['-h', 'check'],
      ['help', 'check'],
      ['check', 'a.yaml', '--nonsense', '-h'],
    ]) {
      assert.deepEqual(readCommandLine(args), { command: 'help', operand: 'check', operands: [], options: {} });
    }
    for (const args of [['--help'], ['help'], ['help', 'help']]) {
      assert.deepEqual(readCommandLine(args), { command: 'help', operand: '', operands: [], options: {} });
    }
  });
  test('--version is the command version', async () => {
    const [short, long, command] = await Promise.all([run(['-V']), run(['--version', '--json']), run(['version'])]);
    assert.equal(short.stdout, command.stdout);
    assert.match(JSON.parse(long.stdout).version, /^\d+\./);
  });
});

describe('texts made from the table of commands', () => {
  test('every command has a help page with its usage, each of its options, an example that can be read, and exit codes', () => {
    for (const command of COMMAND_NAMES) {
      const page = helpOf(command);
      assert.match(page, new RegExp(`^Usage: holdfast ${command}`));
      for (const option of optionsOf(command)) assert.match(page, new RegExp(`--${option}\\b`), `${command} ${option}`);
      for (const line of page.split('\n').filter((one) => !one.startsWith('  holdfast')))
        assert.ok(line.length <= 100, line);
      const own = COMMANDS[command].examples
        .flatMap(({ call }) => call.split(' | '))
        .map((call) => call.split(/ [<>] | > /)[0]);
      for (const call of own.filter((one) => one?.startsWith('holdfast '))) {
        readCommandLine(shellWords(call ?? '').slice(1));
      }
      const codes: readonly number[] = [0, ...Object.values(EXIT)];
      assert.ok(Object.keys(COMMANDS[command].exits).every((code) => codes.includes(Number(code))));
      assert.ok(overview().includes(`  ${command} `));
    }
  });
  test('every option of the table is taken by some command', () => {
    const taken = new Set([...COMMAND_NAMES.flatMap(optionsOf), 'version']);
    assert.deepEqual(
      Object.keys(OPTIONS).filter((option) => !taken.has(option as keyof typeof OPTIONS)),
      [],
    );
  });
  test('the manual page has every command and option, and no line that begins with a stray request', () => {
    const page = manualPage('1.2.3');
    for (const command of COMMAND_NAMES) {
      assert.ok(page.includes(`\n.SS holdfast ${command.replaceAll('-', '\\-')} `), command);
    }
    for (const option of Object.keys(OPTIONS).filter((one) => one !== 'version')) {
      assert.ok(page.includes(`\\-\\-${option.replaceAll('-', '\\-')}`), option);
    }
    const requests = page.split('\n').filter((line) => /^[.']/.test(line));
    assert.deepEqual(
      requests.filter((line) => !/^\.(?:\\"|TH|SH|SS|PP|TP|B|br|nf|fi|RS|RE)\b/.test(line) && !line.startsWith('.\\"')),
      [],
    );
  });
  test('lines are wrapped at words; a word that is too long has a line for itself', () => {
    assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
    assert.deepEqual(wrap('a muchtoolongword b', 5), ['a', 'muchtoolongword', 'b']);
    assert.equal(
      columns([
        ['-a', 'first'],
        ['-bc', 'second'],
      ]),
      '  -a   first\n  -bc  second\n',
    );
    assert.equal(printable('a\x1b[2Jé\n'), 'a\\u001b[2J\\u00e9\\u000a');
  });
});
