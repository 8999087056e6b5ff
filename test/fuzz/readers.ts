// The list of readers of untrusted text, with good texts; a new reader belongs here.

import { randomBytes, X509Certificate } from 'node:crypto';
import { readAuthorities } from '../../src/certificate/chain.ts';
import { readClientCert } from '../../src/certificate/client-cert.ts';
import { readBase64, readPem, readPercentEncoded } from '../../src/certificate/encoding.ts';
import { CERTIFICATE_FORMATS } from '../../src/certificate/formats.ts';
import { readCertificate } from '../../src/certificate/leaf.ts';
import { readEscapedPem, readEscapedPemChain } from '../../src/certificate/pem-escaped.ts';
import { readInteractionId, readRequestId } from '../../src/edge/intake/correlation.ts';
import { readXfcc, readXfccElement } from '../../src/certificate/xfcc.ts';
import { readCommandLine, UsageError } from '../../src/cli/arguments.ts';
import { readCheckRequest } from '../../src/edge/decide/ext-authz-messages.ts';
import { FORWARDED } from '../../src/edge/decide/http-dialects.ts';
import type { Transaction } from '../../src/edge/transaction/transaction.ts';
import type { Connection } from '../../src/edge/listen/connection.ts';
import { compileIntake, readFacts } from '../../src/edge/intake/facts.ts';
import { FORWARDED_FIELDS, readStatedClient, readStatedOrigin } from '../../src/edge/intake/forwarded.ts';
import { readAddress } from '../../src/http/address.ts';
import { grpcMessage, readGrpcCall } from '../../src/http/grpc.ts';
import { readBodyLength, readFraming } from '../../src/http/framing.ts';
import { readAskedOrigin } from '../../src/edge/intake/origin.ts';
import { readProxyHeader } from '../../src/http/proxy-header.ts';
import { readUpgrade } from '../../src/edge/transaction/upgrade.ts';
import { compileManagedFields } from '../../src/policy/managed-fields.ts';
import { readDocumentSource } from '../../src/config/read/document.ts';
import { readSource } from '../../src/config/read/source.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { readProofKey } from '../../src/jose/jwk.ts';
import { readTraceContext } from '../../src/http/trace-context.ts';
import { checkClaimTypes } from '../../src/token/access-claims.ts';
import { readConfirmation } from '../../src/token/confirmation.ts';
import { type Encoding, readIdentity } from '../../src/token/identity.ts';
import { StoreNonces } from '../../src/memory/replica-nonces.ts';
import { isJsonObject, readCompactJws, readJsonObject, readJsonPart } from '../../src/jose/jws.ts';
import { readKeySet } from '../../src/jose/key-set.ts';
import { readExchangedToken } from '../../src/token/exchanged-token.ts';
import { readAnswer, readIntrospection } from '../../src/token/opaque-token.ts';
import { readSignedIntrospection } from '../../src/token/signed-introspection.ts';
import { makeIssuer } from '../support/enforcing.ts';
import { readPresentation } from '../../src/token/presentation.ts';
import { readScopes } from '../../src/token/scope.ts';
import { makeListener } from '../support/edge.ts';
import { makeFacts } from '../support/facts.ts';
import { makeCertificate } from '../support/pki.ts';
import { block, vector } from '../support/proxy-headers.ts';
import type { Reader } from './reader.ts';
import { COMMAND_READERS, COMMAND_TRUSTED } from './command-readers.ts';
import { KUBERNETES_READERS } from './kubernetes-readers.ts';
import { SIGNATURE_READERS } from './signature-readers.ts';
import { TARGET_READERS } from './target-readers.ts';

/** Readers that get no untrusted text, and why. */
export const TRUSTED: Readonly<Record<string, string>> = {
  readPolicyFile: 'reads files that the operator names',
  readKeyDocument: 'reads files and sockets; what it fetches goes to readKeySet',
  readTrouble: 'reads errors of Redis, which is trusted with more than that',
  readDescriptorCeiling: 'reads the limits that the kernel tells of the process',
  readSearchRules: 'reads resolv.conf of the machine',
  readSigningKey: 'reads a key file of the operator',
  ...COMMAND_TRUSTED,
  readConnection: 'reads a socket; the certificate goes to readCertificate',
};

const { cert, der } = await makeCertificate({ names: ['client.example.com', 'spiffe://example.com/a'] });
const base64 = der.toString('base64');
const escaped = encodeURIComponent(cert);
const part = (text: string) => Buffer.from(text).toString('base64url');
const nonces = new NonceKeys([], 120);
const storeNonces = new StoreNonces({
  source: { away: false, secrets: undefined },
  configured: [],
  ofProcess: randomBytes(32),
  lifetime: 120,
});
const NOW = 1_800_000_000;
const SIGNED_ANSWER = {
  issuer: makeIssuer(),
  clientId: 'gateway',
  keys: { current: () => [], refreshFor: async () => {} },
  now: NOW,
};

