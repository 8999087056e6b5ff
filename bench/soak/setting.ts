// Ports, files and credentials that the processes of a soak run share.

import { createPrivateKey, type webcrypto } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Client, Credentials } from '../credentials.ts';

export interface Setting {
  /** Of the gateway under test. */
  readonly port: number;
  readonly origin: string;
  readonly ca: string;
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly clients: readonly Client[];
}

/** What a load process reports, once a second. */
export interface Report {
  /** Milliseconds of each exchange that went as it should, by kind. */
  readonly latencies: Readonly<Record<string, readonly number[]>>;
  /** What did not, with its kind. */
  readonly unexpected: readonly string[];
  /** Exchanges that were left out because too many of their kind were still running. */
  readonly late: number;
}

interface Written {
  readonly port: number;
  readonly files: Pick<Credentials, 'client'>;
  readonly clients: readonly { readonly key: webcrypto.JsonWebKey; readonly tokens: Client['tokens'] }[];
}

/** Writes the setting into a file for the load processes. */
export function writeSetting(path: string, port: number, { client, clients }: Credentials): void {
  const keys = clients.map(({ privateKey, tokens }) => ({ key: privateKey.export({ format: 'jwk' }), tokens }));
  const written: Written = { port, files: { client }, clients: keys };
  writeFileSync(path, JSON.stringify(written), { mode: 0o600 });
}

export function readSetting(path: string): Setting {
  const { port, files, clients }: Written = JSON.parse(readFileSync(path, 'utf8'));
  return {
    port,
    origin: `https://localhost:${port}`,
    ca: readFileSync(files.client.ca, 'utf8'),
    certificate: { cert: readFileSync(files.client.cert, 'utf8'), key: readFileSync(files.client.key, 'utf8') },
    clients: clients.map(({ key, tokens }) => {
      const { d: _secret, ...jwk } = key;
      return { privateKey: createPrivateKey({ key, format: 'jwk' }), jwk, tokens };
    }),
  };
}
