// The delivery of configurations to data planes, and their removal with the Gateway.

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { PlannedDataPlane } from '../kubernetes/state.ts';
import { completed, type Manifest, manifestsOf, type DataPlanePlace } from './manifests.ts';
import {
  APPLIED_ANNOTATION,
  CONFIGURATION_KEY,
  dataPlaneLabels,
  dataPlaneName,
  GATEWAY_ANNOTATION,
  gatewayKey,
} from './names.ts';
import type { Reflection } from './reflection.ts';
import { withDigest, type Writer } from './writer.ts';

/** Bytes that a Secret can hold, less some for its names. */
const SECRET_BYTES = 1_048_576 - 4096;
const compress = promisify(gzip);

/** What came of a delivery. */
export interface Delivered {
  /** All that had to be written was; false: to be tried again. */
  readonly complete: boolean;
  /** By the names of data planes: why a configuration cannot be delivered at all. */
  readonly troubles: ReadonlyMap<string, string>;
}

/**
 * Brings data planes to what the translation wants. Configurations go first: what is already running gets them however long the rest takes.
 * Of a Gateway without a configuration everything stays as it is.
 * With `again` everything is written, however it looks: what others have changed of it is set right.
 */
export class Delivery {
  readonly #place: DataPlanePlace;
  readonly #writer: Writer;
  readonly #made: readonly Reflection[];
  readonly #onDelivered: (bytes: number) => void;
  #again = false;

  constructor(
    place: DataPlanePlace,
    writer: Writer,
    { made, onDelivered }: { readonly made: readonly Reflection[]; readonly onDelivered: (bytes: number) => void },
  ) {
    this.#place = place;
    this.#writer = writer;
    this.#made = made;
    this.#onDelivered = onDelivered;
  }

  async deliver(planes: readonly PlannedDataPlane[], { again = false } = {}): Promise<Delivered> {
    this.#again = again;
    const troubles = new Map<string, string>();
    const wanted = planes.flatMap((plane) => (plane.configuration === undefined ? [] : [this.#wanted(plane)]));
    const secrets = await Promise.all(wanted.map((one) => this.#deliverConfiguration(one, troubles)));
    const rest = await Promise.all(
      wanted.map(({ manifests, name }) => this.#applyInOrder(troubles.has(name) ? [] : manifests)),
    );
    return { complete: [...secrets, ...rest].every(Boolean), troubles };
  }

  /**
   * Takes away what was made for Gateways that are gone.
   * @param keep Gateways whose data planes stay, as gatewayKey() writes them
   */
  async sweep(keep: ReadonlySet<string>): Promise<boolean> {
    const results = await Promise.all(
      this.#made.flatMap(({ kind, apiVersion, objects }) =>
        [...objects.values()].flatMap(({ metadata: { name, annotations, deletionTimestamp } }) => {
          const gateway = annotations?.[GATEWAY_ANNOTATION];
          if (gateway === undefined || keep.has(gateway) || deletionTimestamp !== undefined) return [];
          return [this.#writer.remove(kind.kind, apiVersion, { namespace: this.#place.namespace, name })];
        }),
      ),
    );
    return results.every(Boolean);
  }

  #wanted(plane: PlannedDataPlane) {
    const configuration = completed(plane.configuration ?? {}, plane);
    const manifests = manifestsOf(plane, configuration, this.#place);
    return { plane, name: dataPlaneName(plane.gateway), text: JSON.stringify(configuration), manifests };
  }

  async #deliverConfiguration(
    { plane, name, text }: { readonly plane: PlannedDataPlane; readonly name: string; readonly text: string },
    troubles: Map<string, string>,
  ): Promise<boolean> {
    const metadata = {
      name,
      namespace: this.#place.namespace,
      labels: dataPlaneLabels(plane.gateway, this.#place.controllerName),
      annotations: { [GATEWAY_ANNOTATION]: gatewayKey(plane.gateway) },
    };
    const secret = withDigest({ apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque' }, [metadata, text]);
    if (this.#isThere(secret)) return true;
    const packed = await compress(text);
    if (packed.length > SECRET_BYTES) {
      troubles.set(
        name,
        `the configuration has ${packed.length} bytes compressed, and a Secret holds ${SECRET_BYTES}; use several Gateways`,
      );
      return true;
    }
    const applied = await this.#apply({ ...secret, data: { [CONFIGURATION_KEY]: packed.toString('base64') } });
    if (applied) this.#onDelivered(packed.length);
    return applied;
  }

  /** A RoleBinding is refused before its Role is there, and pods before their account. */
  async #applyInOrder(manifests: readonly Manifest[]): Promise<boolean> {
    let complete = true;
    for (const manifest of manifests) {
      // oxlint-disable-next-line no-await-in-loop -- the order counts
      complete = (await this.#apply(withDigest(manifest))) && complete;
    }
    return complete;
  }

  async #apply(manifest: Manifest): Promise<boolean> {
    if (this.#isThere(manifest)) return true;
    const answer = await this.#writer.apply(manifest);
    if (answer === undefined) return false;
    this.#made.find((one) => one.kind.kind === manifest.kind)?.note(answer);
    return true;
  }

  /** Whether an object stands there as it was applied, by its hash. */
  #isThere({ kind, metadata }: Manifest): boolean {
    const digest = metadata.annotations[APPLIED_ANNOTATION];
    const seen = this.#made
      .find((one) => one.kind.kind === kind)
      ?.objects.get(`${metadata.namespace}/${metadata.name}`);
    // One that is not seen yet may be on its way.
    if (seen === undefined || this.#again) return false;
    return seen.metadata.annotations?.[APPLIED_ANNOTATION] === digest && seen.metadata.deletionTimestamp === undefined;
  }
}