/** JSON of any shape; undefined: the text is none, which is not the reader's business. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function claims(text: string): Readonly<Record<string, unknown>> {
  const value = json(text);
  return isJsonObject(value) ? value : { scope: text, sub: text, cnf: { jkt: text, 'x5t#S256': text }, list: [text] };
}

const listener = makeListener({
  trustedPeers: [{ cidr: '127.0.0.1/32', certificateSan: undefined }],
  clientCertificateFrom: { format: 'xfcc', field: 'x-forwarded-client-cert' },
  clientCertificate: { request: 'none', verify: 'possession', ca: undefined, crl: undefined },
});
const TRACE_PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const ID = '73cac523-d3ae-4289-b106-330a6218710d';
const intake = compileIntake(listener, compileManagedFields([], [listener]), 'holdfast-fuzz');
const peer: Connection = {
  remoteAddress: '127.0.0.1',
  remotePort: 1,
  localAddress: '127.0.0.1',
  localPort: 1,
  servername: undefined,
  evidence: undefined,
  trustedUntil: Infinity,
};

/** The text as target, as method, as name of a field and as value of every field that the edge looks at. */
function requestsWith(text: string): void {
  const request = { method: 'GET', target: '/', httpVersion: '1.1', rawHeaders: ['Host', 'api.example.com'] };
  const receive = (over: Partial<typeof request>) => readFacts({ ...request, ...over }, peer, intake, NOW);
  receive({ target: text });
  receive({ target: `/?${text}` });
  receive({ method: text });
  receive({ rawHeaders: ['Host', text] });
  receive({ rawHeaders: [...request.rawHeaders, text, text] });
  const fields = [
    'connection',
    'via',
    'expect',
    'max-forwards',
    'transfer-encoding',
    'origin',
    'authorization',
    'dpop',
  ];
  for (const name of [...fields, ...FORWARDED_FIELDS, 'x-forwarded-client-cert', 'access-control-request-headers']) {
    receive({ method: 'OPTIONS', rawHeaders: [...request.rawHeaders, name, text] });
  }
}

const jwk = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) };
const JWS = `${part('{"alg":"ES256","typ":"at+jwt"}')}.${part('{"iss":"a","cnf":{"jkt":"x"}}')}.${part('sig')}`;
const IDENTITY = [
  { field: 'X-Sub', source: { claims: ['sub'] } },
  { field: 'X-Scope', source: { claims: ['scope'] } },
  { field: 'X-List', source: { claims: ['list'] } },
];

