// Names that a target's certificate must have, and what only looks like one.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { compileConnector, ConnectFailure } from '../../../src/edge/upstream/connect.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const ca = await makeCa();
const stranger = await makeCa({ subject: 'CN=Stranger' });
const WORKLOAD = 'spiffe://cluster.local/ns/orders/sa/api';

/** Connects to a server whose certificate has the names. @returns what went wrong */
async function connectTo(
  t: TestContext,
  wishes: Parameters<typeof makeCertificate>[0],
  subjectAltNames: readonly string[],
): Promise<string> {
  const leaf = await makeCertificate({ ca, ...wishes });
  const seen: (string | false)[] = [];
  const server = createServer({ cert: leaf.chain, key: leaf.key }, (socket) => {
    seen.push(socket.servername ?? false);
    socket.on('error', () => 'the client has gone').resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const tls = { ca: ca.cert, cert: undefined, key: undefined, serverName: 'called.test', subjectAltNames };
  const connector = compileConnector(
    { origin: `https://127.0.0.1:${port}`, socketPath: undefined },
    { tls, http2: false },
    20,
  );
  const connect = () =>
    new Promise<string>((resolve) => {
      connector(
        { hostname: '127.0.0.1', host: `127.0.0.1:${port}`, protocol: 'https:', port: String(port) },
        (error, socket) => {
          socket?.destroy();
          resolve(error === null ? 'connected' : error instanceof ConnectFailure ? error.code : String(error));
        },
      );
    });
  const [first, second] = [await connect(), await connect()];
  // A second connection could resume the session of the first.
  assert.equal(second, first);
  return first;
}

for (const [what, names, allowed] of [
  ['a DNS name, in any case', ['Orders.Internal'], ['orders.internal']],
  ['one of several', ['a.test', 'b.test'], ['c.test', 'b.test']],
  ['a wildcard for one label', ['*.svc.internal'], ['orders.svc.internal']],
  ['a URI', [WORKLOAD], [WORKLOAD]],
  ['a URI beside a name that it lacks', [WORKLOAD], ['orders.internal', WORKLOAD]],
] as const) {
  test(`a certificate with ${what} is taken, though it has not the name that was called`, async (t) => {
    assert.equal(await connectTo(t, { names }, allowed), 'connected');
  });
}

for (const [what, wishes, allowed] of [
  ['another name', { names: ['a.test'] }, ['b.test']],
  ['the name that was called alone', { names: ['called.test'] }, ['b.test']],
  ['the address that was called alone', { names: ['127.0.0.1'] }, ['b.test']],
  ['a name below it', { names: ['x.b.test'] }, ['b.test']],
  ['a wildcard for two labels', { names: ['*.test'] }, ['a.b.test']],
  ['a wildcard within a label', { names: ['b*.test'] }, ['bc.test']],
  ['the name as its common name alone', { subject: 'CN=b.test', names: [] }, ['b.test']],
  ['another path of the URI', { names: [`${WORKLOAD}2`] }, [WORKLOAD]],
  ['the URI in another case', { names: [WORKLOAD.toUpperCase()] }, [WORKLOAD]],
  ['the URI within a longer one', { names: [`spiffe://evil.test/?, URI:${WORKLOAD}`] }, [WORKLOAD]],
  ['the host of the URI', { names: ['cluster.local'] }, [WORKLOAD]],
] as const) {
  test(`a certificate with ${what} is refused`, async (t) => {
    assert.equal(await connectTo(t, wishes, allowed), 'ERR_TLS_CERT_ALTNAME_INVALID');
  });
}

test('a good name from another CA is refused', async (t) => {
  assert.equal(await connectTo(t, { names: ['b.test'], ca: stranger }, ['b.test']), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});
