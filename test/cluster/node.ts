// The one node, as its pods share it.

import type { Api } from './api.ts';
import type { Images } from './images.ts';
import type { Margins } from './margins.ts';
import type { Network } from './network.ts';

export interface Node {
  readonly name: string;
  readonly api: Api;
  readonly images: Images;
  readonly network: Network;
  readonly margins: Margins;
  readonly folder: string;
  /** Milliseconds between two looks at the objects that volumes are made of. */
  readonly refresh: number;
}
