// `holdfast explain`: one request, decided as the gateway would, with every check.

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { buildChain, readAuthorities } from '../../certificate/chain.ts';
import { readCertificate } from '../../certificate/leaf.ts';
import { routeAnswer } from '../../edge/answers.ts';
import type { Connection } from '../../edge/listen/connection.ts';
import { compileTrustedPeers, trustOf } from '../../edge/listen/trusted-peer.ts';
import { preflightAnswer } from '../../edge/intake/cors.ts';
import { compileIntake, type EdgeFacts, readFacts } from '../../edge/intake/facts.ts';
import { metadataAnswer } from '../../edge/intake/metadata.ts';
import { pseudonymOf } from '../../edge/fields/fields.ts';
import { chooseOrigin } from '../../edge/intake/origin.ts';
import { enforce } from '../../enforce.ts';
import { listChecks } from './checks.ts';
import { chooseRoute, groupOf, preflightReach } from '../../policy/route-table.ts';
import type { Listener, Policy, Route } from '../../policy/policy.ts';
import { readUpgrade } from '../../edge/transaction/upgrade.ts';
import { readBodyLength } from '../../http/framing.ts';
import { readAuthority } from '../../http/uri.ts';
import { Rejection, reject } from '../../rejection/rejection.ts';
import { shownFacts } from '../../rejection/facts.ts';
import { type Answer, rejectionAnswer } from '../../rejection/answer.ts';
import type { JsonObject } from '../../jose/jws.ts';
import { presentedScheme } from '../../token/presentation.ts';
import type { CertificateEvidence } from '../../request-facts.ts';
import { type CommandLine, demand } from '../arguments.ts';
import { EXIT } from '../commands.ts';
import { findAlsoWrong } from './also-wrong.ts';
import { readCurl } from './curl.ts';
import { headerSize, listEdgeChecks } from './edge-checks.ts';
import { type GivenRequest, readHar, readRawRequest, readUrl, wrong } from './given.ts';
import { openPorts } from './ports.ts';
import { type Explanation, printExplanation, tellRefusal } from './report.ts';
import { listSkipped } from './skipped.ts';
import { loadPolicy } from '../load.ts';
import { type Printed, printProblems } from '../printed.ts';

/**
 * Explains one request. Keys are loaded from the issuers as the gateway does it. The replay memory is empty: a proof that was used
 * before looks new. @throws UsageError
 */
export async function explain(line: CommandLine): Promise<Printed> {
  const loaded = loadPolicy(demand(line, 'config'));
  const json = line.options.json ?? false;
  if ('problems' in loaded) return printProblems(loaded.problems, json);
  const explanation = await explainRequest(loaded.policy, line);
  const stdout = json ? `${JSON.stringify(explanation, undefined, 2)}\n` : printExplanation(explanation);
  return { exit: explanation.decision === 'refused' ? EXIT.refused : EXIT.ok, stdout, stderr: '' };
}

async function explainRequest(policy: Policy, line: CommandLine): Promise<Explanation> {
  const { given, certificate } = readGiven(line);
  const now = readMoment(line.options.at) ?? (given.at ?? Date.now()) / 1000;
  const listener = chooseListener(policy, given, line.options.listener);
  const evidence = readEvidence(line.options['cert-file'] ?? certificate, listener);
  const connection = connectionWith(evidence, listener, line.options.peer);
  const way = { policy, given, listener, connection, now };
  if (given.fault !== undefined) return refusal(way, reject('request_malformed', { what: given.fault }));
  const size = headerSize(given);
  const most = listener.limits.headerSize;
  if (size > most) {
    const facts = {
      what: 'fields',
      differs: 'size',
      expected: `at most ${most} bytes`,
      received: `${size} bytes`,
    } as const;
    return refusal(way, reject('header_too_large', facts));
  }
  const intake = compileIntake(listener, policy.managedFields, pseudonymOf(policy.id));
  const key = readUpgrade(given);
  const upgrade = key === undefined ? undefined : { key };
  const request = { ...given, upgrade, bodyLength: () => readBodyLength(given.rawHeaders) };
  const facts = readFacts(request, connection, intake, now);
  if (facts instanceof Rejection) return refusal(way, facts);
  const answer = ownAnswer(policy, facts);
  if (answer instanceof Rejection) return refusal({ ...way, facts }, answer);
  if (answer !== undefined) return { ...about({ ...way, facts }, undefined), decision: 'answered', answer };
  const route = chooseRoute(policy.routeTable, facts);
  if (route instanceof Rejection) return refusal({ ...way, facts }, route);
  return decide({ ...way, facts, route });
}

/** What the gateway answers by itself, as exchange.ts does before there is a route. */
function ownAnswer(policy: Policy, facts: EdgeFacts): Answer | Rejection | undefined {
  if (facts.endsHere) return { status: 204, fields: [['Cache-Control', 'no-store']], body: '' };
  const group = groupOf(policy.routeTable, facts);
  return (
    metadataAnswer(policy, facts) ?? (group && preflightAnswer(preflightReach(policy.routeTable, facts, group), facts))
  );
}

