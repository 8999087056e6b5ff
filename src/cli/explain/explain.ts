// `holdfast explain`: one request, decided as the gateway would, with every check.

import { readFileSync } from 'node:fs';
import { buildChain, readAuthorities } from '../../certificate/chain.ts';
import { readCertificate } from '../../certificate/leaf.ts';
import type { Connection } from '../../edge/listen/connection.ts';
import { compileIntake, type EdgeFacts, readFacts } from '../../edge/intake/facts.ts';
import { pseudonymOf } from '../../edge/fields/fields.ts';
import { chooseOrigin } from '../../edge/intake/origin.ts';
import { enforce } from '../../enforce.ts';
import { type CheckedStep, listChecks } from './checks.ts';
import { chooseRoute } from '../../policy/route-table.ts';
import type { Listener, Policy, Route } from '../../policy/policy.ts';
import { readBodyLength } from '../../http/framing.ts';
import { readAuthority } from '../../http/uri.ts';
import { Rejection } from '../../rejection/rejection.ts';
import { shownFacts } from '../../rejection/facts.ts';
import { type Answer, rejectionAnswer } from '../../rejection/answer.ts';
import type { JsonObject } from '../../jose/jws.ts';
import { presentedScheme } from '../../token/presentation.ts';
import type { CertificateEvidence } from '../../request-facts.ts';
import { type CommandLine, demand, UsageError } from '../arguments.ts';
import { EXIT } from '../commands.ts';
import { openPorts } from './ports.ts';
import { loadPolicy, type Printed, printProblems } from '../load.ts';

/** What was found out about a request. */
interface Explanation {
  readonly listener: string;
  readonly route: string | undefined;
  readonly requirement: string | undefined;
  readonly checks: readonly CheckedStep[];
  readonly decision: 'permitted' | 'refused';
  readonly reason: string | undefined;
  readonly facts: ReturnType<typeof shownFacts> | undefined;
  /** The answer to a refusal. */
  readonly answer: Answer | undefined;
  /** What a permitted request would bring to the upstream. */
  readonly identity: readonly (readonly [string, string])[];
  readonly notes: readonly string[];
}

/**
 * Explains one request. Keys are loaded from the issuers as the gateway does it. The replay memory is that of nobody: a proof
 * that was used before looks new. @throws UsageError
 */
export async function explain(line: CommandLine): Promise<Printed> {
  const loaded = loadPolicy(demand(line, 'config'));
  const json = line.options.json ?? false;
  if ('problems' in loaded) return printProblems(loaded.problems, json);
  const explanation = await explainRequest(loaded.policy, line);
  const stdout = json ? `${JSON.stringify(explanation, undefined, 2)}\n` : print(explanation);
  return { exit: explanation.decision === 'permitted' ? EXIT.ok : EXIT.refused, stdout, stderr: '' };
}

async function explainRequest(policy: Policy, line: CommandLine): Promise<Explanation> {
  const method = demand(line, 'method');
  const { scheme, authority, target } = readUrl(demand(line, 'url'));
  const now = readMoment(line.options.at);
  const listener = chooseListener(policy, scheme, authority);
  const connection = connectionWith(readEvidence(line.options['cert-file'], listener));
  const rawHeaders = ['Host', authority, ...credentialLines(line), ...fieldLines(line)];
  const intake = compileIntake(listener, policy.managedFields, pseudonymOf(policy.id));
  const request = { method, target, httpVersion: '1.1', rawHeaders, bodyLength: () => readBodyLength(rawHeaders) };
  const facts = readFacts(request, connection, intake, now);
  if (facts instanceof Rejection) return refusal({ policy, listener }, facts);
  const route = chooseRoute(policy.routeTable, facts);
  if (route instanceof Rejection) return refusal({ policy, listener, facts }, route);
  return decide(policy, listener, route, facts);
}

async function decide(policy: Policy, listener: Listener, route: Route, facts: EdgeFacts): Promise<Explanation> {
  const { ports, issuerProblems, answered, stop } = await openPorts(policy, route, facts.now);
  try {
    const decision = await enforce(facts, route, ports);
    const subject = { policy, listener, route, facts, answered: answered() };
    if (decision instanceof Rejection) return refusal(subject, decision, issuerProblems());
    return {
      ...about(subject, undefined),
      notes: [
        ...issuerProblems(),
        ...(facts.dpop.length > 0 ? [NOT_REMEMBERED] : []),
        ...(decision.facts.digests === undefined ? [] : [NOT_DIGESTED]),
      ],
      decision: 'permitted',
      reason: undefined,
      facts: undefined,
      answer: undefined,
      identity: decision.facts.identity,
    };
  } finally {
    await stop();
  }
}

const NOT_REMEMBERED =
  'The replay store was not asked: a proof that was used before would be refused as proof_replayed.';

const NOT_DIGESTED =
  'The body was not looked at: another one than was signed would be refused as content_digest_mismatch.';

/** How far a request got. */
interface Subject {
  readonly policy: Policy;
  readonly listener: Listener;
  readonly route?: Route;
  readonly facts?: EdgeFacts;
  /** What the issuer said about an opaque token. */
  readonly answered?: JsonObject | undefined;
}

function refusal(subject: Subject, refused: Rejection, notes: readonly string[] = []): Explanation {
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
    facts: shownFacts(refused.facts),
    answer,
    identity: [],
    notes,
  };
}

