// The doctor's look at an issuer: metadata, its spelling, keys, clocks.

import type { Agent } from 'undici';
import {
  fetchText,
  issuerAgent,
  IssuerFailure,
  parseFetched,
  placeNamed,
  placeOf,
  plainOrTls,
  wellKnown,
} from '../../issuer/fetch.ts';
import { readKeyDocument } from '../../issuer/key-document.ts';
import { admitsAlgorithm } from '../../jose/algorithms.ts';
import { readKeySet, type VerificationKey } from '../../jose/key-set.ts';
import { mismatch } from '../../rejection/difference.ts';
import type { Issuer } from '../../token/issuer.ts';
import { connectionTrouble, type DoctorFinding, findingsOf, type Terms } from './finding.ts';

/** Bytes of one document, as in issuer/keys.ts. */
const SIZE = 1024 * 1024;
/** Seconds. */
const CLOCKS = 30;

/** What is known of an issuer after the look at its documents. */
export interface LookedAt {
  readonly findings: readonly DoctorFinding[];
  /** undefined: they could not be had. */
  readonly keys: readonly VerificationKey[] | undefined;
}

/** Looks at metadata, keys and clock of one issuer, by the gateway's own requests. Settles with findings, whatever goes wrong. */
export async function lookAtIssuer(issuer: Issuer, terms: Terms): Promise<LookedAt> {
  const clock = new ClockOffsets(terms.now);
  const agent = issuerAgent(issuer, { size: SIZE }, { lookup: terms.names.lookup });
  try {
    const looking: Looking = { issuer, agent, terms, clock };
    const { findings, uri } = await lookAtMetadata(looking);
    const keys = await lookAtKeys(looking, uri);
    return { findings: [...findings, ...keys.findings, ...clock.findings(issuer)], keys: keys.keys };
  } finally {
    await agent.destroy();
  }
}

interface Looking {
  readonly issuer: Issuer;
  readonly agent: Agent;
  readonly terms: Terms;
  readonly clock: ClockOffsets;
}

/** Where keys are: `file`: in a file; undefined: not known. */
type KeysAt = URL | 'file' | undefined;

/** One place of metadata: what came of it. */
type Metadata =
  | { readonly at: string; readonly url: URL; readonly json: object; readonly said: string | undefined }
  | { readonly at: string; readonly failure: IssuerFailure };

async function lookAtMetadata(
  looking: Looking,
): Promise<{ readonly findings: readonly DoctorFinding[]; readonly uri: KeysAt }> {
  const { issuer } = looking;
  const { keys } = issuer;
  if (keys.from === 'jwks_file') return { findings: [], uri: 'file' };
  const of = findingsOf(`issuer ${issuer.name}`);
  if (keys.from === 'jwks_uri') {
    const uri = placeOrFailure(() => plainOrTls(keys.uri, issuer));
    if (uri instanceof URL) return { findings: [], uri };
    return { findings: [of.fault('keys', uri.message, 'Mend keys.jwks_uri.')], uri: undefined };
  }
  // At the same time, since one that is silent takes all its time; the first that is this issuer's counts, as in the gateway.
  const places = keys.uri === undefined ? wellKnown(issuer.issuer) : [keys.uri];
  const tried = await Promise.all(places.map((at) => readMetadata(looking, at)));
  for (const one of tried) if ('json' in one && one.said === issuer.issuer) return fromMetadata(looking, one);
  const other = tried.find((one) => 'json' in one);
  if (other === undefined) return { findings: tried.map((one) => unreachable(issuer, one)), uri: undefined };
  const { what, differs, expected, received } = mismatch('issuer', [issuer.issuer], other.said);
  return {
    uri: undefined,
    findings: [
      of.ok('discovery', placeOf(other.url)),
      of.fault(
        what,
        received === '' ? 'missing' : `${received} (differs: ${differs})`,
        `Metadata of another issuer is not used (RFC 8414 §3.3), and tokens are compared with this value character by character. If this is the right server, write issuers.${issuer.name}.issuer as it is found.`,
        String(expected),
      ),
    ],
  };
}

