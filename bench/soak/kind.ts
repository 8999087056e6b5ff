// One kind of client in a soak run: its pace, its work and its complaints.

import type { Client } from '../credentials.ts';
import type { Answer, Clients } from './clients.ts';
import type { Setting } from './setting.ts';

/** What a kind works with. */
export interface Load {
  readonly setting: Setting;
  readonly clients: Clients;
  /** Another client with each call. */
  readonly someone: () => Client;
}

export interface Kind {
  readonly name: string;
  readonly perSecond: number;
  /** How many may be under way at once. */
  readonly atOnce: number;
  /** Rejects, with what was wrong, where the gateway did anything but what it should. */
  readonly run: (load: Load) => Promise<void>;
}

/** @throws Error that says what came instead */
export function expectAnswer(answer: Answer, status: number, reason?: string): void {
  if (answer.status === status && answer.reason === reason) return;
  throw new Error(`${answer.status} ${answer.reason ?? ''} in place of ${status} ${reason ?? ''}`);
}
