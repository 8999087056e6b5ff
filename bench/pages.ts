// The pages of the benchmark, made from what was measured.

import { budgetChart } from './budget-page.ts';
import { growthChart, growthPage } from './growth-page.ts';
import { performanceChart, performancePage } from './report.ts';
import type { Results } from './results.ts';

/** Path from the root of the repository → its text. */
export function pagesOf(results: Results): Readonly<Record<string, string>> {
  return {
    'docs/growth.md': growthPage(results),
    'docs/growth.svg': growthChart(results.growth?.curves ?? []),
    'docs/performance.md': performancePage(results),
    'docs/performance.svg': performanceChart(results.rounds),
    'docs/performance-budget.svg': budgetChart(results.budgets ?? []),
  };
}
