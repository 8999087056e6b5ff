// The rooms of src/ in the order of their imports, each with its purpose.

/** A folder or file directly in src/. */
export interface Room {
  readonly name: string;
  /** One line, for docs/tree.md. */
  readonly purpose: string;
  /** Data in, data out: imports no socket, file or process, no library of a server, and asks no clock. */
  readonly pure: boolean;
}

const pure = (name: string, purpose: string): Room => ({ name, purpose, pure: true });
const outer = (name: string, purpose: string): Room => ({ name, purpose, pure: false });

/** A room imports from those before it and from itself. The only place where the order is written (test/house/imports.test.ts). */
export const ROOMS: readonly Room[] = [
  pure('long-work', 'Long work that lets other work have its turn.'),
  pure('http', 'The grammar of messages, URIs and addresses. Knows nothing of OAuth.'),
  pure('jose', 'JWS, JWK and thumbprints.'),
  pure('request-facts', 'What the decision knows about a request.'),
  pure('rate', 'Rate limits: what is counted, the counts, and the fields that tell.'),
  pure('rejection', 'The table of reasons, their challenges and answers.'),
  pure('token', 'Access tokens: how they are presented, verified and read.'),
  pure('binding', 'What a sender must show, and the Permit.'),
  pure('certificate', 'Client certificates and the fields that carry them.'),
  pure('proof', 'DPoP proofs, nonces, and the contract of replay stores.'),
  pure('signature', 'HTTP message signatures and digests of bodies.'),
  pure('policy', 'What a configuration means: read by every request.'),
  pure('enforce', 'THE PATH: one function decides.'),
  pure('config', 'YAML to policy, problems and plain words. Runs at load time only.'),
  pure('kubernetes', 'Gateway API objects to configurations and statuses. Knows no API server.'),
  outer('dns', 'Names to addresses, for every connection that the gateway opens.'),
  outer('issuer', 'Talks to authorization servers: keys, introspection and token exchange.'),
  outer('memory', 'Replay stores: of the threads of one process, and of replicas through Redis.'),
  outer('observe', 'Log and metrics.'),
  outer('edge', 'Sockets: listeners, requests, fields, forwarding, upstreams.'),
  outer('operator', 'The ports of operators: telemetry, admin, status page.'),
  outer('worker', 'A thread that serves: its data plane and its orders.'),
  outer('supervisor', 'The thread that serves no traffic: starts, watches and replaces workers.'),
  outer('controller', 'Watches a Kubernetes cluster, and runs data planes for its Gateways.'),
  outer('cli', 'The commands.'),
  outer('main', 'The process.'),
];

/** Files of pure rooms that import something from outside all the same: one reads files, the others ask Node for addresses and methods. */
export const EXCEPTIONS: Readonly<Record<string, RegExp>> = {
  'src/config/read/read.ts': /^node:fs(?:\/promises)?$/,
  'src/http/address.ts': /^node:net$/,
  'src/http/method.ts': /^node:http$/,
};

/** What pure rooms may not import: sockets, files, processes, clients and servers. */
export const OUTSIDE =
  /^(?:node:(?:fs|fs\/promises|net|http|http2|https|tls|dgram|dns|dns\/promises|child_process|worker_threads|cluster)|undici|ioredis|pino|prom-client|http-proxy-3)$/;
