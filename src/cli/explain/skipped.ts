// Routes with the host and path of a request that it did not belong to, and why.

import { hostOf } from '../../http/uri.ts';
import { AskedParts, unmetCondition } from '../../policy/match.ts';
import type { Policy, Route } from '../../policy/policy.ts';
import { possibleGroups, type RouteQuestion } from '../../policy/route-table.ts';
import { shorten } from './words.ts';

/** A route that was looked at before the one that was chosen, and the part of its match that did not fit. */
export interface Skipped {
  readonly route: string;
  readonly what: string;
  readonly expected: string;
  readonly received: string;
}

/** In the order in which the gateway looks at them. @param chosen undefined: none fits */
export function listSkipped(
  { routeTable }: Policy,
  question: RouteQuestion,
  chosen: Route | undefined,
): readonly Skipped[] {
  const { listener, origin, matchPath, method } = question;
  const parts = new AskedParts(question);
  const tried = possibleGroups(routeTable, listener, hostOf(origin.authority), matchPath).flatMap(
    ({ ordered, routes }) => ordered ?? routes,
  );
  const skipped: Skipped[] = [];
  for (const route of tried) {
    if (route === chosen) break;
    const { methods } = route.match;
    const unmet = unmetCondition(route.match, parts);
    if (methods?.includes(method) === false) {
      skipped.push({ route: route.name, what: 'method', expected: methods.join(', '), received: shorten(method) });
    } else if (unmet !== undefined) {
      const what = unmet.of === 'fields' ? unmet.name : `?${unmet.name}`;
      skipped.push({ route: route.name, what, expected: unmet.value, received: shorten(unmet.received) });
    }
  }
  return skipped;
}
