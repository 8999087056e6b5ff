// The rows of the contract: what follows from the facts that the schema states about a key.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ATTRIBUTE_FIELD, CERTIFICATE_FORMATS, KNOWN_CERTIFICATE_FIELDS } from '../../../src/certificate/formats.ts';
import { KEYS } from '../../../src/config/schema/keys.ts';
import { FILE_KEYS, RESTART_KEYS } from '../../../src/config/schema/marked-keys.ts';
import { jsonSchema } from '../../../src/config/schema/json-schema.ts';

/** Names by which a key says that its value is the name of a file; `cert` is the certificate beside a `key_file`. */
const NAMES_A_FILE = /(?:^|\.)(?:\w*_files?(?:\.\*)?|cert)$/;

describe('a key that names a file', () => {
  it('is read and watched, whatever block it stands in', () => {
    const named = KEYS.filter(({ key, node }) => NAMES_A_FILE.test(key) && node.type === 'string').map(
      ({ key }) => key,
    );
    assert.ok(named.length > 15);
    assert.deepEqual(
      named.filter((key) => !FILE_KEYS.includes(key)),
      [],
    );
  });

  it('is called so, and nothing else is', () => {
    assert.deepEqual(
      FILE_KEYS.filter((key) => !NAMES_A_FILE.test(key)),
      [],
    );
  });
});

describe('a format of certificates', () => {
  it('is in the schema as soon as it is in the table of formats, and the other way round', () => {
    const format = KEYS.find(({ key }) => key === 'listeners.*.client_certificate_from.format');
    assert.deepEqual(format?.node['enum'], Object.keys(CERTIFICATE_FORMATS));
    for (const [name, { field }] of Object.entries(CERTIFICATE_FORMATS)) {
      const known = KNOWN_CERTIFICATE_FIELDS.includes(field) || field === ATTRIBUTE_FIELD;
      assert.ok(known, `${name}: clients could send ${field}`);
    }
  });
});

describe('facts about keys', () => {
  it('are in the descriptions of the JSON Schema, and nowhere else in it', () => {
    const text = JSON.stringify(jsonSchema());
    for (const fact of ['file', 'restart']) assert.ok(!text.includes(`"${fact}":true`), fact);
    assert.equal(text.split('A change needs a restart.').length - 1, RESTART_KEYS.length);
  });

  it('belong to rows with different keys', () => {
    const keys = KEYS.map(({ key }) => key);
    assert.deepEqual([...new Set(keys)], keys);
  });
});
