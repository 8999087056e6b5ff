// Attacks with the access token: left out, altered, forged, of another kind or place.

import { X509Certificate } from 'node:crypto';
import type { JsonObject } from '../../../jose/jws.ts';
import { type Attack, refusals } from '../attack.ts';
import { keyFor, type OtherToken, type ProbeToken } from '../credentials.ts';
import { breakSignature, forge, hmac, probeKeyOf, type Sign, unsigned } from '../forgery.ts';
import { ANONYMOUS, type Departure, sendToken } from '../request.ts';
import type { ProbeStage } from '../stage.ts';
import { imitateCertificate } from '../stranger.ts';

/** The token with another header or other claims, or another signature; everything else about the request is good. */
function forged(
  { credentials }: ProbeStage,
  change: { readonly header?: JsonObject; readonly claims?: JsonObject; readonly sign?: Sign },
): Departure {
  const { header, payload } = credentials.token.jws ?? { header: {}, payload: {} };
  const [, , signature = ''] = credentials.token.text.split('.');
  const token = forge(
    { ...header, ...change.header },
    { ...payload, ...change.claims },
    change.sign ?? (() => signature),
  );
  return { token };
}

/** As if it were the thief's own: signed by the thief, with a header that points to the thief's key. */
const byThief = (stage: ProbeStage, header: JsonObject) =>
  forged(stage, { header: { alg: stage.thief.alg, ...header }, sign: stage.thief.sign });

/** A public key as the secret of HS256 (RFC 8725 §2.1), in the text that keys usually are kept in. */
function confused(stage: ProbeStage, end: '' | '\n'): Departure {
  const key = stage.credentials.issuerKey?.export({ type: 'spki', format: 'pem' }) ?? '';
  return forged(stage, { header: { alg: 'HS256' }, sign: hmac(key.trim() + end) });
}

function withCertificate(stage: ProbeStage): Departure {
  const { cert, key } = imitateCertificate();
  const signing = probeKeyOf({ key, alg: 'ES256', kid: undefined });
  const x5c = [new X509Certificate(cert).raw.toString('base64')];
  return forged(stage, { header: { alg: 'ES256', x5c, kid: undefined }, sign: signing.sign });
}

function other({ credentials }: ProbeStage, kind: OtherToken): Departure {
  const token = credentials.others[kind] as ProbeToken;
  return sendToken(token, kind === 'unbound' ? undefined : keyFor(token, credentials));
}

const query = ({ settings, credentials }: ProbeStage) =>
  `${settings.path}${settings.query === '' ? '?' : `${settings.query}&`}access_token=${credentials.token.text}`;

const UNAUTHORIZED = { errors: ['invalid_token'] };
const AMBIGUOUS = { statuses: [400, 401], errors: [] };