async function readMetadata({ issuer, agent, terms, clock }: Looking, at: string): Promise<Metadata> {
  try {
    const url = plainOrTls(at, issuer);
    const limits = { timeout: terms.each, size: SIZE };
    const started = terms.now();
    const onAnswer = ({ headers }: { readonly headers: Answer }) => clock.see(started, headers);
    const { text } = await fetchText(url, {
      agent,
      limits,
      signal: terms.signal,
      accept: 'application/json',
      onAnswer,
    });
    const json = parseFetched(text, placeOf(url));
    if (typeof json !== 'object' || json === null) throw new IssuerFailure(`${placeOf(url)}: not a JSON object`);
    const said = 'issuer' in json && typeof json.issuer === 'string' ? json.issuer : undefined;
    return { at, url, json, said };
  } catch (error) {
    return { at, failure: failureOf(error) };
  }
}

function fromMetadata(
  { issuer }: Looking,
  { url, json }: Extract<Metadata, { json: object }>,
): { readonly findings: readonly DoctorFinding[]; readonly uri: KeysAt } {
  const of = findingsOf(`issuer ${issuer.name}`);
  const findings = [of.ok('discovery', placeOf(url)), of.ok('issuer', issuer.issuer)];
  const uri = placeOrFailure(() => placeNamed('jwks_uri', 'jwks_uri' in json ? json.jwks_uri : undefined, url, issuer));
  if (uri instanceof URL) return { findings, uri };
  const next = `Name the place of the keys in issuers.${issuer.name}.keys.jwks_uri, or mend the metadata.`;
  return { findings: [...findings, of.fault('keys', uri.message, next, 'jwks_uri in the metadata')], uri: undefined };
}

function placeOrFailure(place: () => URL): URL | IssuerFailure {
  try {
    return place();
  } catch (error) {
    return failureOf(error);
  }
}

function unreachable({ name }: Issuer, tried: Metadata): DoctorFinding {
  const of = findingsOf(`issuer ${name}`);
  const failure = 'failure' in tried ? tried.failure : new IssuerFailure('no metadata');
  const trouble = issuerTrouble(failure, name);
  return of.fault('discovery', trouble.found, trouble.next, 'metadata with status 200');
}

async function lookAtKeys(looking: Looking, at: KeysAt): Promise<LookedAt> {
  const { issuer, terms } = looking;
  const of = findingsOf(`issuer ${issuer.name}`);
  if (at === undefined) {
    const next = 'Mend what is found above first.';
    return { findings: [of.unknown('usable keys', 'where the keys are is not known', next)], keys: undefined };
  }
  try {
    return countKeys(issuer, at === 'file' ? await keyFile(issuer, terms) : await keyDocument(looking, at));
  } catch (error) {
    const { found, next } = issuerTrouble(failureOf(error), issuer.name);
    return { findings: [of.fault('keys', found, next, 'a JWK set with status 200')], keys: undefined };
  }
}

async function keyFile(issuer: Issuer, { each, signal }: Terms): Promise<unknown> {
  return (await readKeyDocument(issuer, { timeout: each, size: SIZE }, { signal })).json;
}

async function keyDocument({ agent, terms, clock }: Looking, url: URL): Promise<unknown> {
  const started = terms.now();
  const { text } = await fetchText(url, {
    agent,
    limits: { timeout: terms.each, size: SIZE },
    signal: terms.signal,
    accept: 'application/json, application/jwk-set+json',
    onAnswer: ({ headers }) => clock.see(started, headers),
  });
  return parseFetched(text, placeOf(url));
}

