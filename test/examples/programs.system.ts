// The examples in which a real HAProxy and a real Redis take part, played as they are.

import { before, suite, test } from 'node:test';
import { makeCa, makeCertificate } from '../support/pki.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { TLS } from './example.ts';
import { playPassing } from './passing.ts';
import { playReplicas } from './replicas.ts';

const ROOT = await makeCa({ subject: 'CN=Partner Root' });
const CA = await makeCa({ subject: 'CN=Partner CA', ca: ROOT });
const PARTNER = await makeCertificate({ names: ['one.partner.example'], ca: CA });

suite('config/examples/', () => {
  before(() => findProgram('haproxy'), INSTALLING);

  test('haproxy-passes-tls-on.yaml accepts what it should and refuses what it should', async (t) => {
    await playPassing(t, { ...TLS, 'tls/clients.pem': `${CA.cert}\n${ROOT.cert}` }, PARTNER);
  });

  test('replicas-with-redis.yaml accepts what it should and refuses what it should', async (t) => {
    await playReplicas(t, { ...TLS, 'secrets/redis': 'a-password-of-the-redis-user\n' });
  });
});