/** How far a request got. */
interface Subject {
  readonly policy: Policy;
  readonly given: GivenRequest;
  readonly listener: Listener;
  readonly connection: Connection;
  readonly now: number;
  readonly route?: Route;
  readonly facts?: EdgeFacts;
  /** What the issuer said about an opaque token. */
  readonly answered?: JsonObject | undefined;
}

async function decide(way: Subject & { readonly facts: EdgeFacts; readonly route: Route }): Promise<Explanation> {
  const { policy, route, facts, given, listener } = way;
  const { ports, issuerProblems, answered, stop } = await openPorts(policy, route, facts.now);
  try {
    const decision = await enforce(facts, route, ports);
    const subject = { ...way, answered: answered() };
    if (decision instanceof Rejection) {
      const also = await findAlsoWrong({ facts, route, ports }, decision);
      return { ...refusal(subject, decision), also: also.map(tellRefusal), notes: issuerProblems() };
    }
    const notes = [
      ...issuerProblems(),
      ...(facts.dpop.length > 0 ? [NOT_REMEMBERED] : []),
      ...(decision.facts.digests === undefined ? [] : [NOT_DIGESTED]),
    ];
    const { own, responseFields: edits } = route;
    if (own !== undefined) {
      const answer = routeAnswer(decision, { at: undefined, own, facts, edits, grpc: undefined });
      return { ...about(subject, undefined), decision: 'answered', answer, notes };
    }
    const most = route.limits.requestBody ?? listener.limits.requestBody;
    if ((given.body ?? 0) > most) {
      const facts = {
        what: 'body',
        differs: 'size',
        expected: `at most ${most} bytes`,
        received: `${given.body} bytes`,
      } as const;
      return refusal(subject, reject('body_too_large', facts));
    }
    return { ...about(subject, undefined), notes, identity: decision.facts.identity };
  } finally {
    await stop();
  }
}

const NOT_REMEMBERED =
  'The replay store was not asked: a proof that was used before would be refused as proof_replayed.';

const NOT_DIGESTED =
  'The body was not looked at: another one than was signed would be refused as content_digest_mismatch.';

function refusal(subject: Subject, refused: Rejection): Explanation {
  const { policy, listener, route, facts } = subject;
  const answer = rejectionAnswer(refused, {
    requestId: '(one per request)',
    challenge: route?.challenge,
    presented: presentedScheme(facts?.authorization ?? []),
    realm: facts?.origin.authority ?? '',
    nonce: () => '(a fresh nonce)',
    explain: listener.explainToClients,
    problemBase: policy.problemBase,
  });
  return {
    ...about(subject, refused),
    decision: 'refused',
    reason: refused.reason,
    refused: tellRefusal(refused),
    facts: shownFacts(refused.facts),
    answer,
  };
}

/** What is the same of every explanation: a permitted one, until something else is said. */
function about(subject: Subject, refused: Rejection | undefined): Explanation {
  const { listener, route, facts, answered } = subject;
  const isPublic = route?.demand.requirement === 'public';
  const sender =
    route === undefined || facts === undefined || isPublic ? [] : listChecks(facts, route, refused?.reason, answered);
  return {
    decision: 'permitted',
    reason: undefined,
    refused: undefined,
    also: [],
    facts: undefined,
    listener: listener.name,
    route: route?.name,
    requirement: route?.demand.requirement,
    skipped: facts !== undefined && wasLookedFor(route, refused) ? listSkipped(subject.policy, facts, route) : [],
    checks: [...listEdgeChecks({ ...subject, route: route?.name }, refused), ...sender],
    answer: undefined,
    identity: [],
    notes: [],
  };
}

/** What is refused before, or answered by the gateway itself, belongs to no route. */
function wasLookedFor(route: Route | undefined, refused: Rejection | undefined): boolean {
  return route !== undefined || refused?.reason === 'route_not_found' || refused?.reason === 'method_not_allowed';
}

/** The request, from one description of it, and the file of a certificate that it names. */
function readGiven(line: CommandLine): { readonly given: GivenRequest; readonly certificate?: string | undefined } {
  const { operand, options } = line;
  const { curl, har, url } = options;
  const kinds = [operand === '' ? undefined : 'REQUEST', curl && '--curl', har && '--har', url && '--url'];
  const named = kinds.filter((one) => one !== undefined);
  if (named.length > 1) throw wrong(`${named.join(' and ')} both describe a request, expected one of them`);
  if (options.entry !== undefined && har === undefined) throw wrong('--entry is a number of --har');
  const read = describedBy(line);
  const more = [...credentialLines(line), ...fieldLines(line)];
  const given = { ...read.given, rawHeaders: [...read.given.rawHeaders, ...more] };
  return { ...read, given: { ...given, method: options.method ?? given.method } };
}

