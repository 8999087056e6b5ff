// Rates counted in Redis in one atomic step, by the clock of Redis.

import type { RedisLink } from './link.ts';

/** Where a sender stands; seconds. */
export interface Counting {
  readonly passes: boolean;
  /** Until the sender is rested. */
  readonly ahead: number;
}

/**
 * KEYS[1] the sender; ARGV the interval of one request and that of a burst, in milliseconds. The value is the time until which its
 * requests take up the rate. Half a request is what adding up may err; a time further ahead than there can be counts as all used up.
 */
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval, reach = tonumber(ARGV[1]), tonumber(ARGV[2])
local busy = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
if busy > now + reach + interval then busy = now + reach end
local ahead = busy + interval - now
if ahead > reach + interval / 2 then return {0, tostring(busy - now)} end
redis.call('SET', KEYS[1], string.format('%.17g', busy + interval), 'PX', math.ceil(ahead))
return {1, tostring(ahead)}`;

const GIVE_BACK = `
local busy = tonumber(redis.call('GET', KEYS[1]) or 0)
local time = redis.call('TIME')
local left = busy - ARGV[1] - (time[1] * 1000 + time[2] / 1000)
if left <= 0 then return redis.call('DEL', KEYS[1]) end
return redis.call('SET', KEYS[1], string.format('%.17g', busy - ARGV[1]), 'PX', math.ceil(left))`;

/**
 * Counts a request if its sender has any left. @param interval seconds that one request takes up
 * @throws what Redis or ioredis said; whether it was counted nobody knows then
 */
export async function takeRate(link: RedisLink, key: string, interval: number, burst: number): Promise<Counting> {
  const answer = await link.run(TAKE, key, [interval * 1000, interval * burst * 1000]);
  const [passes, ahead] = Array.isArray(answer) ? answer.map(Number) : [];
  if (passes === undefined || ahead === undefined || !Number.isFinite(ahead)) throw new Error('not an answer');
  return { passes: passes === 1, ahead: ahead / 1000 };
}

/** Uncounts one. @throws as takeRate */
export async function giveRateBack(link: RedisLink, key: string, interval: number): Promise<void> {
  await link.run(GIVE_BACK, key, [interval * 1000]);
}
