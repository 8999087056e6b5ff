// The connections of ioredis, with names resolved as everywhere in the gateway.

import { AbstractConnector, SentinelConnector, type SentinelConnectionOptions } from 'ioredis';
import { connect, type LookupFunction, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

/** What ioredis knows of a server when it connects to it. */
interface ServerOptions {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly tls?: ConnectionOptions | undefined;
  readonly disconnectTimeout: number;
}

/** A class, because ioredis makes one for each of its clients. */
type ConnectorClass = new (options: unknown) => AbstractConnector;

/** For one server, or each of a cluster. */
export function serverConnector(lookup: LookupFunction): ConnectorClass {
  return class extends AbstractConnector {
    readonly #options: ServerOptions;

    constructor(options: unknown) {
      super((options as ServerOptions).disconnectTimeout);
      this.#options = options as ServerOptions;
    }

    async connect(): Promise<Socket | TLSSocket> {
      const { host, port, tls } = this.#options;
      const to = { host, port, lookup } as NetConnectOpts & ConnectionOptions;
      this.connecting = true;
      const stream = tls === undefined ? connect(to) : connectTls({ ...to, ...tls });
      stream.once('error', (error) => (this.firstError = error));
      this.stream = stream;
      return stream;
    }
  };
}

/** ioredis declares it private, and has no other way to say how sentinels are connected to. */
interface SentinelClients {
  connectToSentinel(endpoint: unknown, options?: object): unknown;
}

/** For the master that sentinels name, and for the sentinels. */
export function sentinelConnector(lookup: LookupFunction): ConnectorClass {
  const Connector = serverConnector(lookup);
  return class extends SentinelConnector {
    constructor(options: unknown) {
      super({
        ...(options as SentinelConnectionOptions),
        // Sentinels may give the master's name instead of its address; what this returns goes to `net.connect`.
        natMap: (key) => ({ ...endpointOf(key), lookup }),
      });
      const clients = this as unknown as SentinelClients;
      const connectToSentinel = clients.connectToSentinel.bind(this);
      clients.connectToSentinel = (endpoint, more) => connectToSentinel(endpoint, { ...more, Connector });
    }
  };
}

/** `redis.internal:6379`, or `2001:db8::1:6379` as ioredis writes it. */
function endpointOf(key: string): { host: string; port: number } {
  const at = key.lastIndexOf(':');
  return { host: key.slice(0, at), port: Number(key.slice(at + 1)) };
}
