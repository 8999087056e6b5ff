// RFC 8693 OAuth 2.0 Token Exchange: what a client does that exchanges tokens.

import type { Specification } from '../requirement.ts';

export const RFC_8693: Specification = {
  name: 'RFC 8693',
  title: 'Token Exchange',
  link: 'https://www.rfc-editor.org/rfc/rfc8693',
  sections: '§2',
  requirements: [
    {
      section: '2.1',
      level: 'MUST',
      requirement:
        'A form-encoded POST with grant type, token and its type, each audience and resource, and the scope.',
      tests: [
        'issuer/token-exchange > is a POST with what RFC 8693 §2.1 wants and the credentials of the gateway, and no line break parts it',
        'config/compile/token-exchange > says for whom, in the parameters of RFC 8693',
      ],
    },
    {
      section: '2.2.1',
      level: 'MUST',
      requirement: 'An answer says what was issued and how it is used; what is not a bearer token is not used as one.',
      tests: [
        'issuer/token-exchange > without issued_token_type',
        'issuer/token-exchange > with an ID token',
        'issuer/token-exchange > without token_type',
        'issuer/token-exchange > with N_A, which is not a token to be shown',
        'issuer/token-exchange > with a DPoP token, which a key belongs to',
      ],
    },
    {
      section: '2.2.1',
      level: 'stated',
      requirement: 'A token counts as long as `expires_in` says.',
      tests: [
        'issuer/token-exchange > for the time of the policy, or until ten seconds before its end, and not a moment longer',
      ],
    },
    {
      section: '2.2.2',
      level: 'stated',
      requirement: 'An invalid subject token and a target that is not served are told apart.',
      tests: [
        'gateway/token-exchange > that the issuer does not exchange any more is refused with a challenge, and not asked about again at once',
        'gateway/token-exchange > is exchanged for each audience; one that the issuer does not serve gets 503, and nothing goes on',
      ],
    },
  ],
};
