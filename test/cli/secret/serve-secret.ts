// The gateway of a Secret as a process, with the API server and the token of a test.

import { serveSecret, type SecretServing } from '../../../src/cli/secret/serve-secret.ts';

const serving = JSON.parse(process.argv[2] ?? '{}') as Pick<SecretServing, 'cluster' | 'secret' | 'waiting'>;
const { exit, stderr } = await serveSecret({ ...serving, version: '0.0.0-test', json: false });
process.stderr.write(stderr);
process.exit(exit);
