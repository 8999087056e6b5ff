// `holdfast check --from-secret`: the configuration that a Secret holds now.

import type { Cluster } from './access.ts';
import { SecretFailure, listSecret, type SecretName } from './api.ts';
import { readDocument } from './document.ts';
import { type CheckOptions, printLoaded } from '../check.ts';
import { EXIT } from '../commands.ts';
import { loadDocument } from '../load.ts';
import { type Printed, printFailure } from '../printed.ts';

/** Reads the Secret with the token of this pod, and checks what is in it as serve would. Nothing of its content is printed. */
export async function checkSecret(cluster: Cluster, name: SecretName, options: CheckOptions): Promise<Printed> {
  const called = `secret ${name.namespace}/${name.name}`;
  const { json = false } = options;
  try {
    const { secret } = await listSecret(cluster, name, new AbortController().signal);
    const document = secret && readDocument(secret);
    if (document === undefined) return printFailure(EXIT.failed, `${called} does not exist`, json);
    if ('wrong' in document) return printFailure(EXIT.configuration, `${called} ${document.wrong}`, json);
    return printLoaded(loadDocument(document.text, called), options);
  } catch (error) {
    if (error instanceof SecretFailure) return printFailure(EXIT.failed, error.message, json);
    throw error;
  }
}