function countKeys(issuer: Issuer, json: unknown): LookedAt {
  const of = findingsOf(`issuer ${issuer.name}`);
  const set = readKeySet(json);
  if (set === 'malformed') {
    const next = 'See that the place of the keys is the one of a JWK set (RFC 7517 §5).';
    return { findings: [of.fault('usable keys', 'the document is not a JWK set', next)], keys: undefined };
  }
  const usable = set.keys.filter((key) => key.algorithms.some((alg) => admitsAlgorithm(issuer.algorithms, alg)));
  const wanted = issuer.algorithms.join(', ');
  const others = [
    ...set.keys.filter((key) => !usable.includes(key)).map((key) => key.algorithms.join(' or ')),
    ...set.unused.map((why) => why.replaceAll('-', ' ')),
  ];
  const rest = others.length === 0 ? '' : `; not usable: ${[...new Set(others)].join(', ')}`;
  const found = `${usable.length} for ${wanted}${rest}`;
  const next = `Allow an algorithm of the keys in issuers.${issuer.name}.algorithms, or let the issuer publish a key for one that is allowed.`;
  const published = of.warning(
    'private keys',
    'the key set has a private key in it',
    'Tell those who run the issuer at once: everyone who read it can sign tokens.',
  );
  return {
    keys: set.keys,
    findings: [
      usable.length === 0 ? of.fault('usable keys', found, next, `a key for ${wanted}`) : of.ok('usable keys', found),
      ...(set.unused.includes('private') ? [published] : []),
    ],
  };
}

type Answer = Readonly<Record<string, string | string[] | undefined>>;

/** How far the clock of a server is from ours, by Date and Age (RFC 9110 §6.6.1, RFC 9111 §5.1) of its answers. */
class ClockOffsets {
  readonly #now: () => number;
  readonly #offsets: number[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @param started when the question was sent: the field was written between then and now, and has no fractions */
  see(started: number, { date, age = '0' }: Answer): void {
    const said = Date.parse(String(date)) / 1000 + (/^\d{1,9}$/.test(String(age)) ? Number(age) : 0);
    if (!Number.isFinite(said)) return;
    const ended = this.#now();
    if (said > ended) this.#offsets.push(said - ended);
    else this.#offsets.push(Math.min(0, said + 1 - started));
  }

  findings({ name }: Issuer): readonly DoctorFinding[] {
    const of = findingsOf(`issuer ${name}`);
    const least = this.#offsets.toSorted((one, other) => Math.abs(one) - Math.abs(other))[0];
    if (least === undefined) return [];
    const seconds = Math.round(Math.abs(least));
    const found = seconds < 2 ? 'the same as here' : `${seconds} s ${least > 0 ? 'ahead of' : 'behind'} this machine`;
    const next = 'Compare both clocks with a third one (chronyc tracking, timedatectl), and set the wrong one by NTP.';
    if (seconds <= CLOCKS) return [of.ok('clock', found)];
    return [of.warning('clock', found, next, `at most ${CLOCKS} s; clock_tolerance counts for tokens`)];
  }
}

/** Why an issuer gave no document: in words, and what to do. */
export function issuerTrouble(
  { message, code, status }: IssuerFailure,
  name: string,
): { readonly found: string; readonly next: string } {
  if (code !== undefined) {
    const place = message.slice(0, Math.max(0, message.lastIndexOf(': ')));
    const { found, next } = connectionTrouble(code);
    return { found: `${place}: ${found}`, next: next.replace('tls.ca_file of this block', `issuers.${name}.ca_file`) };
  }
  if (status === undefined)
    return {
      found: message,
      next: `Compare the place with issuers.${name}, and with the documentation of the issuer.`,
    };
  const next =
    status === 404
      ? `Nothing is there: compare issuers.${name}.issuer with the documentation of the issuer, or name the place in its keys: discovery_uri or jwks_uri.`
      : status < 400
        ? 'Write the address to which it redirects.'
        : 'Look at the log of the issuer.';
  return { found: message, next };
}

/** @returns the failure; what nobody expected is told by its kind alone */
export function failureOf(error: unknown): IssuerFailure {
  if (error instanceof IssuerFailure) return error;
  return new IssuerFailure(`internal error (${error instanceof Error ? error.name : 'unknown'})`);
}