/** By the reader's name, as exported. */
export const READERS: Readonly<Record<string, Reader>> = {
  readCompactJws: { read: readCompactJws, samples: [JWS, 'A.', '..'] },
  readJsonPart: { read: readJsonPart, samples: [part('{"a":{"b":[1,2]}}')] },
  readJsonObject: {
    read: readJsonObject,
    samples: ['{"a":{"b":[1,{"c":null}]},"d":"\\u0061"}', '{"a":', '[', '{"a":"'],
  },
  readIntrospection: {
    read: readIntrospection,
    samples: ['{"active":true,"cnf":{"jkt":"a"}}', '{"active":false}', '{"active":true,"active":'],
  },
  readAnswer: {
    read: (text) => readAnswer(json(text)),
    samples: ['{"active":true,"cnf":{"jkt":"a"}}', '{"active":false}'],
  },
  readExchangedToken: {
    read: (text) => readExchangedToken(text, 'A'),
    samples: [
      '{"access_token":"B","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":60}',
      '{"access_token":"A","token_type":"N_A"}',
    ],
  },
  readSignedIntrospection: {
    read: async (text) => [
      await readSignedIntrospection(text, SIGNED_ANSWER),
      await readSignedIntrospection(
        `${part('{"typ":"token-introspection+jwt","alg":"ES256"}')}.${part(text)}.`,
        SIGNED_ANSWER,
      ),
    ],
    samples: [`${part('{"typ":"token-introspection+jwt","alg":"ES256"}')}.${part('{"iss":"a"}')}.AAAA`],
  },
  readKeySet: {
    read: (text) =>
      readKeySet(
        json(text) ?? {
          keys: [
            { ...jwk, kid: text },
            { ...jwk, x: text },
            { kty: 'RSA', n: text, e: text },
          ],
        },
      ),
    samples: [JSON.stringify({ keys: [jwk, { kty: 'oct', k: 'A' }, 5, null] }), '{"keys":['],
  },
  readProofKey: {
    read: (text) => [
      readProofKey(json(text), 'ES256'),
      readProofKey({ ...jwk, x: text }, 'ES256'),
      readProofKey({ kty: 'RSA', n: text, e: text }, 'RS256'),
    ],
    samples: [JSON.stringify(jwk), 'AQAB'],
  },
  readConfirmation: {
    read: (text) => readConfirmation(claims(text)),
    samples: ['{"cnf":{"jkt":"x","x5t#S256":"y","z":1}}', '{"cnf":'],
  },
  readScopes: {
    // Types are checked before (checkClaimTypes).
    read: (text) =>
      checkClaimTypes(claims(text), { scopeClaim: ['scope'], audienceClaim: 'aud' }) ??
      readScopes(claims(text), ['scope']),
    samples: ['{"scope":"a b"}', '{"scope":["a","b"]}', 'a '],
  },
  readIdentity: {
    read: (text) =>
      (['strict', 'base64url', 'rfc8187'] satisfies Encoding[]).map((encoding) =>
        readIdentity(IDENTITY, encoding, {
          claims: claims(text),
          scopeClaims: ['scope'],
          facts: {
            binding: 'none',
            thumbprint: undefined,
            issuer: text,
            expires: undefined,
            certificate_subject: text,
          },
        }),
      ),
    samples: ['{"sub":"alice","list":["a",1,true]}', '{"sub":{"a":1}}', 'alice '],
  },
  readPresentation: {
    read: (text) => [
      readPresentation(makeFacts({ authorization: [text] })),
      readPresentation(makeFacts({ authorization: [`DPoP ${text}`], dpop: [text] })),
      readPresentation(makeFacts({ query: text })),
    ],
    samples: ['Bearer abc', 'DPoP a.b.c', 'Bearer ', 'Basic ', 'access_token=a', 'a;b&access%5Ftoken=%'],
  },
  read: {
    read: (text) => [nonces.read(text, NOW), storeNonces.read(text, NOW)],
    samples: [nonces.mint(NOW), storeNonces.mint(NOW), 'AAAA'],
  },
  ...COMMAND_READERS,
  ...SIGNATURE_READERS,
  ...KUBERNETES_READERS,
  ...TARGET_READERS,
  readCheckRequest: {
    read: (text) => readCheckRequest(Buffer.from(text, 'latin1')),
    samples: ['\n\x10\x1a\x0eCONNECT', '\xff\xff', ''],
  },
  readQuestion: {
    read: (text) =>
      ['method', 'proto', 'host', 'uri'].map((part) => {
        const good = { method: 'GET', proto: 'https', host: 'api.example.com', uri: '/orders/1', [part]: text };
        const fields = Object.entries(good).flatMap(([name, value]) => [`X-Forwarded-${name}`, value]);
        return FORWARDED.describe({
          method: 'GET',
          target: '/',
          httpVersion: '1.1',
          rawHeaders: fields,
        } as unknown as Transaction);
      }),
    samples: ['GET', 'https', 'api.example.com', '/orders/1', 'a,b', ''],
  },
  readAddress: { read: readAddress, samples: ['192.0.2.1', '2001:db8::1', '::ffff:192.0.2.1', 'fe80::1%eth0'] },
  readGrpcCall: {
    read: (text) => [
      readGrpcCall({ method: 'POST', httpVersion: '2.0', rawHeaders: ['content-type', text] }),
      grpcMessage(text),
    ],
    samples: ['application/grpc', 'application/grpc-web-text+proto; charset=utf-8', 'application/grpc+'],
  },
  readAskedOrigin: {
    read: (text) => [
      readAskedOrigin(listener, text, false, { scheme: undefined, host: undefined }),
      readAskedOrigin(listener, 'a', true, { scheme: 'https', host: text }),
    ],
    samples: ['api.example.com'],
  },
  readStatedClient: {
    read: (text) => ['forwarded', 'x-forwarded-for'].map((name) => readStatedClient(new Map([[name, [text]]]))),
    samples: ['for=192.0.2.1', 'for="[::1]:1", for=a', '192.0.2.1, [2001:db8::1]:443', '::ffff:192.0.2.1'],
  },
  readStatedOrigin: {
    read: (text) => [
      ...FORWARDED_FIELDS.map((name) => readStatedOrigin(new Map([[name, [text]]]))),
      readStatedOrigin(new Map([['forwarded', [text, text]]])),
      readStatedOrigin(new Map(['forwarded', 'x-forwarded-for', 'x-forwarded-host'].map((name) => [name, [text]]))),
      readStatedOrigin(new Map([['forwarded', [text]]]), 'x-forwarded'),
    ],
    samples: [
      'for=192.0.2.1;host=api.example.com;proto=https',
      'for="[::1]:1", for=a',
      'a="',
      'a=',
      'a',
      'for=a,',
      'for=a;',
      'host="\\a',
    ],
  },
  readFraming: {
    read: (text) => [
      readFraming(['Content-Length', text]),
      readFraming(['Transfer-Encoding', text]),
      readFraming([text, text]),
    ],
    samples: ['12', 'chunked'],
  },
  readBodyLength: { read: (text) => readBodyLength(['Content-Length', text]), samples: ['12'] },
  readUpgrade: {
    read: (text) =>
      [
        ['Upgrade', 'websocket', 'Sec-WebSocket-Key', text],
        ['Upgrade', text, 'Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
        ['Upgrade', 'websocket', text, text],
      ].map((rawHeaders) => readUpgrade({ method: 'GET', httpVersion: '1.1', rawHeaders })),
    samples: ['websocket', 'dGhlIHNhbXBsZSBub25jZQ=='],
  },
  readProxyHeader: {
    read: (text) => readProxyHeader(Buffer.from(text, 'latin1')),
    samples: [
      'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n',
      'PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n',
      block().toString('latin1'),
      block({ vectors: [vector(0x03, 'abcd')] }).toString('latin1'),
    ],
  },
  readFacts: {
    read: requestsWith,
    samples: ['/orders/1?a=b', 'http://api.example.com/', 'close, ', 'X-Forwarded-', '100-continue'],
  },
  readBase64: { read: readBase64, samples: [base64, 'AA=='] },
  readPercentEncoded: { read: readPercentEncoded, samples: [escaped, '%C3%A9'] },
  readPem: {
    read: readPem,
    samples: [cert, cert + cert, '-----BEGIN CERTIFICATE-----\n', '-----BEGIN CERTIFICATE-----\nAAAA\n'],
  },
  readAuthorities: { read: readAuthorities, samples: [cert, `text\n${cert}`, '-----BEGIN CERTIFICATE-----'] },
  readClientCert: { read: readClientCert, samples: [`:${base64}:`, ':', ' :'] },
  readXfcc: {
    read: readXfcc,
    samples: [`Hash=ab;Cert="${escaped}";Subject="CN=a"`, 'By=', 'URI="', 'Cert="\\', 'URI=a;', 'a'],
  },
  readInteractionId: { read: (text) => readInteractionId('X', ['x', text]), samples: [ID, '73cac523-', '-', '{}'] },
  readTraceContext: {
    // tracestate is read behind a good traceparent alone.
    read: (text) => [readTraceContext([text], []), readTraceContext([TRACE_PARENT], [text])],
    samples: [TRACE_PARENT, `cc${TRACE_PARENT.slice(2)}-`, 'a=1,b=2', 'a=1 , b=2'],
  },
  readRequestId: { read: (text) => readRequestId('X', ['x', text]), samples: [ID, '7F00:8B_1', 'Root=1-67891233-abc'] },
  readXfccElement: {
    read: (text) => readXfccElement(text, 2),
    samples: [
      `Hash=ab;Cert="${escaped}";,By=a;Hash=${'ab'.repeat(32)};URI=b`,
      ',',
      ';,',
      'URI="a,b",',
      'Hash=a,Hash=b',
    ],
  },
  readEscapedPem: { read: readEscapedPem, samples: [escaped, escaped + escaped] },
  readEscapedPemChain: { read: readEscapedPemChain, samples: [escaped + escaped] },
  ...Object.fromEntries(
    Object.entries(CERTIFICATE_FORMATS).map(([format, { read }]) => [
      `format ${format}`,
      { read, samples: [base64, escaped] },
    ]),
  ),
  readCertificate: {
    read: (text) => readCertificate(Buffer.from(text, 'latin1')),
    samples: [der.toString('latin1'), cert, new X509Certificate(cert).raw.subarray(0, 40).toString('latin1')],
  },
  readSource: {
    read: (text) => readSource('holdfast.yaml', text, { A: 'a' }),
    trusted: true,
    samples: ['version: 1\nroutes:\n  - { name: "a" }\n', 'a: ${A:-b}\n', 'a: &x [*x]', '- ', '{', 'a: "'],
  },
  readDocumentSource: {
    read: (text) => readDocumentSource('holdfast.json', text),
    trusted: true,
    samples: [
      '{"version":1,"routes":[{"name":"a"}]}',
      '{"a":"${A:-b}"}',
      '{"a":1,"a":2}',
      '{"__proto__":{}}',
      '{',
      '[',
    ],
  },
  readCommandLine: {
    read: (text) => readCommandLine(text.split(' ')),
    samples: ['serve -c file', 'explain --method GET --url', '--'],
    throws: UsageError,
    trusted: true,
  },
};
