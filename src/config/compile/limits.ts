// Compilation of the limits of requests, per listener and per route.

import type { RequestLimits } from '../../policy/policy.ts';

interface LimitsConfig {
  readonly request_body?: number | 'none' | undefined;
  readonly upload_rate?: number | 'none' | undefined;
  readonly download_rate?: number | 'none' | undefined;
  readonly rate_grace?: number | undefined;
}

/** What is not written is not there: the limits of a route come before those of its listener. */
export function compileRequestLimits(
  config: Required<{ [key in keyof LimitsConfig]: NonNullable<LimitsConfig[key]> }>,
): RequestLimits;
export function compileRequestLimits(config: LimitsConfig): Partial<RequestLimits>;
export function compileRequestLimits(config: LimitsConfig): Partial<RequestLimits> {
  const { request_body: body, upload_rate: upload, download_rate: download, rate_grace: rateGrace } = config;
  return {
    ...(body !== undefined && { requestBody: body === 'none' ? Number.POSITIVE_INFINITY : body }),
    ...(upload !== undefined && { uploadRate: upload === 'none' ? 0 : upload }),
    ...(download !== undefined && { downloadRate: download === 'none' ? 0 : download }),
    ...(rateGrace !== undefined && { rateGrace }),
  };
}
