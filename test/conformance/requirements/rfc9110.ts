// RFC 9110 §7.6: duties of an intermediary that forwards messages.

import type { Specification } from '../requirement.ts';

const OWN_OPTIONS =
  'conformance/rfc9110 > the gateway names only the options of its connection, to the upstream and to the client';
const VIA =
  'conformance/rfc9110 > every message that is forwarded gets one member more, with the version received and a pseudonym, behind the others';

export const RFC_9110: Specification = {
  name: 'RFC 9110',
  title: 'HTTP Semantics: Message Forwarding',
  link: 'https://www.rfc-editor.org/rfc/rfc9110#section-7.6',
  sections: '§7.6',
  requirements: [
    {
      section: '7.6',
      level: 'stated',
      requirement: 'Unknown methods, status codes and fields are forwarded.',
      tests: ['conformance/rfc9110 > methods, fields and status codes that are not registered are forwarded (§7.6)'],
    },
    {
      section: '7.6',
      level: 'MUST',
      requirement: 'Connection is implemented, and fields that are meant for one connection stay there.',
      tests: [
        'conformance/rfc9110 > what it names goes with it, in any case, behind it or before it; options that name no field do no harm',
        'edge/fields/answer-fields > hop-by-hop fields, those that Connection names and certificate fields are removed',
      ],
    },
    {
      section: '7.6',
      level: 'MUST',
      requirement: 'No message goes round for ever.',
      tests: [
        'conformance/rfc9110 > a request that has been here before is refused instead of going round',
        'edge/intake/facts > our own name in Via is a loop, on whichever line and behind whomever',
      ],
    },
    {
      section: '7.6.1',
      level: 'MUST',
      requirement: 'Control information about a connection of ours is named in Connection.',
      tests: [OWN_OPTIONS],
    },
    {
      section: '7.6.1',
      level: 'MUST',
      requirement:
        'Fields that a received Connection names are removed from fields and trailers, and so is Connection.',
      tests: [
        'conformance/rfc9110 > what it names goes with it, in any case, behind it or before it; options that name no field do no harm',
        'edge/fields/request-fields > fields that Connection names are removed, wherever they stand and however they are spelled',
        'edge/forward/forward > keeps the length of its body, or stays chunked without its trailers',
        'edge/forward/forward > loses its trailers',
      ],
    },
    {
      section: '7.6.1',
      level: 'SHOULD',
      requirement:
        'Proxy-Connection, Keep-Alive, TE, Transfer-Encoding and Upgrade are removed even where nothing names them.',
      tests: [
        'conformance/rfc9110 > fields that are always about one connection go, named or not',
        'edge/fields/request-fields > hop-by-hop fields and those about trailers and framing are removed',
      ],
    },
    {
      section: '7.6.1',
      level: 'MUST',
      requirement: 'No connection option of ours names a field that is meant for all recipients.',
      tests: [OWN_OPTIONS],
    },
    {
      section: '7.6.2',
      level: 'MUST',
      requirement: 'OPTIONS and TRACE with Max-Forwards: 0 are answered and not forwarded.',
      tests: [
        'conformance/rfc9110 > zero, however spelled, is answered here and goes no further',
        'conformance/rfc9110 > TRACE is answered here, whatever it says',
      ],
    },
    {
      section: '7.6.2',
      level: 'MUST',
      requirement: 'A greater value is forwarded as one less, or as the greatest one that is supported.',
      tests: ['conformance/rfc9110 > a greater value goes on as one less, or as the most that we support'],
    },
    {
      section: '7.6.3',
      level: 'MUST',
      requirement: 'Every request that is forwarded has a Via with our member in it; answers have one too.',
      tests: [VIA, 'edge/fields/request-fields > Via is appended to, with the version of the request'],
    },
    {
      section: '7.6.3',
      level: 'SHOULD',
      requirement: 'Names and ports of hosts behind a firewall do not go out: we call ourselves by a pseudonym.',
      tests: [VIA],
      deviation: '0018-names-of-others-in-via',
    },
    {
      section: '7.6.3',
      level: 'SHOULD',
      requirement: 'Members of Via are not combined, and never where their protocols differ.',
      tests: [VIA],
    },
  ],
};
