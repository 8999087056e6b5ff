// gRPC through a whole gateway: every kind of call, and every way to fail.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Metadata, type ServiceError, status, type StatusObject } from '@grpc/grpc-js';
import { CLIENT, issue, TO_CERTIFICATE } from './credentials.ts';
import { MIB, type Outcome, own, proven, SERVICE, startGrpc, text, trailers, unary } from './grpc-rig.ts';

for (const tls of [false, true]) {
  describe(`a grpc-js server ${tls ? 'over TLS' : 'in the clear'} behind the gateway`, () => {
    it('answers unary calls, with metadata and trailers both ways', async (t) => {
      const rig = await startGrpc(t, { tls });
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
      const rig = await startGrpc(t, { tls });
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
      const rig = await startGrpc(t, { tls });
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
      const rig = await startGrpc(t, { tls });
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
      const rig = await startGrpc(t, { tls });
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
      const rig = await startGrpc(t, { tls });
      const client = rig.client();
      rig.handlers.unary = (_call, done) =>
        done({ code: status.NOT_FOUND, details: 'no such order: 100 %', metadata: trailers() });
      const alone = await unary(client, await proven(rig, 'Unary'));
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
      const rig = await startGrpc(t, { tls });
      const client = rig.client();
      const cancelled: Promise<unknown>[] = [];
      rig.handlers.unary = (call) => void cancelled.push(once(call, 'cancelled'));
      // Until the machine brings the call to the server before its deadline is over.
      for (let deadline = 300; cancelled.length === 0; deadline *= 2) {
        const late = await unary(client, await proven(rig, 'Unary'), { deadline });
        assert.equal(late.error?.code, status.DEADLINE_EXCEEDED);
      }
      await cancelled[0];
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
      const rig = await startGrpc(t, { tls });
      const large = Buffer.alloc(8 * MIB, 'x');
      const { error, value } = await unary(rig.client(), await proven(rig, 'Unary'), { request: large });
      assert.equal(error, null);
      assert.equal(value?.length, large.length);
    });

    it('is killed in the middle of a stream: the client sees an error, and the next call a new connection', async (t) => {
      const rig = await startGrpc(t, { tls });
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
      const next = await unary(client, await proven(rig, 'Unary'));
      assert.equal(next.error?.code, status.UNAVAILABLE);
    });
  });
}

describe('credentials of gRPC clients', () => {
  it('a proof that was used, and no token at all, are UNAUTHENTICATED', async (t) => {
    const rig = await startGrpc(t);
    const client = rig.client();
    const metadata = await proven(rig, 'Unary');
    assert.equal((await unary(client, metadata)).error, null);
    const replayed = await unary(client, metadata);
    assert.equal(replayed.error?.code, status.UNAUTHENTICATED);
    await rig.gateway.logged({ reason: 'proof_replayed' });
    const { error } = await unary(client, new Metadata());
    assert.equal(error?.code, status.UNAUTHENTICATED);
    await rig.gateway.logged({ reason: 'credentials_missing' });
  });

  it('a token that is bound to the certificate of the connection passes', async (t) => {
    const rig = await startGrpc(t, { listener: 'client_certificate: { request: optional, ca_file: clients.pem }' });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${await issue(rig.gateway, TO_CERTIFICATE)}`);
    assert.equal((await unary(rig.client(CLIENT), metadata)).value, 'a');
    assert.equal((await unary(rig.client(), metadata)).error?.code, status.UNAUTHENTICATED);
  });
});
