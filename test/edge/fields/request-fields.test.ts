// The field lines of a request that reach the upstream.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PermitFacts } from '../../../src/binding/permit.ts';
import { type Peer, requestFields } from '../../../src/edge/fields/request-fields.ts';
import type { Field } from '../../../src/http/field.ts';
import type { CertificateEvidence } from '../../../src/request-facts.ts';
import { makePermit, makeRules, type RuleWishes } from '../../support/forwarding.ts';

interface Wishes extends RuleWishes {
  readonly permit?: Partial<PermitFacts>;
  readonly peer?: Partial<Peer>;
  readonly method?: string;
  readonly authority?: string;
  readonly httpVersion?: string;
  readonly requestField?: Field;
  readonly interaction?: Field;
}

/** Pairs as they are sent. */
function run(rawHeaders: readonly string[], wishes: Wishes = {}): (readonly [string, string])[] {
  const received = {
    transaction: { rawHeaders, httpVersion: wishes.httpVersion ?? '1.1' },
    facts: {
      method: wishes.method ?? 'GET',
      origin: { scheme: 'https' as const, authority: wishes.authority ?? 'api.example.com', pathPrefix: '' },
      path: '/',
      matchPath: '/',
      now: 0,
      peer: { address: '192.0.2.7', trusted: false, ...wishes.peer },
    },
    upstreamToken: undefined,
    correlation: { requestField: wishes.requestField, interaction: wishes.interaction },
  };
  const flat = requestFields(received, makeRules(wishes), makePermit(wishes.permit).facts);
  return flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : []));
}

const valuesOf = (pairs: (readonly [string, string])[], name: string) =>
  pairs.filter(([found]) => found.toLowerCase() === name).map(([, value]) => value);

