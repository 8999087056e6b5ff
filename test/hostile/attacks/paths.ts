// Disguises of /admin, and what some server could take a raw path for.

/*
 * In scope (C0.10 to C0.15, docs/decisions/0001 and 0013), in any combination: percent-decoding once, before or after splitting into
 * segments; cutting ;params, before or after decoding; \ as /; collapsing //; removing dot segments; ending at ?, # or NUL; UTF-8 that
 * does not check for overlong forms. Out of scope, because such a server is wrong about URIs or files and not about paths: decoding
 * twice (RFC 3986 §2.4), comparing without case (§6.2.2.1), and dropping a trailing slash, dot or space.
 */

/** Decodes once; overlong UTF-8 of a character below U+0080 becomes that character. */
function decode(text: string): string {
  return text
    .replace(/%C[01]%([89AB][0-9A-F])/gi, (_, last: string) => octet(Number.parseInt(last, 16) & 0x3f, /C1/i.test(_)))
    .replace(/%E0%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%F0%80%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%F8%80%80%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%FC%80%80%80%8[01]%([89AB][0-9A-F])/gi, (_, last: string) =>
      octet(Number.parseInt(last, 16) & 0x3f, /%81/i.test(_)),
    )
    .replace(/%([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
const octet = (low: number, upper: boolean) => String.fromCharCode(upper ? low | 0x40 : low);

const cut = (path: string) => path.replace(/;[^/]*/g, '');
const backslashes = (path: string) => path.replaceAll('\\', '/');
const truncated = (path: string) => path.replace(/[#?\0][^]*$/, '');
const resolved = (path: string) => {
  const out: string[] = [];
  for (const segment of path.split('/').filter((each) => each !== '')) {
    if (segment === '..') out.pop();
    else if (segment !== '.') out.push(segment);
  }
  return `/${out.join('/')}`;
};

/** What some server could take a raw path for. */
export function readings(raw: string): readonly string[] {
  const orders: readonly (readonly ((path: string) => string)[])[] = [
    [resolved, decode],
    [decode, resolved],
    [cut, decode, resolved],
    [decode, cut, resolved],
    [cut, resolved, decode],
    [decode, backslashes, cut, resolved],
    [backslashes, cut, decode, resolved],
    [decode, truncated, backslashes, cut, resolved],
  ];
  return orders.map((steps) => steps.reduce((path, step) => step(path), raw));
}

export const isAdmin = (path: string) => path === '/admin' || path.startsWith('/admin/');

/** Each means /admin, or nothing, to some server; refused where everything else is public. */
export const DISGUISED: readonly string[] = [
  '/admin',
  '/admin/',
  '/admin/1',
  '/%61dmin/1',
  '/%61%64%6d%69%6e/1',
  '/admi%6E',
  '/admin;x=1/1',
  '/admin;/1',
  '/admin;x%2F1',
  '/admin?x',
  '/admin/1?x',
  '/admin/%2561',
  '/admin/1;/2',
  '//admin/1',
  '/./admin/1',
  '/x/../admin/1',
  '/x/..;/admin/1',
  '/x/..;y=1/admin/1',
  '/x/%2e%2e/admin/1',
  '/x/%2E./admin/1',
  '/x/.%2e;y/admin/1',
  '/x/..%2Fadmin/1',
  '/x%2F..%2Fadmin/1',
  '/x%2f%2e%2e%2fadmin%2f1',
  '/x/..%5Cadmin/1',
  '/..%5Cadmin/1',
  '/%5Cadmin/1',
  '/\\admin/1',
  '/x\\..\\admin\\1',
  '/x/..%3B/admin/1',
  '/x/..%3By=1/admin/1',
  '/;/admin/1',
  '/;x/admin/1',
  '/%3B/admin/1',
  '/%3Bx/admin/1',
  '/admin%3Bx/1',
  '/admin%3bx%2f1',
  '/admin%2F1',
  '/admin%2f',
  '/%2Fadmin/1',
  '/%2F%2Fadmin%2F1',
  '/%2F;x/admin/1',
  '/admin%2F%2F1',
  '/admin%00/1',
  '/admin%00',
  '/admin/1%00.html',
  '/admin%23/1',
  '/admin#/1',
  '/admin%3F',
  '/admin%3fx/1',
  '/%3B%3Fx/admin/1',
  '/admin%2F%23',
  '/admin%0A/1',
  '/admin%0d%0aX:1',
  '/admin%7F',
  '/%c0%ae%c0%ae/admin/1',
  '/x/%c0%ae%c0%ae/admin/1',
  '/x%c0%afadmin',
  '/%c0%afadmin/1',
  '/%e0%80%afadmin/1',
  '/%f0%80%80%afadmin/1',
  '/%f8%80%80%80%afadmin/1',
  '/%fc%80%80%80%80%afadmin/1',
  '/x/%f8%80%80%80%ae%f8%80%80%80%ae/admin/1',
  '/%C1%A1dmin/1',
  '/%F8%80%80%81%A1dmin/1',
  '/%',
  '/admin%',
  '/admin%2',
  '/admin%u002f1',
  '/admin%zz',
  '/adm\xefn',
  '/admin\x7f',
  '/x/%2e',
  '/.',
  '/..',
  '/...;/../admin',
];
