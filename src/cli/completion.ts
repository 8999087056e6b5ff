// Completion scripts for bash, zsh and fish, made from the table of commands.

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

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The script for one shell. */
export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

const spaced = (words: readonly string[]) => words.join(' ');
const rowOf = (option: Option): OptionRow => OPTIONS[option];
const operandOf = (command: CommandName) => (COMMANDS[command] as CommandRow).operand;
const shortOf = (option: Option) => {
  const { short } = rowOf(option);
  return short === undefined ? [] : [`-${short}`];
};
const EVERY_OPTION = Object.keys(OPTIONS) as readonly Option[];

function bash(): string {
  const values = EVERY_OPTION.flatMap((option) => {
    const { type, completes } = rowOf(option);
    if (type === 'boolean') return [];
    const found =
      completes === 'files' ? 'compgen -f -- "$word"' : `compgen -W "${spaced(completes ?? [])}" -- "$word"`;
    return [`    ${[`--${option}`, ...shortOf(option)].join('|')}) COMPREPLY=($(${found})); return ;;`];
  });
  const commands = COMMAND_NAMES.map((command) => {
    const completes = operandOf(command)?.completes;
    const operands =
      completes === 'files'
        ? ' $(compgen -f -- "$word")'
        : completes === undefined
          ? ''
          : ` $(compgen -W "${spaced(completes)}" -- "$word")`;
    const options = spaced(optionsOf(command).map((option) => `--${option}`));
    return `    ${command}) [[ $word == -* ]] && COMPREPLY=($(compgen -W "${options}" -- "$word")) || COMPREPLY=(${operands.trim()}) ;;`;
  });
  return `# bash completion of holdfast: source <(holdfast completion bash)
_holdfast() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  case $before in
${values.join('\n')}
  esac
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${spaced([...COMMAND_NAMES, 'help', '--help', '--version'])}" -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${commands.join('\n')}
    help) COMPREPLY=($(compgen -W "${spaced(COMMAND_NAMES)}" -- "$word")) ;;
  esac
}
complete -o filenames -F _holdfast holdfast
`;
}

/** Inside a single-quoted word of _arguments: brackets and colons mean something. */
const quoted = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");

function zshAction(completes: OptionRow['completes']): string {
  if (completes === undefined) return ' ';
  return completes === 'files' ? '_files' : `(${spaced(completes)})`;
}

function zsh(): string {
  const commands = COMMAND_NAMES.map((name) => `    '${name}:${quoted(COMMANDS[name].summary)}'`);
  const cases = COMMAND_NAMES.map((command) => {
    const options = optionsOf(command).map((option) => {
      const { value, about, completes, type, multiple } = rowOf(option);
      const names = [...shortOf(option), `--${option}`];
      const head = multiple ? '*' : names.length > 1 ? `(${spaced(names)})` : '';
      const spelled = names.length > 1 ? `'{${names.join(',')}}'` : `--${option}`;
      const argument = type === 'string' ? `:${value ?? ''}:${zshAction(completes)}` : '';
      return `        '${head}${spelled}[${quoted(about)}]${argument}'`;
    });
    const operand = operandOf(command);
    const operands =
      operand === undefined
        ? []
        : [`        '${operand.several ? '*' : '1'}:${operand.name}:${zshAction(operand.completes)}'`];
    return `    ${command})\n      _arguments \\\n${[...options, ...operands].join(' \\\n')} ;;`;
  });
  return `#compdef holdfast
# zsh completion of holdfast: holdfast completion zsh > "\${fpath[1]}/_holdfast"
_holdfast() {
  local -a commands
  commands=(
${commands.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=\${words[2]}
  shift words
  ((CURRENT -= 1))
  case $command in
${cases.join('\n')}
    help) _describe command commands ;;
  esac
}
if [[ $funcstack[1] == _holdfast ]]; then _holdfast "$@"; else compdef _holdfast holdfast; fi
`;
}

function fish(): string {
  const text = (words: string) => `'${words.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const commands = COMMAND_NAMES.map(
    (name) => `complete -c holdfast -n __fish_use_subcommand -f -a ${name} -d ${text(COMMANDS[name].summary)}`,
  );
  const within = COMMAND_NAMES.flatMap((command) => {
    const when = `complete -c holdfast -n '__fish_seen_subcommand_from ${command}'`;
    const options = optionsOf(command).map((option) => {
      const { short, type, completes, about } = rowOf(option);
      const words = typeof completes === 'object' ? ` -a ${text(spaced(completes))}` : '';
      const value = type === 'boolean' ? '' : completes === 'files' ? ' -r -F' : ` -x${words}`;
      return `${when} -l ${option}${short === undefined ? '' : ` -s ${short}`}${value} -d ${text(about)}`;
    });
    const completes = operandOf(command)?.completes;
    if (completes === 'files') return [`${when} -F`, ...options];
    return [`${when} -f${completes === undefined ? '' : ` -a ${text(spaced(completes))}`}`, ...options];
  });
  return `# fish completion of holdfast: holdfast completion fish > ~/.config/fish/completions/holdfast.fish
complete -c holdfast -n __fish_use_subcommand -f -l version -s V -d ${text(OPTIONS.version.about)}
${[...commands, ...within].join('\n')}
`;
}
