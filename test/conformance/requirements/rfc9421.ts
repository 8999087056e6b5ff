// RFC 9421 (message signatures): demands on a verifier, and on an application.

import type { Specification } from '../requirement.ts';

const SIGNATURE = 'signature/message-signature' as const;

export const RFC_9421: Specification = {
  name: 'RFC 9421',
  title: 'HTTP Message Signatures',
  link: 'https://www.rfc-editor.org/rfc/rfc9421',
  sections: '§1.4, §2, §3.2, §3.3, §4, §5, §7',
  requirements: [
    {
      section: '1.4',
      level: 'MUST',
      requirement:
        'An application says which components and parameters a signature has to have, and a signature without one of them is refused.',
      tests: [
        `${SIGNATURE} > the query is not covered: signature_component_missing`,
        `${SIGNATURE} > no created: signature_malformed`,
      ],
    },
    {
      section: '1.4',
      level: 'MUST',
      requirement: 'An application says how the key is found, and which algorithms are taken.',
      tests: [
        `${SIGNATURE} > with a key of EdDSA, and with no other`,
        `${SIGNATURE} > keyid of another key: signature_key_mismatch`,
      ],
    },
    {
      section: '2',
      level: 'MUST',
      requirement: 'Each component stands once among the covered ones, by its name in lower case.',
      tests: [
        `${SIGNATURE} > a component twice: signature_component_refused`,
        `${SIGNATURE} > a component in capitals: signature_component_refused`,
      ],
    },
    {
      section: '2.1',
      level: 'MUST',
      requirement: 'The lines of a field are joined in their order, without white space at their ends.',
      tests: [`${SIGNATURE} > over a field of two lines with blanks around`],
    },
    {
      section: '2.1',
      level: 'MUST',
      requirement: 'A component parameter that is not understood is refused.',
      tests: [`${SIGNATURE} > a parameter of the query: signature_component_refused`],
    },
    {
      section: '2.2',
      level: 'MUST',
      requirement: 'A derived component that is not understood is refused.',
      tests: [
        `${SIGNATURE} > a status: signature_component_refused`,
        `${SIGNATURE} > what every object has: signature_component_refused`,
      ],
    },
    {
      section: '2.2.3',
      level: 'stated',
      requirement:
        'The authority is that of the target URI: in lower case, without the default port, and as the client called.',
      tests: [
        `${SIGNATURE} > over authority, path and query apart`,
        'signature/rfc9421 > B.2.3: the base is the same and the signature verifies',
      ],
    },
    {
      section: '2.2.7',
      level: 'stated',
      requirement: 'An absent query is a question mark alone.',
      tests: [`${SIGNATURE} > over an absent query`],
    },
    {
      section: '2.5',
      level: 'MUST',
      requirement: 'A covered component that the message does not have is an error.',
      tests: [`${SIGNATURE} > a field that is absent: signature_component_refused`],
    },
    {
      section: '2.5',
      level: 'MUST',
      requirement: 'The signature base is ASCII.',
      tests: [`${SIGNATURE} > a value that is not ASCII: signature_invalid`],
    },
    {
      section: '3.2',
      level: 'MUST',
      requirement:
        'The base is made again from the message and the covered components in their order, and the signature verified over it.',
      tests: [
        'signature/rfc9421 > B.2.1: the base is the same and the signature verifies',
        'signature/rfc9421 > B.2.6: the base is the same and the signature verifies',
        'signature/rfc9421 > B.3: the base is the same and the signature verifies',
        `${SIGNATURE} > another order of components: signature_invalid`,
      ],
    },
    {
      section: '3.2',
      level: 'MUST',
      requirement: 'Where key and `alg` name different algorithms, verification fails.',
      tests: [`${SIGNATURE} > the algorithm of another key: signature_algorithm_refused`],
    },
    {
      section: '3.2',
      level: 'MUST',
      requirement:
        'Of several signatures those are verified that the application means; the others do not make a message bad.',
      tests: [
        `${SIGNATURE} > next to a strange signature with another tag`,
        `${SIGNATURE} > two with the tag: signature_repeated`,
      ],
    },
    {
      section: '3.3.7',
      level: 'MUST',
      requirement: 'The name of a JWS algorithm is refused as a value of `alg`.',
      tests: [`${SIGNATURE} > the name of a JWS algorithm: signature_algorithm_refused`],
    },
    {
      section: '4.1',
      level: 'MUST',
      requirement: 'Signature-Input is a dictionary of inner lists.',
      tests: [
        `${SIGNATURE} > no inner list: signature_malformed`,
        `${SIGNATURE} > a trailing comma: signature_malformed`,
      ],
    },
    {
      section: '4.2',
      level: 'MUST',
      requirement: 'Signature is a dictionary of byte sequences under the same labels.',
      tests: [
        `${SIGNATURE} > Signature without bytes: signature_malformed`,
        `${SIGNATURE} > bytes under another label: signature_malformed`,
      ],
    },
    {
      section: '5.1',
      level: 'MUST',
      requirement: 'Accept-Signature is a dictionary of inner lists of the components that are wanted.',
      tests: [
        `${SIGNATURE} > a refusal says what this request has to sign, by names of the policy alone`,
        'gateway/message-signatures > reads what has to be signed',
      ],
    },
    {
      section: '7.2.1',
      level: 'SHOULD',
      requirement:
        'What is covered is enough for its purpose: what a request means cannot change without the signature becoming invalid.',
      tests: [
        'gateway/message-signatures > another method, path, query or spelling of it',
        'gateway/message-signatures > another good token, or another good proof, of the same key',
        `${SIGNATURE} > a field that the rules name was added: signature_component_missing`,
      ],
    },
    {
      section: '7.2.2',
      level: 'SHOULD',
      requirement: 'A signature passes once, and not long after it was made.',
      tests: [
        'gateway/message-signatures > a signed request overheard and sent again is refused by its proof',
        'gateway/message-signatures > without a proof the signature itself passes once, however it is spelled',
        `${SIGNATURE} > created too long ago: signature_stale`,
        `${SIGNATURE} > expired: signature_stale`,
      ],
    },
    {
      section: '7.2.8',
      level: 'stated',
      requirement: 'The content is covered by Content-Digest, and compared with it.',
      tests: [
        `${SIGNATURE} > a body was added: signature_component_missing`,
        'gateway/message-signatures > HTTP/2 to HTTP/2',
      ],
    },
  ],
};
