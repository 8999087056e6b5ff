// RFC 9470: demands on a resource that asks for stronger or more recent authentication.

import type { Specification } from '../requirement.ts';

export const RFC_9470: Specification = {
  name: 'RFC 9470',
  title: 'Step Up Authentication Challenge',
  link: 'https://www.rfc-editor.org/rfc/rfc9470',
  sections: '§3, §6.1',
  requirements: [
    {
      section: '3',
      level: 'stated',
      requirement:
        'A token whose authentication does not meet the demand is challenged with `insufficient_user_authentication`.',
      tests: [
        'gateway/step-up > is asked for by acr_values, and a token got with it is accepted',
        'gateway/step-up > is asked for by max_age, and a token got with it is accepted',
      ],
    },
    {
      section: '3',
      level: 'stated',
      requirement: '`acr_values` lists what does, separated by spaces, in order of preference.',
      tests: ['gateway/step-up > is asked for by acr_values, and a token got with it is accepted'],
    },
    {
      section: '3',
      level: 'MUST',
      requirement: '`max_age` is a non-negative integer: seconds since the last active authentication.',
      tests: ['gateway/step-up > is asked for by max_age, and a token got with it is accepted'],
    },
    {
      section: '3',
      level: 'stated',
      requirement: 'Both can stand in one challenge.',
      tests: ['gateway/step-up > does not do where a stronger one is needed as well: the challenge has both'],
    },
    {
      section: '6.1',
      level: 'stated',
      requirement:
        '`acr` and `auth_time` of the access token say how and when the user authenticated; a renewed token does not change them.',
      tests: [
        'gateway/step-up > does not come from a refreshed token, nor from one that was only authenticated again',
        'gateway/step-up > is asked for by max_age, and a token got with it is accepted',
      ],
    },
  ],
};