function about({ listener, route, facts, answered }: Subject, refused: Rejection | undefined) {
  const isPublic = route?.demand.requirement === 'public';
  return {
    listener: listener.name,
    route: route?.name,
    requirement: route?.demand.requirement,
    checks:
      route === undefined || facts === undefined || isPublic ? [] : listChecks(facts, route, refused?.reason, answered),
  };
}

function readUrl(url: string): { scheme: 'http' | 'https'; authority: string; target: string } {
  const [, scheme = '', authority = '', target = ''] = /^(https?):\/\/([^/?#]+)(.*)$/i.exec(url) ?? [];
  if (scheme === '') throw new UsageError('--url must be an absolute http or https URL');
  const path = target.startsWith('/') ? target : `/${target}`;
  return { scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http', authority, target: path.replace(/#.*$/, '') };
}

function readMoment(at: string | undefined): number {
  const moment = at === undefined ? Date.now() : Date.parse(at);
  if (Number.isNaN(moment)) throw new UsageError('--at must be a time such as 2026-11-21T12:00:00Z');
  return moment / 1000;
}

/** The listener that has the origin; else the first one, which will say that the request is misdirected. */
function chooseListener({ listeners }: Policy, scheme: 'http' | 'https', authority: string): Listener {
  const read = readAuthority(authority, scheme);
  const serves = ({ origins }: Listener) => chooseOrigin(origins, { scheme, authority: read }) !== undefined;
  const listener = listeners.find(serves) ?? listeners[0];
  if (listener === undefined) throw new UsageError('the configuration has no listener');
  return listener;
}

function credentialLines({ options }: CommandLine): string[] {
  const { 'token-file': tokenFile, 'proof-file': proofFile } = options;
  const lines: string[] = [];
  if (tokenFile !== undefined) {
    const text = readText(tokenFile === '-' ? 0 : tokenFile, '--token-file');
    const scheme = proofFile === undefined ? 'Bearer' : 'DPoP';
    lines.push('Authorization', /^\S+ /.test(text) ? text : `${scheme} ${text}`);
  }
  if (proofFile !== undefined) lines.push('DPoP', readText(proofFile, '--proof-file'));
  return lines;
}

/** `Name: value`, one in each line; a body is what Content-Length or Transfer-Encoding announces. */
function fieldLines({ options: { 'fields-file': file } }: CommandLine): string[] {
  if (file === undefined) return [];
  const lines = readText(file, '--fields-file')
    .split(/\r?\n/)
    .filter((line) => line !== '');
  return lines.flatMap((line) => {
    const [, name, value] = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new UsageError('--fields-file: expected lines like Signature: sig=:...:');
    return [name, value];
  });
}

function readText(file: string | 0, option: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new UsageError(`${option}: the file cannot be read`, { command: 'explain', cause: error });
  }
}

/** As the listener would see it after a full handshake, or be told of it; its CRL is not looked at. */
function readEvidence(file: string | undefined, listener: Listener): CertificateEvidence | undefined {
  if (file === undefined) return undefined;
  const { clientCertificate } = listener;
  if (clientCertificate.request === 'none' && listener.clientCertificateFrom === undefined) {
    throw new UsageError(`--cert-file: listener ${listener.name} never sees one, client_certificate.request is none`);
  }
  const [leaf, ...offered] = readAuthorities(readText(file, '--cert-file')) ?? [];
  if (leaf === undefined) throw new UsageError('--cert-file: no certificate in PEM is in it');
  const authorities = readAuthorities(clientCertificate.ca ?? '') ?? [];
  const { verify } = clientCertificate;
  const chain = verify === 'chain' ? buildChain(leaf, offered, authorities) : [];
  const facts = readCertificate(leaf.raw, chain);
  if (facts === undefined) throw new UsageError('--cert-file: the certificate cannot be read');
  return { facts, verify, trusted: chain.length > 0 };
}

function connectionWith(evidence: CertificateEvidence | undefined): Connection {
  return {
    remoteAddress: undefined,
    remotePort: undefined,
    localAddress: undefined,
    localPort: undefined,
    servername: undefined,
    evidence,
    trustedUntil: 0,
  };
}

const MARKS = { passed: 'ok', failed: 'FAILED', 'not reached': '-', 'not owed': '(not owed)' } as const;

function print(explanation: Explanation): string {
  const { listener, route, requirement, checks, decision, reason, facts, answer, identity, notes } = explanation;
  const steps = checks.flatMap(({ check, rfc, expected, received, outcome }) =>
    outcome === 'not reached' || outcome === 'not owed'
      ? [`${MARKS[outcome].padEnd(11)}${check}`]
      : [
          `${MARKS[outcome].padEnd(11)}${check} (${rfc})`,
          `${' '.repeat(11)}expected ${expected}`,
          `${' '.repeat(11)}received ${received}`,
        ],
  );
  const outcome =
    decision === 'permitted'
      ? ['PERMITTED', ...identity.map(([name, value]) => `  ${name}: ${value}`)]
      : [
          `REFUSED: ${reason}`,
          ...Object.entries(facts ?? {}).flatMap(([name, value]) =>
            value === undefined ? [] : [`  ${name}: ${JSON.stringify(value)}`],
          ),
        ];
  const said =
    answer === undefined
      ? []
      : [
          '',
          'The client would get:',
          `  ${answer.status}`,
          ...answer.fields.map(([name, value]) => `  ${name}: ${value}`),
          `  ${answer.body}`,
        ];
  return [
    `listener ${listener}, route ${route ?? '(none)'}${requirement === undefined ? '' : `, require: ${requirement}`}`,
    '',
    ...steps,
    '',
    ...outcome,
    ...said,
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
  ].join('\n');
}
