// The page and the chart of the budget: µs of a request by step.

import type { Budget } from './budget.ts';
import { PARTS_OF_BUDGET, partsOf, totalOf } from './budget-parts.ts';

const KINDS = ['DPoP', 'bearer', 'public', 'bearer over HTTP/2'] as const satisfies readonly Budget['kind'][];
const PROGRAMS = ['before', 'Holdfast', 'Node and undici alone'] as const;

const µs = (value: number | undefined) => (value === undefined || value < 0.05 ? '–' : value.toFixed(1));
const signed = (value: number) =>
  Math.abs(value) < 0.05 ? '–' : `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;

/** In the order in which they are shown. */
const ordered = (budgets: readonly Budget[]) =>
  KINDS.flatMap((kind) =>
    PROGRAMS.flatMap((program) => budgets.filter((one) => one.kind === kind && one.program === program)),
  );

type Pick = (one: Budget) => number;

/** The programs of one kind side by side, and how Holdfast differs from each. */
function tableOf(kind: Budget['kind'], budgets: readonly Budget[]): string {
  const columns = ordered(budgets).filter((one) => one.kind === kind);
  const ours = columns.find(({ program }) => program === 'Holdfast');
  const others = ours === undefined ? [] : columns.filter((one) => one !== ours);
  const cells = (pick: Pick) => [
    ...columns.map((one) => µs(pick(one))),
    ...others.map((one) => signed(pick(ours!) - pick(one))),
  ];
  const line = (title: string, pick: Pick) => `| ${[title, ...cells(pick)].join(' | ')} |`;
  const heads = [
    ...columns.map(({ program }) => program),
    ...others.map(({ program }) => (program === 'before' ? 'before → Holdfast' : 'Holdfast − Node')),
  ];
  const costOf =
    (name: string): Pick =>
    (one) =>
      partsOf(one).find(([part]) => part === name)![1];
  const shown = PARTS_OF_BUDGET.filter((name) => columns.some((one) => costOf(name)(one) >= 0.05));
  const all = `| ${['all', ...cells(totalOf)].map((cell) => `**${cell}**`).join(' | ')} |`;
  return `| ${kind}, CPU µs per request | ${heads.join(' | ')} |
| --- | ${heads.map(() => '---:').join(' | ')} |
${shown.map((name) => line(name, costOf(name))).join('\n')}
${all}
${line('of it in user mode', ({ user }) => user)}
${line('of it in the kernel', ({ system }) => system)}

Seconds of load until warm: ${columns.map(({ program, warm }) => `${program} ${warm}`).join(', ')}.
`;
}

/** @returns nothing where none was measured */
export function budgetSection(budgets: readonly Budget[]): string {
  if (budgets.length === 0) return '';
  const tables = KINDS.filter((kind) => budgets.some((one) => one.kind === kind)).map((kind) => tableOf(kind, budgets));
  return `## Where the time of a request goes

![CPU time per request by step](performance-budget.svg)

${tables.join('\n')}
One worker at full load, by its sources. First a run in which the clocks of all threads are read (\`/proc/PID/task\`), then one in which the thread that serves is
profiled (V8, every 0.5 ms): its time is divided as its samples are. A function of Node belongs to what called it; the writes are system calls with TLS around
them. Native code outside of JavaScript is what V8 cannot tell apart: decryption, the parser of HTTP, the event loop. Node and undici alone do the same for a
public request, and with one verification for DPoP; they have no bearer route, and look at no token
where they stand next to one. Over HTTP/2 8 requests are in flight on each of 4 connections.

`;
}

const WIDTH = 900;
const LEFT = 260;
const ROW = 32;
const TOP = 50;
/** One for each step, then helpers and others. */
const COLOURS = [
  '#6b7280',
  '#9ca3af',
  '#31688e',
  '#4a90c2',
  '#7fb8de',
  '#2f6f4f',
  '#5fa37f',
  '#b5651d',
  '#d9a066',
  '#e8c9a0',
  '#8a4f7d',
  '#b888ab',
  '#c9b458',
  '#444444',
  '#a33b3b',
  '#d98080',
  '#e5e7eb',
];

/** Stacked bars: one for each program and kind of request. */
export function budgetChart(budgets: readonly Budget[]): string {
  const bars = ordered(budgets);
  const most = Math.max(1, ...bars.map(totalOf));
  const scale = (WIDTH - LEFT - 70) / most;
  const drawn = bars.map((one, at) => {
    const y = TOP + at * ROW;
    let x = LEFT;
    const pieces = partsOf(one).map(([name, value], nth) => {
      const piece = `<rect x="${x.toFixed(1)}" y="${y}" width="${(value * scale).toFixed(1)}" height="22" fill="${COLOURS[nth]}"><title>${name}: ${value.toFixed(1)} µs</title></rect>`;
      x += value * scale;
      return piece;
    });
    const label = `<text x="${LEFT - 10}" y="${y + 16}" text-anchor="end">${one.kind}, ${one.program}</text>`;
    return `${label}${pieces.join('')}<text x="${(x + 6).toFixed(1)}" y="${y + 16}">${totalOf(one).toFixed(0)}</text>`;
  });
  const below = TOP + bars.length * ROW + 20;
  const legend = PARTS_OF_BUDGET.map((name, at) => {
    const [x, y] = [20 + (at % 3) * 295, below + Math.floor(at / 3) * 22];
    return `<rect x="${x}" y="${y}" width="14" height="14" fill="${COLOURS[at]}"/><text x="${x + 20}" y="${y + 12}">${name}</text>`;
  });
  const height = below + Math.ceil(PARTS_OF_BUDGET.length / 3) * 22 + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" fill="#111">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
<text x="20" y="28" font-size="16">CPU µs per request by step</text>
${drawn.join('\n')}
${legend.join('\n')}
</svg>
`;
}
