// Specifications whose demands come with a later step: until then their configuration is refused, so that nobody relies on them.

import type { Specification } from '../requirement.ts';

export const RFC_9728: Specification = {
  name: 'RFC 9728',
  title: 'Protected Resource Metadata',
  link: 'https://www.rfc-editor.org/rfc/rfc9728',
  sections: '§2, §3, §5',
  requirements: [
    {
      section: '2, 3, 5.1',
      level: 'MUST',
      requirement: 'Metadata of resources is served, and challenges point at it with `resource_metadata`.',
      tests: ['conformance/later > resource metadata (RFC 9728) cannot be configured yet'],
      doesNotApply: 'resource metadata comes with a later step; challenges have no `resource_metadata`',
    },
  ],
};
