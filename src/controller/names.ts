// Names and labels of what the controller makes for a Gateway.

import { createHash } from 'node:crypto';
import { GATEWAY_GROUP, HOLDFAST_GROUP } from '../kubernetes/read-common.ts';
import type { Name } from '../kubernetes/state.ts';

/** By these labels the controller finds again what it made. */
export const MANAGER = 'holdfast-controller';
export const MANAGED_BY = 'app.kubernetes.io/managed-by';
export const CONTROLLER_LABEL = `${HOLDFAST_GROUP}/controller`;
/** The Gateway, as NAMESPACE/NAME: labels are too short for that. */
export const GATEWAY_ANNOTATION = `${HOLDFAST_GROUP}/gateway`;
/** Hash of an object as it was applied: what has it is not applied again. */
export const APPLIED_ANNOTATION = `${HOLDFAST_GROUP}/applied`;
/** Key of the Secret from which a data plane reads its configuration. */
export const CONFIGURATION_KEY = 'holdfast.json.gz';

const hash = (text: string, length: number) => createHash('sha256').update(text).digest('hex').slice(0, length);

export function gatewayKey({ namespace, name }: Name): string {
  return `${namespace}/${name}`;
}

/** The name of everything that is made for a Gateway: to be recognised by eye, at most 63 characters, and of no other Gateway. */
export function dataPlaneName(gateway: Name): string {
  const readable = `${gateway.namespace}-${gateway.name}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return `gw-${readable.slice(0, 48).replace(/^-+|-+$/g, '')}-${hash(gatewayKey(gateway), 10)}`;
}

/** A value of a label that is the text itself where it fits. */
function labelValue(text: string): string {
  return text.length <= 63 ? text : `${text.slice(0, 52)}-${hash(text, 10)}`;
}

/** Of what this controller made, and of no other one in the same namespace. */
export function managedLabels(controllerName: string): Readonly<Record<string, string>> {
  return { [MANAGED_BY]: MANAGER, [CONTROLLER_LABEL]: hash(controllerName, 16) };
}

/** By which the Service finds pods: never changed, a Deployment could not follow. */
export function podSelector(gateway: Name): Readonly<Record<string, string>> {
  return { 'app.kubernetes.io/name': 'holdfast', 'app.kubernetes.io/instance': dataPlaneName(gateway) };
}

/** Labels of everything that is made for a Gateway. */
export function dataPlaneLabels(gateway: Name, controllerName: string): Readonly<Record<string, string>> {
  return {
    ...podSelector(gateway),
    ...managedLabels(controllerName),
    [`${GATEWAY_GROUP}/gateway-name`]: labelValue(gateway.name),
  };
}

export function digestOf(value: unknown): string {
  return hash(JSON.stringify(value), 32);
}