function describedBy(line: CommandLine): { readonly given: GivenRequest; readonly certificate?: string | undefined } {
  const { operand, options } = line;
  const { curl, har } = options;
  if (operand !== '') return { given: readRawRequest(readText(operand, 'the request', false)) };
  if (har !== undefined) return { given: readHar(readText(har, '--har'), options.entry) };
  if (curl !== undefined) {
    const { request: given, certificate } = readCurl(curl === '-' ? readText('-', '--curl') : curl);
    return { given, certificate };
  }
  if (options.url === undefined && options.method === undefined) {
    throw wrong('"explain" needs a request: REQUEST, --url with --method, --curl or --har');
  }
  const method = demand(line, 'method');
  const { scheme, authority, target } = readUrl(demand(line, 'url'), '--url');
  return { given: { method, scheme, authority, target, httpVersion: '1.1', rawHeaders: ['Host', authority] } };
}

/** Of --fields-file and --header; a body is what Content-Length or Transfer-Encoding announces. */
function fieldLines({ options: { 'fields-file': file, header = [] } }: CommandLine): readonly string[] {
  const lines = file === undefined ? [] : readText(file, '--fields-file').split(/\r?\n/);
  const filled = lines.filter((line) => line !== '');
  return [
    ...filled.flatMap((line) => readField(line, '--fields-file: expected lines like Signature: sig=:...:')),
    ...header.flatMap((line) => readField(line, "--header must be a field such as 'X-Forwarded-Proto: https'")),
  ];
}

/** `Name: value`. */
function readField(line: string, otherwise: string): readonly string[] {
  const [, name, value] = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw wrong(otherwise);
  return [name, value];
}

/** Seconds. */
function readMoment(at: string | undefined): number | undefined {
  if (at === undefined) return undefined;
  const moment = Date.parse(at);
  if (Number.isNaN(moment)) throw wrong('--at must be a time such as 2026-11-21T12:00:00Z');
  return moment / 1000;
}

/** The listener that is named, or has the origin; else the first one, which will say that the request is misdirected. */
function chooseListener(
  { listeners }: Policy,
  { scheme, authority }: GivenRequest,
  name: string | undefined,
): Listener {
  const read = readAuthority(authority, scheme);
  const serves = ({ origins }: Listener) => chooseOrigin(origins, { scheme, authority: read }) !== undefined;
  const listener =
    name === undefined ? (listeners.find(serves) ?? listeners[0]) : listeners.find((one) => one.name === name);
  if (listener === undefined) throw wrong(`--listener must be one of: ${listeners.map((one) => one.name).join(', ')}`);
  return listener;
}

function credentialLines({ options }: CommandLine): string[] {
  const { 'token-file': tokenFile, 'proof-file': proofFile } = options;
  const lines: string[] = [];
  if (tokenFile !== undefined) {
    const text = readText(tokenFile, '--token-file');
    const scheme = proofFile === undefined ? 'Bearer' : 'DPoP';
    lines.push('Authorization', /^\S+ /.test(text) ? text : `${scheme} ${text}`);
  }
  if (proofFile !== undefined) lines.push('DPoP', readText(proofFile, '--proof-file'));
  return lines;
}

/** `-` is standard input. */
function readText(file: string, option: string, trimmed = true): string {
  try {
    const text = readFileSync(file === '-' ? 0 : file, 'utf8');
    return trimmed ? text.trim() : text;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
    throw wrong(`${option} ${file === '-' ? 'standard input' : file} cannot be read (${code})`, error);
  }
}

/** As the listener would see it after a full handshake, or be told of it; its CRL is not looked at. */
function readEvidence(file: string | undefined, listener: Listener): CertificateEvidence | undefined {
  if (file === undefined) return undefined;
  const { clientCertificate } = listener;
  if (clientCertificate.request === 'none' && listener.clientCertificateFrom === undefined) {
    throw wrong(`--cert-file: listener ${listener.name} never sees one, client_certificate.request is none`);
  }
  const [leaf, ...offered] = readAuthorities(readText(file, '--cert-file')) ?? [];
  if (leaf === undefined) throw wrong('--cert-file: no certificate in PEM is in it');
  const authorities = readAuthorities(clientCertificate.ca ?? '') ?? [];
  const { verify } = clientCertificate;
  const chain = verify === 'chain' ? buildChain(leaf, offered, authorities) : [];
  const facts = readCertificate(leaf.raw, chain);
  if (facts === undefined) throw wrong('--cert-file: the certificate cannot be read');
  return { facts, verify, trusted: chain.length > 0 };
}

/** @param peer address of the TCP peer; undefined: a stranger whose address does not matter */
function connectionWith(
  evidence: CertificateEvidence | undefined,
  listener: Listener,
  peer: string | undefined,
): Connection {
  if (peer !== undefined && isIP(peer) === 0) throw wrong('--peer must be an IP address');
  const trust = peer === undefined ? undefined : trustOf(compileTrustedPeers(listener.trustedPeers), peer, evidence);
  return {
    remoteAddress: peer,
    remotePort: undefined,
    localAddress: undefined,
    localPort: undefined,
    servername: undefined,
    evidence,
    trustedUntil: trust?.until ?? 0,
    forwarding: trust?.forwarding,
  };
}
