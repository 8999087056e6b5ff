// Readers of message signatures and digests, for the list of readers.

import { Components } from '../../src/signature/components.ts';
import { readContentDigest } from '../../src/signature/content-digest.ts';
import { readPresentedSignature } from '../../src/signature/presented-signature.ts';
import { readDictionary } from '../../src/signature/structured-fields.ts';
import { makeFacts } from '../support/facts.ts';
import type { Reader } from './reader.ts';

export const SIGNATURE_READERS: Readonly<Record<string, Reader>> = {
  readDictionary: { read: readDictionary, samples: ['a=1, b;c=?1, d=("e";f :YQ==:)', 'a=%"é"', 'a=@1', 'a=-', 'a=('] },
  readPresentedSignature: {
    read: (text) => {
      const request = (input: string, signature: string) =>
        makeFacts({ message: { rawHeaders: ['Signature-Input', input, 'Signature', signature] } });
      return [
        readPresentedSignature(new Components(request(text, 'sig=:AAAA:')), undefined),
        readPresentedSignature(new Components(request(`sig=("${text}");created=1;tag="${text}"`, text)), text),
      ];
    },
    samples: ['sig=("@method" "dpop";sf);created=1;keyid="a"', 'sig=:AAAA:', 'sig=("a")', 'sig=();created=1;nonce="'],
  },
  readContentDigest: {
    read: readContentDigest,
    samples: [`sha-256=:${'A'.repeat(43)}=:, md5=:AAAA:`, 'sha-512=:', 'sha-256=:AAAA:'],
  },
};