export const TOKEN_ATTACKS: readonly Attack[] = [
  ...refusals('token', { errors: [] }, [
    { id: 'no-token', what: 'no token', section: 'RFC 6750 §3', departure: () => ANONYMOUS },
    {
      id: 'no-token-head',
      what: 'no token, by another safe method',
      section: 'RFC 6750 §3',
      departure: ({ settings }) => ({ ...ANONYMOUS, method: settings.method === 'HEAD' ? 'GET' : 'HEAD' }),
      meaning: (stage, reply) => stage.meaningOfStatus(reply),
    },
  ]),
  ...refusals('token', AMBIGUOUS, [
    {
      id: 'token-no-scheme',
      what: 'the token without a scheme',
      section: 'RFC 9110 §11.4',
      departure: ({ credentials }) => ({ authorization: [credentials.token.text] }),
    },
    {
      id: 'token-in-query',
      what: 'the token in the query',
      section: 'RFC 6750 §2.3',
      needs: ['harmless in logs'],
      departure: (stage) => ({ authorization: [], target: query(stage) }),
    },
    {
      id: 'two-authorizations',
      what: 'two Authorization lines, a made-up token in the second',
      section: 'RFC 6750 §2',
      departure: ({ credentials, scheme }) => ({
        authorization: [`${scheme} ${credentials.token.text}`, 'Bearer probe'],
      }),
    },
    {
      id: 'two-authorizations-other',
      what: 'two Authorization lines, a made-up token in the first',
      section: 'RFC 6750 §2',
      departure: ({ credentials, scheme }) => ({
        authorization: ['Bearer probe', `${scheme} ${credentials.token.text}`],
      }),
    },
  ]),
  ...refusals('token', { ...UNAUTHORIZED, needs: ['jwt'] }, [
    {
      id: 'jwt-alg-none',
      what: 'a token of alg none, without a signature',
      section: 'RFC 8725 §3.2',
      departure: (stage) => forged(stage, { header: { alg: 'none' }, sign: unsigned }),
    },
    {
      id: 'jwt-alg-none-case',
      what: 'a token of alg nOnE, without a signature',
      section: 'RFC 8725 §3.2',
      departure: (stage) => forged(stage, { header: { alg: 'nOnE' }, sign: unsigned }),
    },
    {
      id: 'jwt-unsigned',
      what: 'the token without its signature',
      section: 'RFC 8725 §3.3',
      departure: (stage) => forged(stage, { sign: unsigned }),
    },
    {
      id: 'jwt-signature',
      what: 'the token with one bit of its signature changed',
      section: 'RFC 7515 §5.2',
      departure: ({ credentials }) => ({ token: breakSignature(credentials.token.text) }),
    },
    {
      id: 'jwt-claims',
      what: 'the token for another subject and scope',
      section: 'RFC 7515 §5.2',
      departure: (stage) => forged(stage, { claims: { sub: 'probe', scope: 'admin' } }),
    },
    {
      id: 'jwt-cnf',
      what: "the token bound to the thief's key",
      section: 'RFC 9449 §6.1',
      needs: ['dpop'],
      departure: (stage) => ({
        ...forged(stage, { claims: { cnf: { jkt: stage.thief.thumbprint } } }),
        proof: { key: stage.thief },
      }),
    },
    {
      id: 'jwt-unbound',
      what: 'the token without its cnf, as Bearer',
      section: 'RFC 7800 §3.1',
      needs: ['bound'],
      departure: (stage) => ({ ...forged(stage, { claims: { cnf: undefined } }), scheme: 'Bearer', proofs: [] }),
    },
    {
      id: 'jwt-jwk',
      what: 'a token signed by a key in its header (jwk)',
      section: 'RFC 9068 §4',
      departure: (stage) => byThief(stage, { jwk: stage.thief.jwk }),
    },
    {
      id: 'jwt-x5c',
      what: 'a token signed by a certificate in its header (x5c)',
      section: 'RFC 9068 §4',
      departure: withCertificate,
    },
    {
      id: 'jwt-jku',
      what: 'a token signed by a key at a URL in its header (jku, x5u)',
      section: 'RFC 8725 §3.10',
      departure: (stage) =>
        byThief(stage, { jku: 'https://probe.invalid/jwks', x5u: 'https://probe.invalid/x5u', kid: 'probe' }),
    },
    {
      id: 'jwt-kid',
      what: 'a token of HS256 without a secret, whose kid leads to an empty file',
      section: 'RFC 8725 §3.10',
      departure: (stage) =>
        forged(stage, { header: { alg: 'HS256', kid: '../../../../../../dev/null' }, sign: hmac('') }),
    },
    {
      id: 'jwt-hs256',
      what: "a token of HS256, by the issuer's public key",
      section: 'RFC 8725 §3.1',
      needs: ['issuer key'],
      departure: (stage) => confused(stage, '\n'),
    },
    {
      id: 'jwt-hs256-trimmed',
      what: 'the same, without the last line feed of the key',
      section: 'RFC 8725 §3.1',
      needs: ['issuer key'],
      departure: (stage) => confused(stage, ''),
    },
  ]),
  ...refusals('token', UNAUTHORIZED, [
    {
      id: 'expired-token',
      what: 'an expired token',
      section: 'RFC 9068 §4',
      needs: ['expired token'],
      departure: (stage) => other(stage, 'expired'),
    },
    {
      id: 'foreign-token',
      what: 'a token for another API',
      section: 'RFC 9068 §4',
      needs: ['foreign token'],
      departure: (stage) => other(stage, 'foreign'),
    },
    {
      id: 'unbound-token',
      what: 'an unbound token where a bound one is demanded',
      section: 'RFC 9700 §2.2.1',
      needs: ['unbound token', 'bound'],
      departure: (stage) => other(stage, 'unbound'),
    },
  ]),
];
