// The parties of the quickstart around a gateway that runs elsewhere (deploy/compose).

import { startAuthorizationServer } from './authorization-server.ts';
import { keepDevelopmentCertificates } from './development-ca.ts';
import { startEchoUpstream } from './echo-upstream.ts';
import { keepSecrets } from './secrets.ts';
import { markOf } from './services.ts';
import { addressesOf, exitWith, FOLDER, openFolder, Problem, readPorts } from './settings.ts';

const USAGE = 'Usage: others.ts prepare | serve';

/** `prepare` makes certificates and secrets and ends; `serve` runs both parties until a signal comes. */
async function main([command]: readonly string[]): Promise<number> {
  if (command !== 'prepare' && command !== 'serve') throw new Problem(USAGE);
  const { ports, gateway } = addressesOf(readPorts(process.env));
  await openFolder();
  const certificates = await keepDevelopmentCertificates(FOLDER, Date.now() / 1000);
  const secrets = await keepSecrets(FOLDER);
  if (command === 'prepare') return 0;
  const asked = new Promise((resolve) => process.once('SIGTERM', resolve).once('SIGINT', resolve));
  const upstream = await startEchoUpstream({ port: ports.upstream, mark: markOf(certificates.ca) });
  const onError = (error: Error) => console.error(`authorization server: ${error.message}`);
  const server = await startAuthorizationServer({
    port: ports.issuer,
    audience: gateway,
    certificates,
    secrets,
    onError,
  });
  console.log(`authorization server ${server.issuer}, echo upstream on port ${upstream.port}`);
  await asked;
  await server.close();
  await upstream.close();
  return 0;
}

await exitWith(() => main(process.argv.slice(2)));
