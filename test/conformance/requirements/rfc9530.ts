// RFC 9530 (digest fields): demands on a recipient that relies on Content-Digest.

import type { Specification } from '../requirement.ts';

export const RFC_9530: Specification = {
  name: 'RFC 9530',
  title: 'Digest Fields',
  link: 'https://www.rfc-editor.org/rfc/rfc9530',
  sections: '§2, §4, §5, §6',
  requirements: [
    {
      section: '2',
      level: 'MUST',
      requirement: 'Content-Digest is a dictionary of byte sequences.',
      tests: [
        'signature/message-signature > a digest that is a text: content_digest_invalid',
        'signature/message-signature > no dictionary: content_digest_invalid',
      ],
    },
    {
      section: '2',
      level: 'stated',
      requirement: 'The digest is over the content of the message, whatever its framing.',
      tests: [
        'edge/forward/digest > in pieces',
        'edge/forward/digest > larger than what is collected, without a length',
      ],
    },
    {
      section: '2',
      level: 'stated',
      requirement: 'Digests of algorithms that are not known may be ignored.',
      tests: ['signature/message-signature > with digests, one of an unknown algorithm'],
    },
    {
      section: '4',
      level: 'MUST',
      requirement: 'Want-Content-Digest names algorithms with a preference from 0 to 10.',
      tests: ['gateway/reasons > content_digest_invalid: the digest has no known algorithm'],
    },
    {
      section: '5',
      level: 'MUST',
      requirement: 'Deprecated algorithms prove nothing.',
      tests: ['signature/message-signature > no known algorithm: content_digest_invalid'],
    },
    {
      section: '2',
      level: 'stated',
      requirement: 'A body that does not match its digest is not used.',
      tests: [
        'edge/forward/digest > a byte changed',
        'edge/forward/digest > announced, its last byte changed',
        'edge/forward/digest > a stream whose body is another one is reset before its end',
      ],
    },
    {
      section: '6.3',
      level: 'stated',
      requirement: 'A digest that is not signed proves nothing: a signature over a request with a body covers it.',
      tests: ['signature/message-signature > the digest of a body is not covered: signature_component_missing'],
    },
    {
      section: '6.7',
      level: 'stated',
      requirement: 'What is hashed is bounded.',
      tests: [
        'edge/forward/digest > one over the limit is body_too_large',
        'config/compile/signature > a body without a limit is a problem',
      ],
    },
  ],
};
