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
