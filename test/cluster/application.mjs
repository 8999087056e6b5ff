// A small server of HTTP/1.1: HOST is an address or the path of a unix socket.

import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';

const { HOST = '0.0.0.0', PORT = '8080' } = process.env;
const server = createServer((request, response) => {
  request.resume();
  setTimeout(() => response.end(`${request.method} ${request.url}\n`), 5);
});
const socket = HOST.startsWith('/');
if (socket) server.listen(HOST, () => chmodSync(HOST, 0o666));
else server.listen(Number(PORT), HOST);
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
