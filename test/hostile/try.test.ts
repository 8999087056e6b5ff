// Probe.
import { test } from 'node:test';
import { startRig, HOST, SMUGGLED } from './rig.ts';
import { readAnswers } from './wire.ts';
const R = `- { name: open, match: { path: /* }, upstream: raw, require: public, encoded: [slash], limits: { request_body: none }, weaker_than_defaults: [require, encoded] }
- { name: admin, match: { path: /admin/* }, upstream: raw, require: dpop }`;
test('probe', async (t) => {
  const rig = await startRig(t, {routes: R});
  const one = async (bytes: string, wait = 300) => {
    const c = await rig.open(bytes);
    const n = rig.upstream.text.length;
    await Promise.race([c.toEnd(), new Promise(r => setTimeout(r, wait))]);
    c.socket.destroy();
    console.log('>>', JSON.stringify(bytes.slice(0, 150)), '\n<<', JSON.stringify(c.text.slice(0, 100)), /"reason":"(\w+)"/.exec(c.text)?.[1]??'', '\nUP', JSON.stringify(rig.upstream.text.slice(n).slice(0,300)));
  };
  await one(`POST /x HTTP/1.1\r\n${HOST}Content-Length: 18446744073709551615\r\n\r\nhello${SMUGGLED}`);
  await one(`POST /x HTTP/1.1\r\n${HOST}Content-Length: 18446744073709551616\r\n\r\nhello${SMUGGLED}`);
  await one(`POST /x HTTP/1.1\r\n${HOST}Content-Length: 9007199254740993\r\n\r\nhello${SMUGGLED}`);
  for (const p of ['/%F8%80%80%80%AE%F8%80%80%80%AE/admin', '/admin%3Bx/1', '/admin%2Fx', '/%2Fadmin/x', '/%3Bx/admin/1', '/admin%252Fx', '/admin;x/1', '/ADMIN/x', '/;/admin/1', '/%E0%40%AE/x'])
    await one(`GET ${p} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  for (const l of ['GET  /x HTTP/1.1', 'GET\t/x HTTP/1.1', 'GET /x  HTTP/1.1', 'GET /x HTTP/1.1 ', ' GET /x HTTP/1.1', '\r\n\r\nGET /x HTTP/1.1', '\nGET /x HTTP/1.1', 'GET /x\tHTTP/1.1', 'GET /x y HTTP/1.1', 'GET /x HTTP/01.1', 'GET /x HTTP/1.10', 'GET /x http/1.1', 'GET /x ICE/1.0', 'SOURCE /x ICE/1.0', 'OPTIONS rtsp://api.example.com/x RTSP/1.0', 'M-SEARCH * HTTP/1.1', 'QUERY /x HTTP/1.1', 'PURGE /x HTTP/1.1', 'TRACE /x HTTP/1.1', 'OPTIONS * HTTP/1.1','OPTIONS https://api.example.com HTTP/1.1','GET https://api.example.com HTTP/1.1','GET https://api.example.com?/admin/x HTTP/1.1','GET https://api.example.com/\\admin/x HTTP/1.1', 'GET https://u@api.example.com/x HTTP/1.1', 'GET api.example.com:443 HTTP/1.1', 'GET ?x HTTP/1.1', 'GET https:///x HTTP/1.1', 'GET //api.example.com/x HTTP/1.1','GET /x%0d%0aX:1 HTTP/1.1'])
    await one(`${l}\r\n${HOST}Connection: close\r\n\r\n`);
});
