// A command-line client: a token from the quickstart's server, and a call with it.

import type { Answer } from './answer.ts';
import { STATUS_CODES } from 'node:http';
import { parseArgs } from 'node:util';
import { makeProof, sendWithProof } from './dpop-client.ts';
import {
  openParties,
  PARTIES,
  type Parties,
  type Party,
  requestToken,
  TOKEN_KINDS,
  type TokenKind,
} from './parties.ts';
import { keepSecrets, type Secrets } from './secrets.ts';
import { type Addresses, commandFor, findAddresses, FOLDER } from './settings.ts';

const ME = commandFor('client.ts');
const USAGE = `Usage: ${ME} KIND METHOD URL [--as PARTY] [--curl]
       ${ME} token KIND

  KIND    ${TOKEN_KINDS.join(', ')}: which token to get and send
  PARTY   ${PARTIES.join(', ')}: whose certificate to connect with (mtls: alice, else nobody)
  --curl  print a curl command with the token and a fresh proof instead; run it twice to replay the proof
  token   print a token and nothing else
`;

interface Call {
  readonly kind: TokenKind;
  readonly method: string;
  readonly url: string;
  readonly party: Party;
}

interface Client {
  readonly addresses: Addresses;
  readonly secrets: Secrets;
  readonly parties: Parties;
}

async function call({ parties, addresses, secrets }: Client, { kind, method, url, party }: Call): Promise<Answer[]> {
  const accessToken = await requestToken(parties, addresses, secrets, kind);
  if (kind !== 'dpop') return [await parties.send(party, { method, url, fields: bearer(accessToken) })];
  const exchanges = await sendWithProof(secrets.proofKey, { method, url, accessToken }, async (fields) => ({
    answer: await parties.send(party, { method, url, fields }),
  }));
  return exchanges.map(({ answer }) => answer);
}

async function curl({ parties, addresses, secrets }: Client, { kind, method, url, party }: Call): Promise<string> {
  const accessToken = await requestToken(parties, addresses, secrets, kind);
  const fields =
    kind === 'dpop'
      ? {
          Authorization: `DPoP ${accessToken}`,
          DPoP: await makeProof(secrets.proofKey, { method, url, accessToken }),
        }
      : bearer(accessToken);
  const certificate = party === 'nobody' ? '' : ` --cert .quickstart/${party}.pem --key .quickstart/${party}.key`;
  const lines = Object.entries(fields).map(([name, value]) => `  -H '${name}: ${value}' \\\n`);
  return `curl -i -X ${method} --cacert .quickstart/ca.pem${certificate} \\\n${lines.join('')}  '${url}'`;
}

const bearer = (accessToken: string) => ({ Authorization: `Bearer ${accessToken}` });

function describe({ status, fields, body }: Answer): string {
  const shown = ['www-authenticate', 'dpop-nonce', 'content-type']
    .filter((name) => fields[name] !== undefined)
    .map((name) => `${name}: ${[fields[name]].flat().join(`\n${name}: `)}\n`);
  return `${status} ${STATUS_CODES[status] ?? ''}\n${shown.join('')}\n${body.trimEnd()}`;
}

type Wanted = { readonly token: TokenKind } | (Call & { readonly curl: boolean });

/** What the arguments ask for, or what is wrong with them. */
function readArguments(args: string[]): Wanted | string {
  const options = { as: { type: 'string' }, curl: { type: 'boolean', default: false } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [first, second, url, ...rest] = positionals;
  const kindOf = (text: string | undefined) => TOKEN_KINDS.find((name) => name === text);
  if (first === 'token') {
    const token = kindOf(second);
    return token === undefined || url !== undefined ? `token needs one of ${TOKEN_KINDS.join(', ')}` : { token };
  }
  const kind = kindOf(first);
  if (kind === undefined) return `KIND is one of ${TOKEN_KINDS.join(', ')}`;
  if (second === undefined || !/^[A-Z]+$/.test(second)) return 'METHOD is a method in capitals such as GET';
  if (url === undefined || rest.length > 0 || !URL.canParse(url) || url.includes("'")) return 'one URL is needed';
  const party = PARTIES.find((name) => name === (values.as ?? (kind === 'mtls' ? 'alice' : 'nobody')));
  if (party === undefined) return `PARTY is one of ${PARTIES.join(', ')}`;
  return { kind, method: second, url, party, curl: values.curl };
}

async function run(wanted: Wanted): Promise<string> {
  const addresses = await findAddresses();
  const parties = await openParties(FOLDER);
  try {
    const client = { addresses, parties, secrets: await keepSecrets(FOLDER) };
    if ('token' in wanted) return await requestToken(parties, addresses, client.secrets, wanted.token);
    if (wanted.curl) return await curl(client, wanted);
    return (await call(client, wanted)).map(describe).join('\n\n');
  } finally {
    await parties.close();
  }
}

/** Exit codes: 0, 1 for what failed, 64 for arguments that are not understood. */
async function main(args: string[]): Promise<number> {
  if (args.some((arg) => arg === '--help' || arg === '-h')) {
    console.log(USAGE);
    return 0;
  }
  let wanted: Wanted | string;
  try {
    wanted = readArguments(args);
  } catch (error) {
    wanted = (error as Error).message; // of parseArgs: an unknown option
  }
  if (typeof wanted === 'string') {
    console.error(`${wanted}\n\n${USAGE}`);
    return 64;
  }
  try {
    console.log(await run(wanted));
    return 0;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const away = code === 'ENOENT' || code === 'ECONNREFUSED';
    console.error(away ? 'The quickstart is not running here: npm start' : message);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
