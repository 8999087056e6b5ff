// Mistakes with what a route demands, and with the request itself.

import { HOST } from '../support/gateway.ts';
import { APP, bearer, page, plain, raw, type Mistake } from './mistaken.ts';

export const POLICIES: readonly Mistake[] = [
  {
    mistake: 'a scope too few',
    reason: 'scope_insufficient',
    send: bearer('/scope/1', { scope: 'orders:read', tenant: 'acme' }),
    says: [/"what":"scope","differs":"missing","expected":"orders:write"/, /Request a token with the scope/],
  },
  {
    mistake: 'an account of another tenant',
    reason: 'claim_mismatch',
    send: bearer('/scope/1', { scope: 'orders:write', tenant: 'umbrella' }),
    says: [/"what":"tenant","differs":"value"/, /Use an account or client that this API admits/],
  },
  {
    mistake: 'a login that is too weak',
    reason: 'authentication_insufficient',
    send: (gateway) => bearer('/strong/1', { acr: 'urn:example:loa1', auth_time: gateway.now() })(gateway),
    says: [/"what":"acr","differs":"value","expected":"urn:example:loa3"/, /acr_values and max_age of the challenge/],
  },
  {
    mistake: 'a login that is too long ago',
    reason: 'authentication_insufficient',
    send: (gateway) => bearer('/strong/1', { acr: 'urn:example:loa3', auth_time: gateway.now() - 4000 })(gateway),
    says: [/"what":"auth_time","differs":"age","expected":"at most 600 seconds ago"/, /Request a new token/],
  },
  {
    mistake: 'more requests than the limit',
    reason: 'rate_limited',
    send: async (gateway) => {
      await bearer('/rare/1')(gateway);
      return bearer('/rare/1')(gateway);
    },
    says: [/Too many requests/, /"what":"hourly"/, /Try again after Retry-After/],
  },
];

export const REQUESTS: readonly Mistake[] = [
  {
    mistake: 'a page of an origin that is not listed',
    reason: 'preflight_refused',
    send: page('GET', 'https://app.staging.example.com'),
    says: [
      /"what":"Origin","differs":"host","expected":"https:\/\/app.example.com","received":"https:\/\/app.staging/,
      /Call from an origin/,
    ],
  },
  {
    mistake: 'a page that uses a method that no route with cors has',
    reason: 'preflight_refused',
    send: page('DELETE', APP),
    says: [/"what":"Access-Control-Request-Method".*"expected":"GET, HEAD","received":"DELETE"/, /Use another method/],
  },
  {
    mistake: 'a page that calls an API without cors',
    reason: 'preflight_refused',
    send: page('GET', APP, '/dpop/1'),
    says: [/No page of another origin may call this path/, /from a server/],
  },
  {
    mistake: 'a path that no route has',
    reason: 'route_not_found',
    send: plain('/nowhere'),
    says: [/No route for this path/, /Check the path/],
  },
  {
    mistake: 'a path with a slash that its route does not have',
    reason: 'route_not_found',
    send: plain('/exact/'),
    says: [/"what":"path","differs":"trailing slash"/, /Add the slash/],
  },
  {
    mistake: 'a path in capitals',
    reason: 'route_not_found',
    send: plain('/Open/1'),
    says: [/"what":"path","differs":"case"/, /case-sensitive/],
  },
  {
    mistake: 'a method that the route does not have',
    reason: 'method_not_allowed',
    send: (gateway) => gateway.request('DELETE', '/few/1'),
    says: [/"expected":"GET, HEAD, POST","received":"DELETE"/, /Allow field/],
  },
  {
    mistake: 'a method in small letters',
    reason: 'method_unknown',
    send: raw('get /open/1 HTTP/1.1', `Host: ${HOST}`),
    says: [/method is not known/, /in capitals/],
  },
  {
    mistake: 'the Host of another API',
    reason: 'misdirected',
    send: (gateway) => gateway.request('GET', '/open/1', { host: 'api.example.net' }),
    says: [
      /"what":"origin","differs":"host","expected":"https:\/\/api.example.com","received":"https:\/\/api.example.net","received_in":"Host"/,
      /Call the API by the name/,
    ],
  },
  {
    mistake: 'the port of the balancer in Host',
    reason: 'misdirected',
    send: (gateway) => gateway.request('GET', '/open/1', { host: `${HOST}:8443` }),
    says: [/by another port/, /Call it by the port/],
  },
  {
    mistake: 'a doubled slash',
    reason: 'request_malformed',
    send: plain('/open//1'),
    says: [/path has an empty segment/, /doubled slash/],
  },
  {
    mistake: 'dots in the path',
    reason: 'request_malformed',
    send: plain('/open/%2e%2e/1'),
    says: [/segment of dots/, /Resolve dot segments/],
  },
  {
    mistake: 'an encoded slash in an identifier',
    reason: 'request_malformed',
    send: plain('/open/a%2Fb'),
    says: [/encoded slash/, /another identifier/],
  },
  {
    mistake: 'Content-Length next to Transfer-Encoding',
    reason: 'request_malformed',
    send: raw('POST /open/1 HTTP/1.1', `Host: ${HOST}`, 'Content-Length: 3', 'Transfer-Encoding: chunked'),
    says: [/"what":"(?:Content-Length with )?Transfer-Encoding"/, /one framing/],
  },
  {
    mistake: 'a field that imitates an identity field',
    reason: 'field_forbidden',
    send: plain('/open/1', ['X_Auth_Subject', 'alice']),
    says: [/"what":"x-auth-subject"/, /Leave out fields/],
  },
  {
    mistake: 'an expectation that nobody knows',
    reason: 'expectation_failed',
    send: plain('/open/1', ['Expect', '200-ok']),
    says: [/"what":"Expect".*"expected":"100-continue"/, /no Expect field other than/],
  },
  {
    mistake: 'a header section that is too large',
    reason: 'header_too_large',
    send: raw('GET /open/1 HTTP/1.1', `Host: ${HOST}`, `Cookie: ${'x'.repeat(33_000)}`),
    says: [/"what":"header section","differs":"size","expected":"at most 32768 bytes"/, /fewer or shorter fields/],
  },
  {
    mistake: 'a URL that is too long',
    reason: 'uri_too_long',
    send: plain(`/open/${'x'.repeat(8200)}`),
    says: [/"expected":"at most 8192 bytes","received":"8206 bytes"/, /Shorten the URL/],
  },
  {
    mistake: 'a body that is too large',
    reason: 'body_too_large',
    send: (gateway) => gateway.request('POST', '/small/1', { body: 'x'.repeat(1025) }),
    says: [/"expected":"at most 1024 bytes","received":"1025 bytes"/, /Send a smaller body/],
  },
  {
    mistake: 'a body that stops',
    reason: 'request_timed_out',
    send: (gateway) => gateway.raw(`POST /hasty/1 HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 9\r\n\r\nhalf`),
    says: [/body did not arrive in time/, /without long pauses/],
  },
  {
    mistake: 'an upstream that is down',
    reason: 'upstream_unreachable',
    send: plain('/gone/1'),
    says: [/upstream cannot be reached/, /report the request_id/],
  },
  {
    mistake: 'an upstream that hangs',
    reason: 'upstream_timed_out',
    send: (gateway) => {
      const before = gateway.upstream.answer;
      gateway.upstream.answer = () => {};
      return plain('/hasty/1')(gateway).finally(() => (gateway.upstream.answer = before));
    },
    says: [/did not answer in time/, /Try again/],
  },
];
