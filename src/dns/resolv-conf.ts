// The search list of /etc/resolv.conf: the full names to ask for a short one.

/** What `search`, `domain` and `options ndots` say. Servers are read by c-ares itself. */
export interface SearchRules {
  /** Domains in their order, without dots at the ends. */
  readonly search: readonly string[];
  /** A name with fewer dots is tried under the search domains first. */
  readonly ndots: number;
}

/** As the C library caps it. */
const MOST_DOTS = 15;

/**
 * Reads the rules as the C library does: of `search` and `domain` the last line counts, LOCALDOMAIN and RES_OPTIONS override the file,
 * and without any of them the domain of the host's own name is searched.
 * @param env LOCALDOMAIN and RES_OPTIONS. @param hostname the host's own name
 */
export function readSearchRules(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  hostname: string,
): SearchRules {
  const [, own] = hostname.split(/\.(.*)/s);
  let search = own ? [own] : [];
  let options = '';
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain') search = words;
    if (keyword === 'options') options += ` ${words.join(' ')}`;
  }
  if (env['LOCALDOMAIN'] !== undefined) search = env['LOCALDOMAIN'].split(/\s+/);
  const dots = [...`${options} ${env['RES_OPTIONS'] ?? ''}`.matchAll(/(?:^|\s)ndots:(\d+)/g)].at(-1)?.[1];
  return {
    search: search.map((domain) => domain.replace(/^\.|\.$/g, '')).filter((domain) => domain !== ''),
    ndots: Math.min(MOST_DOTS, Number(dots ?? 1)),
  };
}

/** The full names to ask for, one after the other until one exists. A name that ends with a dot is a full name. */
export function fullNames(name: string, { search, ndots }: SearchRules): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const searched = search.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...searched] : [...searched, name];
}
