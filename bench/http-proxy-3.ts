// A peer that checks nothing: an https server with http-proxy-3 and keep-alive.
//
// node bench/http-proxy-3.ts PORT TARGET CERT KEY

import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createServer } from 'node:https';
import { createProxyServer } from 'http-proxy-3';

const [port, target, cert, key] = process.argv.slice(2) as [string, string, string, string];
const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true, maxSockets: 64 }) });
proxy.on('error', (_error, _request, answer) => answer.destroy());
createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, answer) =>
  proxy.web(request, answer),
).listen(Number(port), '127.0.0.1');
