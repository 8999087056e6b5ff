// The table of commands and options: what reads arguments, helps, completes and documents.

import { CONTROLLER_OPTIONS } from './controller/options.ts';
import { PROBE_OPTIONS } from './probe/options.ts';

/** `untold`: of `probe`, which could not tell. sysexits.h: EX_USAGE and EX_CONFIG. */
export const EXIT = { ok: 0, refused: 1, failed: 1, untold: 2, usage: 64, configuration: 78 } as const;

/** One option, wherever it is taken. */
export interface OptionRow {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** It may be given more than once. */
  readonly multiple?: true;
  /** The word that stands for its value in texts. */
  readonly value?: string;
  /** What shells complete as its value: names of files, or these words. */
  readonly completes?: 'files' | readonly string[];
  readonly about: string;
}

const file = { type: 'string', completes: 'files' } as const;

export const OPTIONS = {
  config: {
    ...file,
    short: 'c',
    value: 'FILE',
    about: 'the configuration; it can be named without -c where the command takes no other argument',
  },
  'from-secret': {
    type: 'string',
    value: 'NAMESPACE/NAME',
    about: 'the Secret of Kubernetes that holds the configuration, in the place of a file; in a pod, with its token',
  },
  'without-files': {
    type: 'boolean',
    about: 'certificates, keys and secrets that the configuration names may be absent',
  },
  online: {
    type: 'boolean',
    about: 'looks at issuers, upstreams, origins and Redis too, as the command doctor does',
  },
  verbose: {
    type: 'boolean',
    short: 'v',
    about: 'says in words what each route demands, forwards and does not enforce; --json always does',
  },
  method: {
    type: 'string',
    value: 'METHOD',
    completes: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    about: 'the method of the request (probe: GET, HEAD or OPTIONS)',
  },
  url: { type: 'string', value: 'URL', about: 'the absolute URL that the client calls' },
  'token-file': {
    ...file,
    value: 'FILE',
    about: 'holds the access token, alone or after its scheme ("DPoP ..."); - reads standard input',
  },
  'proof-file': { ...file, value: 'FILE', about: 'holds the DPoP proof' },
  'fields-file': {
    ...file,
    value: 'FILE',
    about: 'holds more field lines of the request, such as Signature-Input and Signature',
  },
  'cert-file': { ...file, value: 'FILE', about: "PEM of the client's certificate, issuers after it" },
  header: {
    type: 'string',
    multiple: true,
    value: 'FIELD',
    about: "a further field of the request, such as 'X-Forwarded-Proto: https'; may be repeated",
  },
  peer: {
    type: 'string',
    value: 'ADDRESS',
    about: 'who connects: the IP address of a balancer, whose fields count if the listener trusts it',
  },
  listener: { type: 'string', value: 'NAME', about: 'the listener; by default the one with the origin of the URL' },
  curl: { type: 'string', value: 'COMMAND', about: "a command line of curl as one argument, 'curl ...'; - reads it" },
  har: { ...file, value: 'FILE', about: 'an HTTP archive, as the developer tools of browsers save it' },
  entry: { type: 'string', value: 'N', about: 'which entry of --har, counted from 1' },
  at: {
    type: 'string',
    value: 'TIME',
    about: 'the moment of the request, as in 2026-11-21T12:00:00Z; now by default',
  },
  admin: {
    type: 'string',
    value: 'URL',
    about: 'the admin port of the gateway; http://127.0.0.1:9901 by default; for drain also unix:/PATH',
  },
  wait: { type: 'string', value: 'DURATION', about: 'for how long to wait for connections to end; 25s by default' },
  'not-ready': { type: 'boolean', about: '/readyz says 503 from now on, so that balancers send nothing more' },
  ...PROBE_OPTIONS,
  ...CONTROLLER_OPTIONS,
  since: { type: 'string', value: 'TIME', about: 'requests from then on, as in 2026-11-21T12:00:00Z; all by default' },
  json: { type: 'boolean', about: 'the same for programs, on standard output' },
  version: { type: 'boolean', short: 'V', about: 'the version, as the command version prints it' },
  help: { type: 'boolean', short: 'h', about: 'what the command does, its options and an example' },
} as const satisfies Record<string, OptionRow>;
export type Option = keyof typeof OPTIONS;

