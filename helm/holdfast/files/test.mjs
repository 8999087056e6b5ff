// `helm test`: every listener answers through the Service, and lets nobody in without credentials.

import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';

/** Seconds for all, because a load balancer may just have been made. */
const until = Date.now() + 60_000;

/** The certificate is not looked at: it is for the name of the origin, and this asks the Service. */
function ask({ service, port, tls, host, path }) {
  const options = { host: service, port, path, headers: { Host: host }, agent: false, timeout: 5000 };
  const name = host.replace(/:\d+$/, '');
  const send = () => (tls ? requestTls({ ...options, servername: name, rejectUnauthorized: false }) : request(options));
  return new Promise((resolve) => {
    const sent = send();
    sent.once('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode, challenge: response.headers['www-authenticate'] ?? '' });
    });
    sent.once('timeout', () => sent.destroy(new Error('no answer within 5 s')));
    sent.once('error', (error) => resolve({ error: error.code ?? error.message }));
    sent.end();
  });
}

/** A listener that wants a PROXY header says nothing to those who send none. */
function open({ service, port }) {
  return new Promise((resolve) => {
    const socket = connect({ host: service, port, timeout: 5000 });
    const end = (said) => {
      socket.destroy();
      resolve(said);
    };
    socket.once('connect', () => end({ status: 'open' }));
    socket.once('timeout', () => end({ error: 'no connection within 5 s' }));
    socket.once('error', (error) => end({ error: error.code ?? error.message }));
  });
}

const JUDGES = {
  refusal: ({ status, challenge }) => status === 401 && challenge !== '',
  answer: ({ status }) => status >= 200 && status < 500,
  certificate: ({ error }) => /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|EPROTO|ECONNRESET/.test(error ?? ''),
  proxy: ({ status }) => status === 'open',
};

const WORDS = {
  refusal: 'a request without credentials is refused with a challenge',
  answer: 'it answers',
  certificate: 'a handshake without a certificate is refused',
  proxy: 'it is open; it wants a PROXY header, so nothing more is asked',
};

for (const target of JSON.parse(process.argv[1])) {
  const look = target.expects === 'proxy' ? open : ask;
  let said = await look(target);
  while (!JUDGES[target.expects](said) && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    said = await look(target);
  }
  const good = JUDGES[target.expects](said);
  console.log(`${good ? 'good' : 'BAD '} listener ${target.name}: ${good ? WORDS[target.expects] : `expected that ${WORDS[target.expects]}; got ${JSON.stringify(said)} for ${target.path} at ${target.service}:${target.port}`}`);
  if (!good) process.exitCode = 1;
}
