// RFC 7662 (token introspection): the duties of a protected resource.

import type { Specification } from '../requirement.ts';

export const RFC_7662: Specification = {
  name: 'RFC 7662',
  title: 'Token Introspection',
  link: 'https://www.rfc-editor.org/rfc/rfc7662',
  sections: '§2, §4',
  requirements: [
    {
      section: '2.1',
      level: 'MUST',
      requirement: 'The token is sent as a parameter of a form-encoded POST; the call is authorized.',
      tests: [
        'issuer/introspection > is a POST with the token, its hint and client_secret_basic, form-encoded before it is joined',
        'issuer/introspection > with private_key_jwt has a fresh assertion for the issuer alone, signed with ES256',
        'issuer/introspection > with tls_client_auth shows its certificate at the alias of the endpoint, and names its client_id',
      ],
    },
    {
      section: '2, 4',
      level: 'MUST',
      requirement: 'Opaque tokens are asked about over TLS, and the server is verified.',
      tests: [
        'config/compile/introspection > is https, or loopback, or anywhere where insecure_http names the risk',
        'issuer/introspection > is https, or loopback, or anywhere where the policy says so',
        'issuer/introspection-hostile > from an issuer that is not there, or that another CA vouches for',
      ],
    },
    {
      section: '2.2',
      level: 'MUST',
      requirement: 'Only `active` as the boolean true opens; what the answer says about the token is checked.',
      tests: [
        'token/opaque-token > says active with true and inactive with false, and nothing else says anything',
        'token/opaque-token > aud counts when it is there, and a route with its own audience demands it',
        'token/opaque-token > something has to say that it is an access token: refresh tokens are active too',
        'gateway/introspection > takes a token bound to a key from its holder alone',
      ],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'No answer is remembered beyond `exp`.',
      tests: [
        'issuer/introspection > never beyond exp',
        'issuer/introspection > for the time of the policy, and not a moment longer',
      ],
    },
  ],
};