describe('fields of the client that never reach the upstream', () => {
  const MANAGED = [
    'X-Auth-Subject',
    'client-CERT',
    'Client-Cert-Chain',
    'X-Forwarded-Client-Cert',
    'X-FORWARDED-anything',
    'X-Real-IP',
    'X-Client-IP',
    'Remote-User',
    'X-Amzn-Oidc-Data',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'X-Secret',
    'ssl-client-cert',
  ];
  for (const name of MANAGED) {
    it(`${name} of the client is removed, on public routes too`, () => {
      const forward = { identity: [{ field: 'X-Auth-Subject', source: { claims: [] } }], remove: ['x-secret'] };
      for (const requirement of ['dpop', 'public'] as const) {
        assert.deepEqual(valuesOf(run([name, 'forged'], { forward, requirement }), name.toLowerCase()), []);
      }
    });
  }

  it('an alias of a managed field that got here all the same is removed', () => {
    assert.deepEqual(valuesOf(run(['Client_Cert', ':AAAA:']), 'client_cert'), []);
  });

  it('hop-by-hop fields and those about trailers and framing are removed', () => {
    const names = ['Connection', 'Keep-Alive', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade'];
    const more = ['Proxy-Authorization', 'Proxy-Authenticate', 'Expect', 'HTTP2-Settings'];
    const pairs = run([...names, ...more].flatMap((name) => [name, 'x']));
    for (const name of [...names, ...more]) assert.deepEqual(valuesOf(pairs, name.toLowerCase()), []);
  });

  it('fields that Connection names are removed, wherever they stand and however they are spelled', () => {
    const pairs = run(['x-hop', '1', 'Connection', 'close, X-HOP', 'X-Hop', '2', 'Connection', 'other', 'Other', '3']);
    assert.deepEqual(valuesOf(pairs, 'x-hop'), []);
    assert.deepEqual(valuesOf(pairs, 'other'), []);
  });

  it('Connection cannot take away a field that the gateway adds', () => {
    const names = 'via, host, forwarded, x-forwarded-for, x-auth-subject, authorization';
    const permit = { identity: [['X-Auth-Subject', 'alice']] as const };
    const pairs = run(['Connection', names], { permit, forward: { authorization: 'bearer' } });
    for (const name of names.split(', ')) assert.equal(valuesOf(pairs, name).length, 1, name);
  });
});

describe('fields that pass', () => {
  it('other fields pass as received, repeated lines on their own and in order, bytes beyond ASCII included', () => {
    const raw = [
      'COOKIE',
      'a=1',
      'x-a',
      'b',
      'Cookie',
      'c=2',
      'X-Latin',
      'caf\xe9',
      'Content-Length',
      '3',
      'X-Empty',
      '',
    ];
    assert.deepEqual(run(raw).flat().slice(0, raw.length), raw);
  });

  it('TE: trailers goes to an upstream over HTTP/2, and other codings go nowhere', () => {
    const te = (value: string, http2: boolean) => valuesOf(run(['TE', value], { upstream: { http2 } }), 'te');
    assert.deepEqual(te('gzip, trailers', true), ['trailers']);
    assert.deepEqual(te('gzip', true), []);
    assert.deepEqual(te('trailers', false), []);
  });

  it('Max-Forwards is counted down for OPTIONS and left alone otherwise', () => {
    assert.deepEqual(valuesOf(run(['Max-Forwards', '2'], { method: 'OPTIONS' }), 'max-forwards'), ['1']);
    assert.deepEqual(valuesOf(run(['Max-Forwards', '2'], { method: 'GET' }), 'max-forwards'), ['2']);
    assert.deepEqual(valuesOf(run(['Max-Forwards', 'ten'], { method: 'OPTIONS' }), 'max-forwards'), ['ten']);
  });
});

describe('credentials', () => {
  const raw = ['Authorization', 'DPoP t0ken', 'DPoP', 'pr00f'];
  const credentials = (wishes: Wishes) => {
    const pairs = run(raw, wishes);
    return [valuesOf(pairs, 'authorization'), valuesOf(pairs, 'dpop')];
  };
  it('authorization: remove takes the token and the proof away', () => {
    assert.deepEqual(credentials({}), [[], []]);
  });
  it('authorization: as-received leaves the token and the proof', () => {
    assert.deepEqual(credentials({ forward: { authorization: 'as-received' } }), [['DPoP t0ken'], ['pr00f']]);
  });
  it('authorization: bearer sends the verified token as Bearer and drops the proof', () => {
    const expected = [['Bearer header.payload.signature'], []];
    assert.deepEqual(credentials({ forward: { authorization: 'bearer' } }), expected);
  });
  it('on a public route credentials pass as received, whatever authorization says', () => {
    const permit = { scheme: 'none', accessToken: undefined } as const;
    for (const authorization of ['remove', 'bearer'] as const) {
      const found = credentials({ requirement: 'public', permit, forward: { authorization } });
      assert.deepEqual(found, [['DPoP t0ken'], ['pr00f']]);
    }
  });
});

describe('Host, Via and the forwarding fields', () => {
  it('host: preserve sends the origin that was checked, upstream leaves Host to the connection of the target', () => {
    assert.deepEqual(valuesOf(run(['Host', 'API.example.com:443']), 'host'), ['api.example.com']);
    assert.deepEqual(valuesOf(run(['Host', 'x'], { forward: { host: 'upstream' } }), 'host'), []);
  });

  it('Via is appended to, with the version of the request', () => {
    const pairs = run(['Via', '1.0 fred', 'via', '1.1 p.example.net'], { httpVersion: '1.0' });
    assert.deepEqual(valuesOf(pairs, 'via'), ['1.0 fred, 1.1 p.example.net, 1.0 holdfast-p01']);
  });

  const claimed = {
    Forwarded: ['for=198.51.100.1'],
    'X-Forwarded-For': ['198.51.100.1', '198.51.100.2'],
    'X-Forwarded-Proto': ['http'],
    'X-Forwarded-Host': ['evil.example'],
  };
  const lines = Object.entries(claimed).flatMap(([name, values]) => values.flatMap((value) => [name, value]));
  it('forwarding fields of a client are replaced', () => {
    const pairs = run(lines);
    assert.deepEqual(valuesOf(pairs, 'forwarded'), ['for=192.0.2.7;host=api.example.com;proto=https']);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-for'), ['192.0.2.7']);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-proto'), ['https']);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-host'), ['api.example.com']);
  });

  it('behind a trusted peer Forwarded and X-Forwarded-For are appended to, host and scheme are those that were checked', () => {
    const pairs = run(lines, { peer: { trusted: true } });
    const mine = 'for=192.0.2.7;host=api.example.com;proto=https';
    assert.deepEqual(valuesOf(pairs, 'forwarded'), [`for=198.51.100.1, ${mine}`]);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-for'), ['198.51.100.1, 198.51.100.2, 192.0.2.7']);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-proto'), ['https']);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-host'), ['api.example.com']);
  });

  it('of a peer that writes one kind of fields only that one is continued', () => {
    const mine = 'for=192.0.2.7;host=api.example.com;proto=https';
    const of = (forwarding: Peer['forwarding']) => {
      const pairs = run(lines, { peer: { trusted: true, forwarding } });
      return [valuesOf(pairs, 'forwarded'), valuesOf(pairs, 'x-forwarded-for')];
    };
    assert.deepEqual(of('x-forwarded'), [[mine], ['198.51.100.1, 198.51.100.2, 192.0.2.7']]);
    assert.deepEqual(of('forwarded'), [[`for=198.51.100.1, ${mine}`], ['192.0.2.7']]);
  });

  it('in Forwarded IPv6 addresses and authorities with a port are quoted (RFC 7239 §6)', () => {
    const pairs = run([], { peer: { address: '2001:db8::7' }, authority: '[2001:db8::1]:8443' });
    const expected = 'for="[2001:db8::7]";host="[2001:db8::1]:8443";proto=https';
    assert.deepEqual(valuesOf(pairs, 'forwarded'), [expected]);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-for'), ['2001:db8::7']);
  });

  it('a peer without address is unknown in Forwarded and absent from X-Forwarded-For', () => {
    const pairs = run([], { peer: { address: undefined } });
    assert.match(valuesOf(pairs, 'forwarded')[0] ?? '', /^for=unknown;/);
    assert.deepEqual(valuesOf(pairs, 'x-forwarded-for'), []);
  });
});

