// The options of `holdfast probe` alone, as rows of the table of commands.

const file = { type: 'string', completes: 'files', value: 'FILE' } as const;

export const PROBE_OPTIONS = {
  'dpop-key-file': { ...file, about: 'private key to which the token is bound, PEM or JWK' },
  'key-file': { ...file, about: 'private key of --cert-file, PEM' },
  'ca-file': { ...file, about: 'PEM of authorities that vouch for the server, next to the usual ones' },
  'token-endpoint': {
    type: 'string',
    value: 'URL',
    about: 'gets the token by client credentials, bound to --cert-file, else to a DPoP key that is made for it',
  },
  unbound: { type: 'boolean', about: 'asks the token endpoint for a token that is bound to nothing' },
  'client-id': { type: 'string', value: 'ID', about: 'the client at the token endpoint' },
  'client-secret-file': { ...file, about: 'its secret (client_secret_basic)' },
  'client-key-file': { ...file, about: 'its private key, PEM or JWK (private_key_jwt)' },
  issuer: { type: 'string', value: 'URL', about: 'for whom the client assertion of --client-key-file is' },
  scope: { type: 'string', value: 'SCOPE', about: 'scope that the token endpoint is asked for' },
  resource: { type: 'string', value: 'URI', about: 'resource that the token endpoint is asked for (RFC 8707)' },
  'jwks-file': { ...file, about: "the issuer's public keys, for attacks that take them for secrets" },
  'unbound-token-file': { ...file, about: 'a token that is bound to nothing, which must not count' },
  'expired-token-file': { ...file, about: 'a token out of date, which must not count' },
  'foreign-token-file': { ...file, about: 'a token for another API, which must not count' },
  'public-path': { type: 'string', value: 'PATH', about: 'a path that is open without a token, such as /healthz' },
  marker: {
    type: 'string',
    value: 'TEXT',
    about: 'a text that answers of the API have and refusals have not; decides where it is given',
  },
  only: {
    type: 'string',
    value: 'NAMES',
    completes: ['token', 'proof', 'replay', 'nonce', 'certificate', 'fields', 'paths', 'lines', 'framing', 'tls'],
    about: 'groups or attacks to try, separated by commas; all by default',
  },
  list: { type: 'boolean', about: 'print the catalogue and send nothing' },
  framing: { type: 'boolean', about: 'try framings as well, which a faulty chain of servers may choke on' },
  rate: { type: 'string', value: 'N', about: 'requests per second; 10 by default' },
  timeout: { type: 'string', value: 'SECONDS', about: 'for one answer; 10 by default' },
  'connect-to': { type: 'string', value: 'HOST:PORT', about: 'where to connect instead of the host of the URL' },
  'insecure-http': { type: 'boolean', about: 'send credentials over http, also beyond this machine' },
} as const;
