// The doctor's look at endpoints of an issuer that the gateway calls as a client.

import { randomBytes } from 'node:crypto';
import { IssuerEndpoint, type Post } from '../../issuer/endpoint.ts';
import type { IssuerFailure } from '../../issuer/fetch.ts';
import type { VerificationKey } from '../../jose/key-set.ts';
import type { Policy } from '../../policy/policy.ts';
import { exchangeParameters, isAboutToken, type TokenExchangeTerms } from '../../token/exchanged-token.ts';
import type { ClientRules, IntrospectionRules, Issuer, TokenExchangeRules } from '../../token/issuer.ts';
import { readIntrospection } from '../../token/opaque-token.ts';
import { readSignedIntrospection } from '../../token/signed-introspection.ts';
import { type DoctorFinding, findingsOf, type Terms } from './finding.ts';
import { failureOf, issuerTrouble } from './issuers.ts';

/** A text that is a token of no issuer: it names itself in the log of the server, and is another one each time. */
const noToken = () => `holdfast-doctor-${randomBytes(16).toString('base64url')}`;

/**
 * Asks about a token that does not exist: an answer that it is inactive shows that endpoint and credentials are good.
 * @param keys of the issuer, for signed answers
 */
export async function lookAtIntrospection(
  issuer: Issuer,
  rules: IntrospectionRules,
  keys: readonly VerificationKey[] | undefined,
  terms: Terms,
): Promise<DoctorFinding> {
  const of = findingsOf(`issuer ${issuer.name}`);
  const check = 'introspection';
  const accept = rules.signed ? 'application/token-introspection+jwt' : 'application/json';
  const parameters = { token: noToken(), token_type_hint: 'access_token' };
  try {
    const text = await ask({ issuer, rules, name: 'introspection_endpoint', terms }, { parameters, accept });
    const says = await readAnswerOf(text, { issuer, rules, keys, now: terms.now() });
    if (says === 'inactive') return of.ok(check, 'reached; the credentials were accepted');
    const next = 'Look at the introspection endpoint (RFC 7662 §2.2): it must say active: false of unknown tokens.';
    return of.fault(check, says, next, 'an answer that a token that does not exist is inactive');
  } catch (error) {
    return told(of, { check, block: `issuers.${issuer.name}.introspection`, name: issuer.name }, failureOf(error));
  }
}

async function readAnswerOf(
  text: string,
  by: {
    readonly issuer: Issuer;
    readonly rules: IntrospectionRules;
    readonly keys: readonly VerificationKey[] | undefined;
    readonly now: number;
  },
): Promise<string> {
  const { issuer, rules, keys, now } = by;
  const active = (says: unknown) =>
    says === 'inactive' ? 'inactive' : 'says that a token is active that does not exist';
  if (!rules.signed) {
    const says = readIntrospection(text);
    return says === 'malformed' ? 'the answer does not say whether the token is active' : active(says);
  }
  const source = { current: () => keys, refreshFor: async () => {} };
  const answer = await readSignedIntrospection(text, { issuer, clientId: rules.clientId, keys: source, now });
  return 'problem' in answer ? `the signed answer is refused: ${answer.problem}` : active(answer.says);
}

/**
 * Offers a token that does not exist for exchange: that it is refused for the token's sake shows that endpoint and credentials are
 * good, and no token is issued.
 */
export async function lookAtExchange(
  issuer: Issuer,
  rules: TokenExchangeRules,
  exchange: TokenExchangeTerms,
  terms: Terms,
): Promise<DoctorFinding> {
  const of = findingsOf(`issuer ${issuer.name}`);
  const check = `token exchange for ${exchange.name}`;
  const accept = 'application/json';
  try {
    const parameters = exchangeParameters(noToken());
    await ask({ issuer, rules, name: 'token_endpoint', terms }, { parameters, more: exchange.form, accept });
    const next = 'Look at the token endpoint: it must verify the subject_token (RFC 8693 §2.1).';
    return of.fault(check, 'answered 200 for a token that does not exist', next, 'a refusal such as invalid_request');
  } catch (error) {
    const failure = failureOf(error);
    if (isAboutToken(failure.error)) {
      return of.ok(check, `reached; the credentials were accepted, and an invented token was not (${failure.error})`);
    }
    return told(of, { check, block: `issuers.${issuer.name}.token_exchange`, name: issuer.name }, failure);
  }
}

/** The exchanges of tokens of an issuer that routes ask for, each once. */
export function exchangesOf(policy: Policy, issuer: Issuer): readonly TokenExchangeTerms[] {
  const wanted = policy.routes
    .filter(({ demand }) => demand.issuers.some(({ name }) => name === issuer.name))
    .flatMap(({ forward }) => forward.exchange ?? []);
  return [...new Map(wanted.map((one) => [one.form, one])).values()];
}

interface Asked {
  readonly issuer: Issuer;
  readonly rules: ClientRules;
  readonly name: 'introspection_endpoint' | 'token_endpoint';
  readonly terms: Terms;
}

/** One post by the gateway's own client. @throws IssuerFailure */
async function ask(
  { issuer, rules, name, terms }: Asked,
  post: Pick<Post, 'parameters' | 'more' | 'accept'>,
): Promise<string> {
  const limits = { timeout: terms.each, size: 64 * 1024, endpoint: { keep: 60, retry: 1 } };
  const endpoint = new IssuerEndpoint({ issuer, rules, name, limits, connections: 1, lookup: terms.names.lookup });
  try {
    return await endpoint.post({ ...post, now: terms.now(), signal: terms.signal });
  } finally {
    await endpoint.close();
  }
}

function told(
  of: ReturnType<typeof findingsOf>,
  { check, block, name }: { readonly check: string; readonly block: string; readonly name: string },
  failure: IssuerFailure,
): DoctorFinding {
  const { status, error, message } = failure;
  if (status === 401 || status === 403 || error === 'invalid_client') {
    const next = `Compare client_id and the credentials in ${block} with the client at the issuer, and what it may do there.`;
    return of.fault(check, `the credentials are refused: ${message}`, next, 'credentials that the issuer accepts');
  }
  if (error !== undefined) {
    const next = `Ask those who run the issuer to allow this to the client of ${block}; its log says why it refused.`;
    return of.fault(check, message, next);
  }
  const trouble = issuerTrouble(failure, name);
  return of.fault(check, trouble.found, trouble.next);
}
