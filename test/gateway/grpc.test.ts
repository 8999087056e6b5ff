// gRPC through a whole gateway, with the client and the server of grpc-js: every kind of call, every way to fail, credentials in metadata.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, describe, it } from 'node:test';
import {
  type ChannelOptions,
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
  type StatusObject,
} from '@grpc/grpc-js';
import { HOST, portOf, SERVER, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestCertificate } from '../support/pki.ts';
import { CLIENT, issue, prove, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const SERVICE = '/test.Echo';
const text = (value: string): Buffer => Buffer.from(value);
const own = (value: Buffer): Buffer => value;
const marshal = { requestSerialize: own, requestDeserialize: own, responseSerialize: own, responseDeserialize: own };
const MIB = 1024 * 1024;

const DEFINITION = {
  unary: { path: `${SERVICE}/Unary`, requestStream: false, responseStream: false, ...marshal },
  answers: { path: `${SERVICE}/Answers`, requestStream: false, responseStream: true, ...marshal },
  collect: { path: `${SERVICE}/Collect`, requestStream: true, responseStream: false, ...marshal },
  talk: { path: `${SERVICE}/Talk`, requestStream: true, responseStream: true, ...marshal },
};

/** What the server does; `unary` answers with what it got and trailers until a test says otherwise. */
interface Handlers {
  unary: handleUnaryCall<Buffer, Buffer>;
  answers: handleServerStreamingCall<Buffer, Buffer>;
  collect: handleClientStreamingCall<Buffer, Buffer>;
  talk: handleBidiStreamingCall<Buffer, Buffer>;
}

function trailers(): Metadata {
  const metadata = new Metadata();
  metadata.set('x-trailer', 'last');
  metadata.set('x-bytes-bin', Buffer.of(0, 255));
  return metadata;
}

const HANDLERS: Handlers = {
  unary: (call, done) => done(null, call.request, trailers()),
  answers: (call) => {
    for (const part of ['a', 'b', 'c']) call.write(text(`${call.request.toString()}${part}`));
    call.end(trailers());
  },
  collect: (call, done) => {
    const parts: string[] = [];
    call.on('data', (part: Buffer) => parts.push(part.toString()));
    call.on('end', () => done(null, text(parts.join('+'))));
  },
  talk: (call) => {
    call.on('data', (part: Buffer) => call.write(text(`echo ${part.toString()}`)));
    call.on('end', () => call.end());
  },
};

interface Rig {
  readonly gateway: TestGateway;
  readonly server: Server;
  readonly handlers: Handlers;
  readonly client: (certificate?: TestCertificate) => Client;
}

async function start(t: TestContext, { tls = false, listener = '' } = {}): Promise<Rig> {
  const handlers = { ...HANDLERS };
  const big: ChannelOptions = { 'grpc.max_receive_message_length': -1 };
  const server = new Server(big);
  server.addService(DEFINITION, {
    unary: (...call: Parameters<Handlers['unary']>) => handlers.unary(...call),
    answers: (...call: Parameters<Handlers['answers']>) => handlers.answers(...call),
    collect: (...call: Parameters<Handlers['collect']>) => handlers.collect(...call),
    talk: (...call: Parameters<Handlers['talk']>) => handlers.talk(...call),
  });
  const keys = [{ private_key: Buffer.from(SERVER.key), cert_chain: Buffer.from(SERVER.chain) }];
  const how = tls ? ServerCredentials.createSsl(null, keys) : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', how, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  t.after(() => server.forceShutdown());
  const target = tls
    ? `{ targets: ["https://127.0.0.1:${port}"], http2: true, tls: { ca_file: server-ca.pem, server_name: ${HOST} } }`
    : `{ targets: ["http://127.0.0.1:${port}"], http2: true }`;
  const gateway = await startTestGateway(t, {
    listener,
    upstreams: `echo: ${target}`,
    files: { 'server-ca.pem': SERVER_CA.cert },
    routes: [
      `- { name: echo, match: { path: ${SERVICE}/* }, upstream: echo, timeouts: { response_header: 2s, idle: 5s } }`,
      '- { name: open, match: { path: /open/* }, upstream: echo, require: public, weaker_than_defaults: [require] }',
    ].join('\n'),
  });
  const address = `127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`;
  return {
    gateway,
    server,
    handlers,
    client(certificate) {
      const ssl = credentials.createSsl(
        Buffer.from(SERVER_CA.cert),
        certificate ? Buffer.from(certificate.key) : null,
        certificate ? Buffer.from(certificate.chain) : null,
      );
      const client = new Client(address, ssl, {
        ...big,
        'grpc.ssl_target_name_override': HOST,
        'grpc.default_authority': HOST,
      });
      t.after(() => client.close());
      return client;
    },
  };
}

async function proven({ gateway }: Rig, method: string): Promise<Metadata> {
  const token = await issue(gateway, TO_KEY);
  const metadata = new Metadata();
  metadata.set('authorization', `DPoP ${token}`);
  metadata.set('dpop', await prove(gateway, token, 'POST', `${SERVICE}/${method}`));
  return metadata;
}

interface Outcome {
  readonly error: ServiceError | null;
  readonly value: string | undefined;
  readonly status: StatusObject;
}

function unary(client: Client, metadata: Metadata, request: Buffer, deadline?: number): Promise<Outcome> {
  return new Promise((resolve) => {
    let result: Pick<Outcome, 'error' | 'value'> | undefined;
    const options = deadline === undefined ? {} : { deadline: Date.now() + deadline };
    const call = client.makeUnaryRequest(`${SERVICE}/Unary`, own, own, request, metadata, options, (error, value) => {
      result = { error, value: value?.toString() };
    });
    call.once('status', (how) =>
      setImmediate(() => resolve({ error: null, value: undefined, ...result, status: how })),
    );
  });
}

for (const tls of [false, true]) {
  describe(`a grpc-js server ${tls ? 'over TLS' : 'in the clear'} behind the gateway`, () => {
    it('answers unary calls, with metadata and trailers both ways', async (t) => {
      const rig = await start(t, { tls });
      rig.handlers.unary = (call, done) => {
        const head = new Metadata();
        head.set('x-saw', `${String(call.metadata.get('x-mine'))} ${String(call.metadata.get('x-auth-subject'))}`);
        call.sendMetadata(head);
        done(null, call.request, trailers());
      };
      const metadata = await proven(rig, 'Unary');
      metadata.set('x-mine', 'mine');
      metadata.set('x-auth-subject', 'root');
      const client = rig.client();
      let head: Metadata | undefined;
      const answered = await new Promise<Outcome>((resolve) => {
        const call = client.makeUnaryRequest(`${SERVICE}/Unary`, own, own, text('hello'), metadata, (error, value) => {
          call.once('status', (how) => resolve({ error, value: value?.toString(), status: how }));
        });
        call.once('metadata', (received) => (head = received));
      });
      assert.equal(answered.value, 'hello');
      assert.equal(answered.status.code, status.OK);
      assert.deepEqual(answered.status.metadata.get('x-trailer'), ['last']);
      assert.deepEqual(answered.status.metadata.get('x-bytes-bin'), [Buffer.of(0, 255)]);
      assert.deepEqual(head?.get('x-saw'), ['mine MARK-alice']);
      await rig.gateway.logged({ status: 200, outcome: 'forwarded', route: 'echo' });
    });

    it('streams answers', async (t) => {
      const rig = await start(t, { tls });
      const call = rig
        .client()
        .makeServerStreamRequest(`${SERVICE}/Answers`, own, own, text('x'), await proven(rig, 'Answers'));
      const ended = once(call, 'status') as Promise<[StatusObject]>;
      const parts: string[] = [];
      for await (const part of call) parts.push(String(part));
      assert.deepEqual(parts, ['xa', 'xb', 'xc']);
      const [how] = await ended;
      assert.equal(how.code, status.OK);
      assert.deepEqual(how.metadata.get('x-trailer'), ['last']);
    });

    it('collects what a client streams', async (t) => {
      const rig = await start(t, { tls });
      const metadata = await proven(rig, 'Collect');
      const client = rig.client();
      const value = await new Promise<Buffer | undefined>((resolve, reject) => {
        const call = client.makeClientStreamRequest<Buffer, Buffer>(
          `${SERVICE}/Collect`,
          own,
          own,
          metadata,
          (error, is) => (error ? reject(error) : resolve(is)),
        );
        for (const part of ['a', 'b', 'c']) call.write(text(part));
        call.end();
      });
      assert.equal(value?.toString(), 'a+b+c');
    });

    it('talks both ways at once: each answer comes before the next question is asked', async (t) => {
      const rig = await start(t, { tls });
      const call = rig
        .client()
        .makeBidiStreamRequest<Buffer, Buffer>(`${SERVICE}/Talk`, own, own, await proven(rig, 'Talk'));
      for (const part of ['a', 'b', 'c']) {
        call.write(text(part));
        const [answer] = (await once(call, 'data')) as [Buffer];
        assert.equal(answer.toString(), `echo ${part}`);
      }
      const ended = once(call, 'status') as Promise<[StatusObject]>;
      call.end();
      assert.equal((await ended)[0].code, status.OK);
    });

    it('ends a call while the client is still sending', async (t) => {
      const rig = await start(t, { tls });
      rig.handlers.talk = (call) => {
        call.once('data', () => {
          call.write(text('enough'));
          call.end(trailers());
        });
      };
      const call = rig
        .client()
        .makeBidiStreamRequest<Buffer, Buffer>(`${SERVICE}/Talk`, own, own, await proven(rig, 'Talk'));
      const ended = once(call, 'status') as Promise<[StatusObject]>;
      const data = once(call, 'data') as Promise<[Buffer]>;
      call.write(text('a'));
      assert.equal((await data)[0].toString(), 'enough');
      const [how] = await ended;
      assert.equal(how.code, status.OK);
      assert.deepEqual(how.metadata.get('x-trailer'), ['last']);
    });

    it('fails with its status, from trailers and from fields alone', async (t) => {
      const rig = await start(t, { tls });
      const client = rig.client();
      rig.handlers.unary = (_call, done) =>
        done({ code: status.NOT_FOUND, details: 'no such order: 100 %', metadata: trailers() });
      const alone = await unary(client, await proven(rig, 'Unary'), text('a'));
      assert.equal(alone.error?.code, status.NOT_FOUND);
      assert.equal(alone.error.details, 'no such order: 100 %');
      assert.deepEqual(alone.status.metadata.get('x-trailer'), ['last']);
      rig.handlers.answers = (call) => {
        call.write(text('one'));
        call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'enough' });
      };
      const call = client.makeServerStreamRequest(
        `${SERVICE}/Answers`,
        own,
        own,
        text('x'),
        await proven(rig, 'Answers'),
      );
      const parts: string[] = [];
      call.on('data', (part: Buffer) => parts.push(part.toString()));
      const [error] = (await new Promise((resolve) => call.once('error', (is) => resolve([is])))) as [ServiceError];
      assert.equal(error.code, status.RESOURCE_EXHAUSTED);
      assert.deepEqual(parts, ['one']);
      const missing = await new Promise<ServiceError | null>((resolve) => {
        void proven(rig, 'Missing').then((metadata) => {
          client.makeUnaryRequest(`${SERVICE}/Missing`, own, own, text(''), metadata, (is) => resolve(is));
        });
      });
      assert.equal(missing?.code, status.UNIMPLEMENTED);
    });

    it('hears of a deadline and of a client that cancels', async (t) => {
      const rig = await start(t, { tls });
      const client = rig.client();
      const cancelled = new Promise<void>((resolve) => {
        rig.handlers.unary = (call) => void call.once('cancelled', () => resolve());
      });
      const late = await unary(client, await proven(rig, 'Unary'), text('a'), 300);
      assert.equal(late.error?.code, status.DEADLINE_EXCEEDED);
      await cancelled;
      const left = new Promise<void>((resolve) => {
        rig.handlers.talk = (call) => {
          call.once('data', () => call.write(text('here')));
          call.once('cancelled', () => resolve());
        };
      });
      const call = client.makeBidiStreamRequest<Buffer, Buffer>(`${SERVICE}/Talk`, own, own, await proven(rig, 'Talk'));
      call.on('error', () => {});
      call.write(text('a'));
      await once(call, 'data');
      call.cancel();
      await left;
    });

    it('gets and sends large messages', async (t) => {
      const rig = await start(t, { tls });
      const large = Buffer.alloc(8 * MIB, 'x');
      const { error, value } = await unary(rig.client(), await proven(rig, 'Unary'), large);
      assert.equal(error, null);
      assert.equal(value?.length, large.length);
    });

    it('is killed in the middle of a stream: the client sees an error, and the next call a new connection', async (t) => {
      const rig = await start(t, { tls });
      const client = rig.client();
      rig.handlers.answers = (call) => {
        call.write(text('one'));
        setImmediate(() => rig.server.forceShutdown());
      };
      const call = client.makeServerStreamRequest(
        `${SERVICE}/Answers`,
        own,
        own,
        text('x'),
        await proven(rig, 'Answers'),
      );
      call.on('data', () => {});
      const error = await new Promise<ServiceError>((resolve) =>
        call.once('error', (is) => resolve(is as ServiceError)),
      );
      assert.ok(
        [status.INTERNAL, status.UNAVAILABLE, status.CANCELLED, status.UNKNOWN].includes(error.code),
        error.message,
      );
      const next = await unary(client, await proven(rig, 'Unary'), text('a'));
      assert.equal(next.error?.code, status.UNAVAILABLE);
    });
  });
}

describe('credentials of gRPC clients', () => {
  it('a proof that was used, and no token at all, are UNAUTHENTICATED', async (t) => {
    const rig = await start(t);
    const client = rig.client();
    const metadata = await proven(rig, 'Unary');
    assert.equal((await unary(client, metadata, text('a'))).error, null);
    const replayed = await unary(client, metadata, text('a'));
    assert.equal(replayed.error?.code, status.UNAUTHENTICATED);
    await rig.gateway.logged({ reason: 'proof_replayed' });
    const { error } = await unary(client, new Metadata(), text('a'));
    assert.equal(error?.code, status.UNAUTHENTICATED);
    await rig.gateway.logged({ reason: 'credentials_missing' });
  });

  it('a token that is bound to the certificate of the connection passes', async (t) => {
    const rig = await start(t, { listener: 'client_certificate: { request: optional, ca_file: clients.pem }' });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${await issue(rig.gateway, TO_CERTIFICATE)}`);
    assert.equal((await unary(rig.client(CLIENT), metadata, text('a'))).value, 'a');
    assert.equal((await unary(rig.client(), metadata, text('a'))).error?.code, status.UNAUTHENTICATED);
  });
});
