// The conformance table: every demand of the specifications, and how it is shown.

import { FAPI_2 } from './requirements/fapi2.ts';
import { RFC_9728 } from './requirements/rfc9728.ts';
import { RFC_7662 } from './requirements/rfc7662.ts';
import { RFC_6750 } from './requirements/rfc6750.ts';
import { RFC_8693 } from './requirements/rfc8693.ts';
import { RFC_8705 } from './requirements/rfc8705.ts';
import { RFC_8725 } from './requirements/rfc8725.ts';
import { RFC_9068 } from './requirements/rfc9068.ts';
import { RFC_9110 } from './requirements/rfc9110.ts';
import { RFC_9440 } from './requirements/rfc9440.ts';
import { RFC_9470 } from './requirements/rfc9470.ts';
import { RFC_9701 } from './requirements/rfc9701.ts';
import { RFC_9421 } from './requirements/rfc9421.ts';
import { RFC_9530 } from './requirements/rfc9530.ts';
import { RFC_9449 } from './requirements/rfc9449.ts';
import type { Specification } from './requirement.ts';

export const SPECIFICATIONS: readonly Specification[] = [
  RFC_9449,
  RFC_8705,
  RFC_6750,
  RFC_9068,
  RFC_8725,
  RFC_9440,
  FAPI_2,
  RFC_9110,
  RFC_7662,
  RFC_9701,
  RFC_8693,
  RFC_9470,
  RFC_9728,
  RFC_9421,
  RFC_9530,
];
