// HTML that cannot be injected into: every value is escaped, and only templates make markup.

/** Text that is HTML already; only `html` and `trusted` make it. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Inner = string | number | Html | readonly Html[];

export function html(parts: TemplateStringsArray, ...values: readonly Inner[]): Html {
  const shown = (value: Inner | undefined): string => {
    if (value instanceof Html) return value.text;
    if (typeof value === 'object') return value.map(({ text }) => text).join('');
    return String(value ?? '').replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  };
  return new Html(parts.map((part, index) => `${part}${index < values.length ? shown(values[index]) : ''}`).join(''));
}

/** A table whose cells know their names, for narrow screens; nothing where there are no rows. */
export function table(names: readonly string[], rows: readonly (readonly Inner[])[]): Html {
  if (rows.length === 0) return html``;
  const cells = (row: readonly Inner[]) =>
    row.map((cell, index) => html`<td data-name="${names[index] ?? ''}">${cell}</td>`);
  return html`<div class="wide"><table><thead><tr>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>`)}</tbody></table></div>`;
}

export function bullets(items: readonly string[]): Html {
  return items.length === 0 ? html`` : html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`;
}

/** `unknown` is grey: it is never good. */
export type Tone = 'good' | 'bad' | 'warn' | 'unknown';

export function mark(tone: Tone, text: string): Html {
  return html`<span class="${tone}">${text}</span>`;
}

/** A line over equal steps, the newest at the right end; no picture where there is nothing to see. */
export function sparkline(values: readonly number[], tone: Tone): Html {
  const most = Math.max(...values);
  if (!(most > 0)) return html``;
  const [width, height] = [120, 24];
  const points = values.map((value, at) => {
    const x = (at / Math.max(1, values.length - 1)) * width;
    return `${x.toFixed(1)},${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`;
  });
  return html`<svg class="${tone}" viewBox="0 0 ${width} ${height}" height="${height}" preserveAspectRatio="none" role="img" aria-label="the last hour"><polyline points="${points.join(' ')}" fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"/></svg>`;
}