describe('what the permit adds', () => {
  const evidence: CertificateEvidence = {
    facts: {
      der: Buffer.from('leaf'),
      thumbprint: 't',
      chain: [Buffer.from('ca')],
      subject: 'CN=partner',
      issuer: 'CN=ca',
      uris: [],
      dnsNames: [],
      notBefore: 0,
      notAfter: 1,
    },
    verify: 'chain',
    trusted: true,
  };
  const clientCertificate = [
    { format: 'rfc9440', field: 'Client-Cert' },
    { format: 'xfcc', field: 'X-Forwarded-Client-Cert' },
    { format: 'pem-escaped', field: 'ssl-client-cert' },
  ] as const;

  it('identity fields replace those of the client', () => {
    const forward = { identity: [{ field: 'X-Auth-Subject', source: { claims: [] } }] };
    const pairs = run(['x-auth-subject', 'root'], { forward, permit: { identity: [['X-Auth-Subject', 'alice']] } });
    assert.deepEqual(valuesOf(pairs, 'x-auth-subject'), ['alice']);
  });

  it('a certificate of the permit is written in each format of the route', () => {
    const pairs = run(['client-cert', ':ZXZpbA==:'], {
      forward: { clientCertificate },
      permit: { certificate: evidence },
    });
    assert.deepEqual(valuesOf(pairs, 'client-cert'), [':bGVhZg==:']);
    assert.deepEqual(valuesOf(pairs, 'client-cert-chain'), [':Y2E=:']);
    assert.match(valuesOf(pairs, 'x-forwarded-client-cert')[0] ?? '', /^Hash=[0-9a-f]{64};Cert="/);
    assert.match(valuesOf(pairs, 'ssl-client-cert')[0] ?? '', /^-----BEGIN%20CERTIFICATE/);
  });

  it('under verify: possession there is no Client-Cert-Chain', () => {
    const certificate = { ...evidence, verify: 'possession' } as const;
    const pairs = run([], { forward: { clientCertificate }, permit: { certificate } });
    assert.deepEqual(valuesOf(pairs, 'client-cert').length, 1);
    assert.deepEqual(valuesOf(pairs, 'client-cert-chain'), []);
  });

  it('without a certificate in the permit, or a format in the route, no certificate field is sent', () => {
    for (const pairs of [run([], { forward: { clientCertificate } }), run([], { permit: { certificate: evidence } })]) {
      assert.deepEqual(
        pairs.filter(([name]) => /cert/i.test(name)),
        [],
      );
    }
  });
});

describe('ids of a request', () => {
  const requestField = ['X-Request-Id', 'made-here'] as const;
  const interaction = ['X-FAPI-Interaction-Id', 'made-here'] as const;

  it("the request id is ours, and the client's own never passes, in any case, or named in Connection", () => {
    const pairs = run(['x-request-ID', 'forged', 'X-REQUEST-ID', 'forged'], { requestField });
    assert.deepEqual(valuesOf(pairs, 'x-request-id'), ['made-here']);
    assert.deepEqual(valuesOf(run(['Connection', 'x-request-id'], { requestField }), 'x-request-id'), ['made-here']);
  });

  it('an interaction id is added where the client sent none, and only there', () => {
    assert.deepEqual(valuesOf(run([], { interaction }), 'x-fapi-interaction-id'), ['made-here']);
    const sent = run(['x-fapi-interaction-id', 'theirs'], { interaction });
    assert.deepEqual(valuesOf(sent, 'x-fapi-interaction-id'), ['theirs']);
  });
});
