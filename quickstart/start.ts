// `npm start`: a gateway, a real authorization server and an API, with commands to try.

import { relative } from 'node:path';
import { styleText } from 'node:util';
import { describeLogLine } from './log-lines.ts';
import { LOG_FILE, startServices } from './services.ts';
import {
  type Addresses,
  addressesOf,
  announce,
  commandFor,
  CONFIG,
  exitWith,
  Problem,
  readPorts,
  ROOT,
} from './settings.ts';

const style = (format: 'bold' | 'dim', text: string) => styleText(format, text, { stream: process.stdout });
const CLIENT = commandFor('client.ts');
const CURL = 'curl -i --cacert .quickstart/ca.pem';
const certificateOf = (name: string) => `--cert .quickstart/${name}.pem --key .quickstart/${name}.key`;

/** What to try: a sentence and the commands, which work as printed in a shell in the checkout. */
function examplesOf({ gateway }: Addresses): readonly (readonly [string, readonly string[]])[] {
  return [
    ['A DPoP-bound token, sent with a fresh proof:', [`${CLIENT} dpop GET ${gateway}/orders/1`]],
    [
      'The same request as a curl command, sent twice: the second is a replay:',
      [`REQUEST=$(${CLIENT} dpop GET ${gateway}/orders/1 --curl)`, 'eval "$REQUEST"; eval "$REQUEST"'],
    ],
    [
      'An unbound bearer token, first where that is allowed, then where it is not:',
      [
        `TOKEN=$(${CLIENT} token bearer)`,
        `${CURL} -H "Authorization: Bearer $TOKEN" ${gateway}/legacy/1`,
        `${CURL} -H "Authorization: Bearer $TOKEN" ${gateway}/orders/1`,
      ],
    ],
    [
      "A token bound to alice's certificate, first with hers, then with mallory's:",
      [
        `TOKEN=$(${CLIENT} token mtls)`,
        ...['alice', 'mallory'].map(
          (name) => `${CURL} ${certificateOf(name)} \\\n    -H "Authorization: Bearer $TOKEN" ${gateway}/partners/1`,
        ),
      ],
    ],
    ['Good requests and thefts, all at once:', ['npm run demo']],
  ];
}

function welcome(addresses: Addresses): string {
  const { gateway, issuer, upstream, page, browser, admin, telemetry } = addresses;
  const examples = examplesOf(addresses).map(
    ([sentence, commands]) => `${style('dim', `# ${sentence}`)}\n${commands.map((line) => `  ${line}`).join('\n')}`,
  );
  return `
${style('bold', 'Holdfast is running.')}

  ${style('bold', `Open in a browser     ${page}`)}

  gateway               ${gateway}, ${browser} for the page
  authorization server  ${issuer}
  echo upstream         ${upstream}
  status                ${admin}/status
  metrics, readiness    ${telemetry}/metrics, ${telemetry}/readyz
  configuration         ${relative(ROOT, CONFIG)}
  log                   ${relative(ROOT, LOG_FILE)} (JSON; below in plain words)

${style('bold', 'Try it in another terminal, in this folder:')}

${examples.join('\n\n')}

${style('bold', 'What the gateway logs')} ${style('dim', '(Ctrl-C stops everything)')}
`;
}

/** Resolves with the first signal that asks us to stop; later ones change nothing, for npm passes Ctrl-C on as well. */
function asked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, resolve);
  });
}

/** Exit codes: 0 when asked to stop, 1 when something failed or died. */
async function main(): Promise<number> {
  const addresses = addressesOf(readPorts(process.env));
  const stopped = asked();
  console.log('Starting the authorization server, the echo upstream and the gateway …');
  const lines: string[] = [];
  let print = (line: string): unknown => lines.push(line);
  const services = await startServices(addresses, (line) => print(describeLogLine(line)));
  const withdraw = await announce(addresses.ports);
  console.log(welcome(addresses));
  print = console.log;
  lines.forEach((line) => print(line));
  const end = await Promise.race([stopped, services.died]);
  if (end instanceof Problem) console.error(`\n${end.message}`);
  else console.log('\nStopping …');
  await withdraw();
  await services.stop();
  return end instanceof Problem ? 1 : 0;
}

await exitWith(main);
