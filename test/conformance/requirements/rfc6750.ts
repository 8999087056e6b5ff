// RFC 6750 (Bearer): demands on a resource server.

import type { Specification } from '../requirement.ts';

export const RFC_6750: Specification = {
  name: 'RFC 6750',
  title: 'Bearer Token Usage',
  link: 'https://www.rfc-editor.org/rfc/rfc6750',
  sections: '§2, §3',
  requirements: [
    {
      section: '2',
      level: 'MUST',
      requirement: 'A request that carries its token in more than one way is refused.',
      tests: [
        'gateway/reasons > credentials_repeated: there are two Authorization lines (figure 19)',
        'gateway/reasons > credentials_repeated: access_token stands in the query',
      ],
    },
    {
      section: '2.1',
      level: 'MUST',
      requirement: 'Tokens are taken from the Authorization field with scheme Bearer.',
      tests: ['token/presentation > ["Bearer abc"] is read as Bearer abc -'],
    },
    {
      section: '2.2',
      level: 'stated',
      requirement: 'Tokens in form-encoded bodies are not accepted (a resource server may); bodies are not read.',
      tests: ['conformance/rfc9449 > an access token in a body is none (RFC 6750 §2.2)'],
    },
    {
      section: '2.3',
      level: 'stated',
      requirement: 'Tokens in the query are not accepted (a resource server may), alone or with others.',
      tests: [
        'gateway/reasons > credentials_in_query: access_token stands in the query and nowhere else',
        'token/presentation > a token in the query, access%5Ftoken=a: credentials_in_query alone, credentials_repeated with another',
      ],
    },
    {
      section: '2.3',
      level: 'SHOULD',
      requirement: 'Answers to requests with a token in the query are `Cache-Control: private`.',
      doesNotApply: 'such requests are always refused, with `no-store`',
    },
    {
      section: '3',
      level: 'MUST',
      requirement: 'A request without credentials, or whose token does not open the resource, gets WWW-Authenticate.',
      tests: [
        'rejection/rejection > every 401, 403 and credential 400 has at least one challenge',
        'gateway/reasons > credentials_missing: there are none (RFC 9449 figure 17)',
        'gateway/reasons > scope_insufficient: a scope is missing (RFC 6750 §3.1)',
      ],
    },
    {
      section: '3',
      level: 'MUST',
      requirement: 'The challenges of RFC 6750 have scheme Bearer and at least one parameter.',
      tests: ['conformance/challenges > every challenge is Bearer or DPoP with at least one parameter, and none twice'],
    },
    {
      section: '3',
      level: 'MUST',
      requirement: '`realm`, `scope`, `error` and `error_description` appear at most once.',
      tests: ['conformance/challenges > every challenge is Bearer or DPoP with at least one parameter, and none twice'],
    },
    {
      section: '3',
      level: 'SHOULD',
      requirement: 'Where a token was presented and failed, there is an `error`.',
      tests: [
        'conformance/challenges > a client whose token failed learns the error, and on the challenge of the scheme presented where that is offered',
      ],
    },
    {
      section: '3',
      level: 'MUST',
      requirement: '`scope`, `error` and `error_description` hold no other characters than they may.',
      tests: [
        'conformance/challenges > scope, error and error_description keep to their characters (RFC 6750 §3)',
        'rejection/rejection > every title can stand in an error_description (RFC 6750 §3)',
      ],
    },
    {
      section: '3',
      level: 'MUST',
      requirement: '`error_uri` is a URI reference.',
      doesNotApply: 'the gateway sends no `error_uri`',
    },
    {
      section: '3.1',
      level: 'SHOULD',
      requirement: '`invalid_request` comes with 400, `invalid_token` with 401, `insufficient_scope` with 403.',
      tests: [
        'conformance/challenges > each error comes with its status: invalid_request 400, insufficient_scope 403, every other 401',
      ],
    },
    {
      section: '3.1',
      level: 'stated',
      requirement: 'Expired, malformed and otherwise invalid tokens are `invalid_token`.',
      tests: [
        'conformance/challenges > every refusal of a token is invalid_token, but for keys that are out of reach',
        'gateway/reasons > token_expired: exp is past',
      ],
    },
    {
      section: '3.1',
      level: 'stated',
      requirement: '`insufficient_scope` may name the scope that is needed.',
      tests: [
        'rejection/rejection > a scope that is missing is named, a claim that no scope can mend is answered without',
      ],
    },
    {
      section: '3.1',
      level: 'SHOULD',
      requirement:
        'A request without authentication information, or with a scheme that is not supported, gets no error.',
      tests: [
        'conformance/challenges > a request without authentication information, or with another scheme, gets challenges without error',
        'gateway/reasons > scheme_not_accepted: the scheme is Basic',
      ],
    },
  ],
};
