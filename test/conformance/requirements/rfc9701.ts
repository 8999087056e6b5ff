// RFC 9701 JWT Response for OAuth Token Introspection: what a resource server does.

import type { Specification } from '../requirement.ts';

export const RFC_9701: Specification = {
  name: 'RFC 9701',
  title: 'JWT Response for OAuth Token Introspection',
  link: 'https://www.rfc-editor.org/rfc/rfc9701',
  sections: '§4 to §6, §8',
  requirements: [
    {
      section: '4',
      level: 'stated',
      requirement: 'A signed answer is asked for by its media type, by a caller that is authenticated.',
      tests: [
        'gateway/issuer-forms > signed ones are asked for, and verified by the keys of the issuer (RFC 9701)',
        'gateway/introspection > signed answers are asked for, verified by the keys of the issuer, and bind as unsigned ones do (RFC 9701)',
      ],
    },
    {
      section: '5',
      level: 'MUST',
      requirement: 'The answer is of the media type and the `typ` of signed answers.',
      tests: [
        'token/signed-introspection > an access token',
        'token/signed-introspection > a JWT of no type',
        'gateway/issuer-forms > unsigned ones, and those signed by another key, say nothing where signed ones are expected',
      ],
    },
    {
      section: '5',
      level: 'MUST',
      requirement: '`iss` is the issuer, `aud` this resource server, `iat` the time of the answer.',
      tests: [
        'token/signed-introspection > an answer of another issuer',
        'token/signed-introspection > an answer for another server',
        'token/signed-introspection > an old answer',
      ],
    },
    {
      section: '5',
      level: 'MUST',
      requirement: 'What counts stands in `token_introspection`; claims outside it say nothing about the token.',
      tests: ['token/signed-introspection > what stands in token_introspection, and nothing outside it'],
    },
    {
      section: '5',
      level: 'stated',
      requirement: 'Answers that are encrypted as well are nested JWTs.',
      deviation: '0083-dialects-of-introspection',
      tests: ['token/signed-introspection > a signature by another key, an unsigned answer, an encrypted one'],
    },
    {
      section: '8.1',
      level: 'stated',
      requirement: 'A signed answer is never taken for an access token.',
      tests: ['token/access-token > a signed answer to introspection sent as access token: token_type_refused'],
    },
  ],
};
