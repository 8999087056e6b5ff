// The page about every reason, for links of the demo page: what docs/rejections.md has.

import { html, table } from '../src/operator/html.ts';
import { REASON_NAMES, REASONS } from '../src/rejection/rejection.ts';

/** One HTML document; each reason is a fragment of its address. */
export function rejectionsPage(): string {
  const rows = REASON_NAMES.map((name) => {
    const { stage, status, error, title, remedy } = REASONS[name];
    return [html`<code id="${name}">${name}</code>`, stage, status, error === false ? '' : error, title, remedy];
  });
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Reasons of Holdfast</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/quickstart/page/icon.svg"><link rel="stylesheet" href="/quickstart/page/page.css"></head>
<body class="reasons"><header><h1>Reasons</h1>
<p>Every refusal has one reason of this table, in the order of the checks. It is the table of docs/rejections.md, which says more.
<a href="/">Back to the demo</a></p></header>
<main>${table(['Reason', 'Stage', 'Status', 'Error', 'Title', 'What to do next'], rows)}</main></body></html>
`;
  return page.text;
}
