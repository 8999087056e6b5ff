// docs/neighbours-attacks.md: what each attack of the catalogue came to behind each proxy, from the outcomes that the tests recorded.

import { type Outcomes, readOutcomes, UNSTOPPABLE } from '../../test/interop/neighbours/outcomes.ts';

const MARKS = { Holdfast: 'H', front: 'f', cleaned: 'c', passes: '**!**' } as const;

const escape = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('`', '\\`');
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

export function attacksPage(): string {
  const outcomes = readOutcomes();
  const products = Object.keys(outcomes);
  const attacks = Object.keys(outcomes[products[0] ?? ''] ?? {});
  const groups = [...new Set(attacks.map(groupOf))];
  const head = (first: string) => [row([first, ...products]), row(['---', ...products.map(() => ':---:')])];
  const tables = groups.flatMap((group) => [
    `\n## ${group.charAt(0).toUpperCase()}${group.slice(1)}\n`,
    ...head('attack'),
    ...attacks
      .filter((attack) => groupOf(attack) === group)
      .map((attack) => row([`\`${escape(attack.slice(group.length + 2))}\``, ...cellsOf(outcomes, products, attack)])),
  ]);
  return `${INTRODUCTION}
${head('sorted').join('\n')}
${summary(outcomes, products).join('\n')}

${Object.entries(UNSTOPPABLE)
  .map(([product, { why }]) => `What passes ${product}: ${why}. Tell the server behind it to ignore them, as most do.`)
  .join('\n')}
${tables.join('\n')}
`;
}

const groupOf = (attack: string) => attack.split(': ')[0] ?? '';

const cellsOf = (outcomes: Outcomes, products: readonly string[], attack: string) =>
  products.map((product) => {
    const verdict = outcomes[product]?.[attack];
    return verdict === undefined ? '' : MARKS[verdict.by];
  });

function summary(outcomes: Outcomes, products: readonly string[]): readonly string[] {
  return Object.entries({
    Holdfast: '**H** Holdfast refused it',
    front: '**f** the proxy refused it',
    cleaned: '**c** forwarded without what is dangerous in it',
    passes: '**!** reached the upstream',
  }).map(([by, title]) =>
    row([
      title,
      ...products.map((each) => String(Object.values(outcomes[each] ?? {}).filter((one) => one.by === by).length)),
    ]),
  );
}

const INTRODUCTION = `# Attacks through each proxy

Made by \`npm run generate\` from \`test/interop/neighbours/outcomes.json\`, which
[neighbours.ts](../test/interop/neighbours.ts) holds every run against and writes with \`RECORD=1\`. Each attack is sent as bytes over
TLS to the real product, with its files of [deploy/](../deploy), Holdfast deciding and an upstream that keeps every byte behind it. In the
policy of the catalogue everything is public but \`/admin/*\`, which needs a DPoP-bound token; behind each attack stands a hidden request
for \`/admin/hidden\`. Something reaches the upstream (**!**) if it gets a request for \`/admin\` by any reading that
[checks.md §0](checks.md) has in scope, bytes that are not one whole request, a forged identity, address or certificate, another host, or
trailers. *Holdfast alone* is proxy mode.
`;
