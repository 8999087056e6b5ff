// RFC 9728: demands on a protected resource that publishes its metadata.

import type { Specification } from '../requirement.ts';

export const RFC_9728: Specification = {
  name: 'RFC 9728',
  title: 'Protected Resource Metadata',
  link: 'https://www.rfc-editor.org/rfc/rfc9728',
  sections: '§1.2, §2, §3, §5',
  requirements: [
    {
      section: '1.2',
      level: 'MUST',
      requirement: 'A resource identifier is an https URI without a fragment.',
      tests: ['gateway/resource-metadata > whose identifier has a fragment or is not https is refused'],
    },
    {
      section: '2',
      level: 'stated',
      requirement:
        'The document has `resource`, and states of the resource what is enforced: authorization servers, scopes, proof algorithms.',
      tests: ['gateway/resource-metadata > is at its path form, and says what its routes together demand'],
    },
    {
      section: '2',
      level: 'stated',
      requirement: '`dpop_bound_access_tokens_required` is true only where every request needs a DPoP-bound token.',
      tests: [
        'gateway/resource-metadata > of an identifier without a path is at the bare well-known path; the demand of all its routes is stated',
      ],
    },
    {
      section: '2.2',
      level: 'MUST',
      requirement: 'Signed metadata is a JWS with `iss`; it does not contain `signed_metadata`.',
      tests: [
        'gateway/resource-metadata > has a signed copy of everything in it, and of nothing else, where it is asked for',
      ],
    },
    {
      section: '3',
      level: 'MUST',
      requirement:
        'The document is at the URI made by inserting the well-known path between host and path of the identifier.',
      tests: [
        'gateway/resource-metadata > is at its path form, and says what its routes together demand',
        'gateway/resource-metadata > of an identifier without a path is at the bare well-known path; the demand of all its routes is stated',
      ],
    },
    {
      section: '3.1',
      level: 'MUST',
      requirement: 'It is fetched by GET.',
      tests: [
        'gateway/resource-metadata > is readable by pages of any origin, answers HEAD and preflights, and takes no other method',
      ],
    },
    {
      section: '3.2',
      level: 'MUST',
      requirement:
        'A successful answer is 200 with a JSON object as application/json, without parameters that have no value.',
      tests: ['gateway/resource-metadata > is at its path form, and says what its routes together demand'],
    },
    {
      section: '3.3',
      level: 'MUST',
      requirement: '`resource` is identical to the identifier from which the URI was made.',
      tests: [
        'gateway/resource-metadata > is at its path form, and says what its routes together demand',
        'gateway/resource-metadata > exists for configured identifiers alone: other paths are the upstream’s',
      ],
    },
    {
      section: '5.1',
      level: 'stated',
      requirement: 'Challenges name the document with `resource_metadata`.',
      tests: ['gateway/resource-metadata > is named in every challenge of its routes, behind the error'],
    },
  ],
};
