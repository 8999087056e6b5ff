// Fields by which other products name caller, address or request, removed from requests.

/** `names('x-auth', 'user email')` → `x-auth-user`, `x-auth-email`. */
const names = (prefix: string, rest: string): readonly string[] => rest.split(' ').map((name) => `${prefix}-${name}`);

/** The address of the client. */
const ADDRESSES = [
  'client-ip',
  'x-client-ip',
  'x-clientip',
  'x-cluster-client-ip',
  'forwarded-for',
  'x-originating-ip',
  'x-remote-ip',
  'x-remote-addr',
  'x-original-forwarded-for', // ingress-nginx
  'x-proxyuser-ip', // Google services
  'true-client-ip', // Akamai, Cloudflare
  ...names('cf', 'connecting-ip connecting-ipv6 pseudo-ipv4'),
  'fastly-client-ip',
  ...names('fly', 'client-ip forwarded-port forwarded-proto forwarded-ssl'),
  'l5d-remote-ip', // Linkerd
  'cloudfront-viewer-address',
  ...names('x-azure', 'clientip socketip'),
  'x-envoy-external-address',
  'x-nf-client-connection-ip', // Netlify
  'do-connecting-ip', // DigitalOcean
  ...names('x-vercel', 'forwarded-for proxied-for'),
  'incap-client-ip', // Imperva
  'x-sucuri-clientip',
  'ali-cdn-real-ip',
  'eo-client-ip', // Tencent EdgeOne
  'proxy-client-ip', // WebLogic
  ...names('wl-proxy', 'client-ip client-cert ssl'),
];

/** Method, scheme, host and path that were asked for. */
const REQUESTS = [
  ...names('x-original', 'url uri method host proto scheme path for'),
  ...names('x-real', 'host port proto'),
  ...names('x-rewrite', 'url uri'),
  ...names('x-envoy-original', 'path host method'),
  'x-host',
  'x-http-host-override',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-replaced-path', // Traefik
  'x-waws-unencoded-url', // Azure App Service
  'x-arr-ssl',
  'x-scheme',
  'x-url-scheme',
  'front-end-https',
  'cloudfront-forwarded-proto',
  'cf-visitor',
  'fastly-ssl',
  'l5d-dst-override',
];

/** Who was authenticated, and as what. */
const IDENTITIES = [
  ...names('remote', 'user groups email name'), // Apache, Authelia
  ...names('x-remote', 'user uid group groups email name'), // Kubernetes
  ...names('x-webauth', 'user name email role groups'), // Grafana
  ...names('x-auth-request', 'user email groups preferred-username access-token redirect'), // oauth2-proxy
  ...names('x-authenticated', 'user userid groups scope'),
  ...names('x-consumer', 'id username custom-id groups'), // Kong
  'x-anonymous-consumer',
  'x-credential-identifier',
  'x-userinfo',
  ...names('x', 'apigateway-api-userinfo endpoint-api-userinfo'), // Google API Gateway, ESP
  ...names('x-vouch', 'user success idp-accesstoken idp-idtoken idp-claims-email idp-claims-sub idp-claims-groups'),
  ...names('shib', 'session-id identity-provider application-id'), // Shibboleth
  'x-jwt-assertion', // WSO2
  'teleport-jwt-assertion',
  'x-amzn-ava-user-context', // AWS Verified Access
  ...names('l5d', 'client-id server-id'), // Linkerd
  ...names('x-envoy', 'internal peer-metadata peer-metadata-id'),
  ...names('ms-aspnetcore', 'token clientcert winauthtoken'), // IIS before ASP.NET Core
  ...names('iv', 'user groups creds remote-address'), // IBM WebSEAL
  // SiteMinder, Oracle Access Manager
  'sm_user',
  'sm_userdn',
  'sm_universalid',
  'sm_authdirname',
  'oam_remote_user',
  'oam_remote_user_groups',
];

/**
 * Families that grow, each with its known members: a front that is told what to remove (mode decide) cannot remove by prefix. Only
 * prefixes with which no other name begins, separators left out: `x-vouch-` would refuse X-Voucher-Code.
 */
const FAMILIES: Readonly<Record<string, string>> = {
  'x-amzn-oidc-': 'data identity accesstoken', // AWS ALB
  'x-amzn-lattice-': 'identity network target', // AWS VPC Lattice
  'x-ms-client-principal-': 'id name idp', // Azure App Service and Container Apps
  'x-ms-token-': 'aad-id-token aad-access-token aad-refresh-token aad-expires-on',
  'x-goog-authenticated-user-': 'email id', // Google IAP
  'x-goog-iap-': 'jwt-assertion',
  'x-appengine-': 'user-ip user-email user-id user-is-admin inbound-appid cron',
  'cf-access-': 'jwt-assertion authenticated-user-email', // Cloudflare Access
  'x-pomerium-': 'jwt-assertion',
  'x-authentik-': 'username groups email name uid jwt',
  'x-remote-extra-': '', // Kubernetes
  'tailscale-user-': 'login name profile-pic',
  'ngrok-auth-user-': 'id name email',
  'oidc-claim-': 'sub email', // mod_auth_openidc, which writes OIDC_CLAIM_sub
  'mellon-': 'name-id', // mod_auth_mellon
};

const members = Object.entries(FAMILIES).flatMap(([prefix, known]) =>
  known === '' ? [] : known.split(' ').map((name) => `${prefix}${name}`),
);

/** Lower-cased names. */
export const FOREIGN_FIELDS: readonly string[] = [
  ...ADDRESSES,
  ...REQUESTS,
  ...IDENTITIES,
  'x-ms-client-principal',
  ...members,
];

/** Lower-cased beginnings of names. */
export const FOREIGN_PREFIXES: readonly string[] = ['x-forwarded-', ...Object.keys(FAMILIES)];
