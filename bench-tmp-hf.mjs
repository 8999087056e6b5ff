import { createServer } from 'node:http';
import { Pool } from 'undici';
import { forward } from './src/edge/forward.ts';
import { openUpstream } from './src/edge/upstream.ts';
import { makePermit, makeRules, makeUpstream, TIMEOUTS } from './test/support/forwarding.ts';
const mode = process.argv[2];
const up = openUpstream(makeUpstream('http://127.0.0.1:19100', { connections: 64 }), 2);
const rules = makeRules({ forward: { identity: [{ field: 'X-Auth-Subject', source: { claims: [] } }] } });
const permit = makePermit({ identity: [['X-Auth-Issuer', 'https://login.example.com'], ['X-Auth-Subject', 'alice'], ['X-Auth-Client', 'shop'], ['X-Auth-Scope', 'orders:read'], ['X-Auth-Binding', 'dpop'], ['X-Auth-Thumbprint', 'a'.repeat(43)]] });
let n = 0;
const pool = new Pool('http://127.0.0.1:19100', { connections: 64 });
const plain = (req, res) => pool.dispatch({ method: req.method, path: req.url, headers: req.rawHeaders.filter((_, i) => !/^connection$/i.test(req.rawHeaders[i - (i % 2)])), body: null }, {
  onRequestStart() {}, onResponseStart(c, status) { const h = c.rawHeaders.map(String); const o=[]; for (let i=0;i<h.length;i+=2) if (!/^connection|keep-alive$/i.test(h[i])) o.push(h[i],h[i+1]); res.writeHead(status, o); },
  onResponseData(c, d) { if (!res.write(d)) c.pause(); }, onResponseEnd() { res.end(); }, onResponseError() { res.destroy(); },
});
const done = () => {};
const full = (request, response) => forward(permit, { request, response, facts: { method: request.method, origin: { scheme: 'https', authority: 'api.example.com', pathPrefix: '' }, target: request.url, matchPath: request.url }, peer: { address: '192.0.2.7', trusted: false }, rules, upstream: up, timeouts: { connect: 2, responseHeader: 30, idle: 60, total: undefined }, bodyLimit: 10485760, stripPrefix: undefined, expectsContinue: false, cors: [], settled: done });
const echo = (req, res) => { res.writeHead(200, { 'content-length': 99 }); res.end('x'.repeat(99)); };
const take = { plain, full, echo }[mode];
createServer((q, r) => { n += 1; take(q, r); }).listen(19101);
let c0, n0;
process.on('SIGUSR2', () => { c0 = process.cpuUsage(); n0 = n; });
process.on('SIGTERM', () => { const c = process.cpuUsage(c0); console.log(mode, ((c.user + c.system) / (n - n0)).toFixed(1), 'us/request', n - n0); process.exit(0); });
