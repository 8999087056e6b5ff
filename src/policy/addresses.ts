// Addresses of a policy as text: where a port is bound, and where an upstream is.

import type { Bind } from './policy.ts';
import type { Target } from './upstream.ts';

/** `0.0.0.0:8443`, `[::]:8443` or `unix:/run/holdfast.sock`. */
export function formatBind(bind: Bind): string {
  if ('path' in bind) return `unix:${bind.path}`;
  return bind.host.includes(':') ? `[${bind.host}]:${bind.port}` : `${bind.host}:${bind.port}`;
}

/** `http://127.0.0.1:9000` or `unix:/run/orders.sock`. */
export function formatTarget({ origin, socketPath }: Target): string {
  return socketPath === undefined ? origin : `unix:${socketPath}`;
}

/** Whether both cannot be bound at once; port 0 is a new port each time. */
export function collide(one: Bind, two: Bind): boolean {
  if ('path' in one || 'path' in two) return 'path' in one && 'path' in two && one.path === two.path;
  const everywhere = (host: string): boolean => host === '0.0.0.0' || host === '::';
  const overlap = one.host === two.host || everywhere(one.host) || everywhere(two.host);
  return one.port === two.port && one.port !== 0 && overlap;
}