/** One command; all take --help. */
export interface CommandRow {
  /** Half a sentence, for the list of commands. */
  readonly summary: string;
  /** What stands behind the command without an option; `optional`: it can be left out. */
  readonly operand?: {
    readonly name: string;
    readonly completes?: OptionRow['completes'];
    readonly optional?: true;
    readonly several?: true;
  };
  readonly options: readonly Option[];
  /** Options without which it cannot run, as the usage line shows them. */
  readonly needs?: readonly Option[];
  /** Paragraphs. */
  readonly about: readonly string[];
  /** A call that works, and what it is for. */
  readonly examples: readonly { readonly call: string; readonly about: string }[];
  readonly exits: Readonly<Record<number, string>>;
}

const CONTROLLER_NAMES = Object.keys(CONTROLLER_OPTIONS) as readonly (keyof typeof CONTROLLER_OPTIONS)[];
const PROBE_NAMES = Object.keys(PROBE_OPTIONS) as readonly (keyof typeof PROBE_OPTIONS)[];
const WRONG_USAGE = { 64: 'the command line is wrong' } as const;
const BAD_CONFIGURATION = { 78: 'the configuration has problems, which are listed' } as const;

export const COMMANDS = {
  serve: {
    summary: 'run the gateway',
    operand: { name: 'FILE', completes: 'files', optional: true },
    options: ['config', 'from-secret', 'json'],
    about: [
      'Reads the configuration, opens the ports and serves until a signal ends it. The log goes to standard output, one line of JSON for each request.',
      'With --from-secret it watches one Secret, whose key holdfast.json.gz or holdfast.json is the configuration, with the content of certificates and keys in it. Until there is a good one it is live and not ready; then it keeps the last good one for as long as it runs, whatever becomes of the Secret or of the API server.',
      'SIGTERM, SIGINT and SIGQUIT drain: open requests are answered, then the process ends; a second signal ends it at once. SIGHUP, or a change of the files, loads the configuration again; one with problems changes nothing.',
    ],
    examples: [{ call: 'holdfast serve -c /etc/holdfast/holdfast.yaml', about: 'Run the gateway:' }],
    exits: {
      0: 'it was told to end, and did',
      1: 'it could not start, or broke',
      ...WRONG_USAGE,
      ...BAD_CONFIGURATION,
    },
  },
  check: {
    summary: 'list all problems of a configuration, or say what each route demands',
    operand: { name: 'FILE', completes: 'files', optional: true },
    options: ['config', 'from-secret', 'verbose', 'without-files', 'online', 'json'],
    about: [
      'Reads and compiles the configuration as serve would, and opens no port. All problems come at once, with file, line and column, the line itself, and each cause once. Without problems it prints a table of the routes, the listeners, and what works and may not be what was meant.',
      'The name - reads standard input: a configuration, or what helm template or kustomize build print, in whose ConfigMaps all configurations are checked.',
    ],
    examples: [
      { call: 'holdfast check holdfast.yaml', about: 'Before a reload:' },
      { call: 'holdfast check holdfast.yaml --verbose', about: 'For a review, in words:' },
      { call: 'helm template gw helm/holdfast -f values.yaml | holdfast check -', about: 'Before a rollout:' },
    ],
    exits: {
      0: 'the configuration is good, and --online found no fault',
      1: '--online found a fault',
      ...WRONG_USAGE,
      ...BAD_CONFIGURATION,
    },
  },
  doctor: {
    summary: 'look at issuers, upstreams, origins and Redis, and say what to mend',
    operand: { name: 'FILE', completes: 'files', optional: true },
    options: ['config', 'json'],
    about: [
      'Looks at everything that the configuration names, from this machine, with the code of the gateway: metadata, spelling, keys and clocks of issuers and whether they accept the credentials of the gateway; names, connections and certificates of upstreams; certificates and names of origins; role, settings, rights and speed of Redis. Each finding says what was found, what was expected and what to do next.',
      'Nothing is changed, but for keys in Redis that live for a second. Issuers are asked about a token that does not exist, which their logs may show. It takes 15 seconds at most; progress goes to standard error.',
    ],
    examples: [
      {
        call: 'holdfast doctor -c /etc/holdfast/holdfast.yaml',
        about: 'Before a first start, or when something fails:',
      },
      { call: 'holdfast doctor holdfast.yaml --json', about: 'For a pipeline:' },
    ],
    exits: {
      0: 'no fault was found; there may be warnings',
      1: 'a fault was found',
      ...WRONG_USAGE,
      ...BAD_CONFIGURATION,
    },
  },
  explain: {
    summary: 'decide about one request as the gateway would, and show every check',
    operand: { name: 'REQUEST', completes: 'files', optional: true },
    options: [
      'config',
      'method',
      'url',
      'token-file',
      'proof-file',
      'fields-file',
      'cert-file',
      'curl',
      'har',
      'entry',
      'header',
      'peer',
      'listener',
      'at',
      'json',
    ],
    needs: ['config'],
    about: [
      'Decides about one request with the code and the configuration of the gateway, and says first what it decided, which check failed and what to do next, then what else is wrong. Keys are loaded from the issuers, and issuers are asked about opaque tokens. No replay store is asked: a proof that was used before looks new.',
      'The request is described by --method and --url; or it is REQUEST, a file with an HTTP/1.1 request as it is sent, - for standard input; or a line of curl; or an entry of an HTTP archive, whose time counts unless --at is given. --peer and --header say what a balancer in front sends.',
      'Tokens and proofs are never printed. Others on the machine can see arguments: files and standard input keep them secret.',
    ],
    examples: [
      {
        call: 'holdfast explain -c holdfast.yaml --method GET --url https://api.example.com/orders/1 --token-file token --proof-file proof',
        about: 'Why is this refused?',
      },
      { call: 'holdfast explain -c holdfast.yaml request.http', about: 'A request as it was sent:' },
      { call: 'holdfast explain -c holdfast.yaml --har recorded.har --entry 3', about: 'What a browser sent:' },
      {
        call: "holdfast explain -c holdfast.yaml request.http --peer 10.0.0.5 --header 'X-Forwarded-Proto: https'",
        about: 'Behind a balancer:',
      },
    ],
    exits: { 0: 'the request would be permitted', 1: 'it would be refused', ...WRONG_USAGE, ...BAD_CONFIGURATION },
  },
  why: {
    summary: 'say what a running gateway knows about one of its last refusals',
    operand: { name: 'REQUEST_ID' },
    options: ['admin', 'json'],
    about: [
      'Asks the admin port of a running gateway about a refusal. REQUEST_ID is in the answer that the client got and in the log; its first eight characters are enough.',
    ],
    examples: [{ call: 'holdfast why 5d35ef2f', about: 'A client reports a refusal:' }],
    exits: {
      0: 'the refusal was found',
      1: 'it is not among the last ones, or the gateway does not answer',
      ...WRONG_USAGE,
    },
  },
  drain: {
    summary: 'tell the clients of a running gateway to connect elsewhere, and wait until they are gone',
    options: ['admin', 'wait', 'not-ready', 'json'],
    about: [
      'Tells a running gateway, through its admin port, that its end is near: answers of HTTP/1.1 say Connection: close, connections of HTTP/2 get GOAWAY. It goes on serving everything, new connections too, until a signal ends it.',
      'Waits until no client is connected, or for as long as --wait says; WebSockets and clients that send nothing may stay. Made for preStop of a pod, above all of a sidecar, which is told to end only after the container that it protects. The order is taken from the same machine or pod alone.',
    ],
    examples: [
      { call: 'holdfast drain', about: 'In the container of the gateway, before it is told to end:' },
      { call: 'holdfast drain --not-ready --wait 60s', about: 'Behind a balancer that looks at /readyz:' },
    ],
    exits: {
      0: 'no connection is left, or the time is over',
      1: 'the gateway does not answer, or takes no orders from here',
      ...WRONG_USAGE,
    },
  },
  probe: {
    summary: 'play the catalogue of attacks against your own deployment of any product',
    operand: { name: 'URL', optional: true },
    options: ['token-file', 'cert-file', 'method', ...PROBE_NAMES, 'json'],
    about: [
      'Sends a good request to a protected URL, then one departure from it after the other that has to be refused, and says for each what was expected, what came, and by which section of which RFC. The server can be Holdfast or anything else.',
      'Only GET, HEAD and OPTIONS are sent, at a bounded rate, to this URL and paths at its origin; no redirect is followed. Probe only what you run: refusals show up in its log, and may raise alarms.',
      'The token comes from --token-file with the key or certificate that it is bound to, or from --token-endpoint. Secrets are read from files or standard input and never printed.',
    ],
    examples: [
      {
        call: 'holdfast probe https://api.example.com/orders/1 --token-endpoint https://login.example.com/token --client-id probe --client-secret-file secret',
        about: 'With a token of the issuer, bound to a new DPoP key:',
      },
      {
        call: 'holdfast probe https://api.example.com/orders/1 --token-file token --cert-file client.pem --key-file client.key --json',
        about: 'With a certificate-bound token, for a pipeline:',
      },
    ],
    exits: {
      0: 'all that was tried held',
      1: 'something got in that has to stay out',
      2: 'the probe could not run, or could not tell',
      ...WRONG_USAGE,
    },
  },
  'shadow-report': {
    summary: 'say from logs what the shadows of routes would refuse, and of which clients',
    operand: { name: 'LOG', completes: 'files', optional: true, several: true },
    options: ['since', 'json'],
    about: [
      'Reads logs of the gateway, files (those that end with .gz are unpacked) or standard input, and says for each route how many of the requests that it permitted its shadow would have refused, for which reasons, of which clients, and when the last one was.',
      'A shadow is enforced when no request has been refused by it for as long as the slowest client takes to call again.',
    ],
    examples: [
      { call: 'holdfast shadow-report /var/log/holdfast/*.log*', about: 'Who still has to move:' },
      { call: 'kubectl logs deploy/gw-holdfast --since=24h | holdfast shadow-report', about: 'In a cluster:' },
    ],
    exits: { 0: 'the logs were read', ...WRONG_USAGE },
  },
  controller: {
    summary: 'serve the Gateway API of a Kubernetes cluster: one gateway for each Gateway',
    options: [...CONTROLLER_NAMES, 'json'],
    needs: ['image'],
    about: [
      'Watches Gateways, routes and policies of the cluster around it, or of the one that KUBECONFIG names, and runs a data plane for each Gateway: a Deployment whose pods read their configuration from a Secret. It says in the status of every object what became of it. The chart helm/holdfast-controller starts it with the rights that it needs, and docs/gateway-api.md explains it.',
      'Several may run: one leads, by a Lease, and the others take over when it ends. Data planes serve on without any.',
    ],
    examples: [
      {
        call: 'holdfast controller --image registry.example.com/holdfast:0.1.0 --secrets-in shop',
        about: 'In a pod of the cluster:',
      },
    ],
    exits: { 0: 'it was told to end, and did', 1: 'it could not start, or broke', ...WRONG_USAGE },
  },
  policies: {
    summary: 'say what holds for the routes of a Kubernetes cluster, and which policies say so',
    operand: { name: 'ROUTE', optional: true },
    options: ['controller-name', 'json'],
    about: [
      'Reads Gateways, routes and HoldfastPolicies of the cluster that KUBECONFIG names, or of the one around it, merges them as the controller would, and prints for each rule of each route what is demanded on each listener, with the policies that have a part in it. Nothing is written.',
      'ROUTE is NAMESPACE/NAME, or KIND/NAMESPACE/NAME; without it all routes are shown.',
    ],
    examples: [
      { call: 'holdfast policies shop/orders', about: 'What holds for this route?' },
      { call: 'holdfast policies --json', about: 'For a review of all of them, by a program:' },
    ],
    exits: { 0: 'the policies were read', 1: 'there is no such route, or something could not be read', ...WRONG_USAGE },
  },
  schema: {
    summary: 'print the JSON Schema of the configuration',
    options: ['json'],
    about: ['Prints the JSON Schema of the configuration, for editors and other programs.'],
    examples: [{ call: 'holdfast schema > holdfast.schema.json', about: 'For an editor:' }],
    exits: { 0: 'always', ...WRONG_USAGE },
  },
  completion: {
    summary: 'print what makes a shell complete these commands',
    operand: { name: 'SHELL', completes: ['bash', 'zsh', 'fish'] },
    options: [],
    about: ['Prints a script that makes bash, zsh or fish complete commands, options and names of files.'],
    examples: [
      { call: 'source <(holdfast completion bash)', about: 'In ~/.bashrc:' },
      { call: 'holdfast completion zsh > "${fpath[1]}/_holdfast"', about: 'For zsh, before a new shell:' },
      { call: 'holdfast completion fish > ~/.config/fish/completions/holdfast.fish', about: 'For fish:' },
    ],
    exits: { 0: 'always', ...WRONG_USAGE },
  },
  version: {
    summary: 'print the version',
    options: ['json'],
    about: ['Prints the version, as --version does; with --json the one of Node as well.'],
    examples: [{ call: 'holdfast --version', about: 'The version:' }],
    exits: { 0: 'always', ...WRONG_USAGE },
  },
} as const satisfies Record<string, CommandRow>;
export type CommandName = keyof typeof COMMANDS;

export const COMMAND_NAMES = Object.keys(COMMANDS) as readonly CommandName[];

export function isCommand(text: string): text is CommandName {
  return Object.hasOwn(COMMANDS, text);
}

/** Options of a command, --help last. */
export function optionsOf(command: CommandName): readonly Option[] {
  return [...COMMANDS[command].options, 'help'];
}
