// What `/api/v1/status` says of the parts of outrider, as far as the console shows it. That part of the document is for
// people and may change between versions, so everything here may be missing.
import { serverNow } from '../live/clock';
import { api, got } from './client';
import { partsOf } from './parts';
import type { Notice } from './types';

export interface Detector {
  name: string;
  failure?: string | null;
  memory_bytes?: number;
  counters?: Record<string, number>;
}

interface Progress {
  analysed_at_ms?: number;
  analysed_position?: number;
  calls?: number;
  dropped_calls?: number;
  findings?: number;
  lake_bytes?: number;
  lake_files?: number;
  lake_rows?: number;
  lake_failures?: number;
  lake_keeping_failures?: number;
  lake_error?: string;
  lake_days_removed?: number;
  lake_position?: number;
  lake_oldest_day?: string | null;
  store_failures?: number;
}

/** How much the lake keeps: days besides the running one, and bytes. What is null has no limit. */
export interface Retention {
  days?: number | null;
  bytes_max?: number | null;
}

/** The files in force as of the last look, and what was done since the start. */
export interface EnrichmentStatus {
  databases?: {
    file: string;
    type?: string | null;
    built_ms?: number | null;
    bytes?: number | null;
    loaded_ms?: number | null;
    problem?: string | null;
  }[];
  lists?: {
    file: string;
    class?: string;
    entries?: number | null;
    bad_lines?: number | null;
    loaded_ms?: number | null;
    problem?: string | null;
  }[];
  calls?: number;
  located_calls?: number;
  lookup_failures?: number;
  batches_not_enriched?: number;
}

export interface Status {
  version?: string;
  installation?: string;
  notices: Notice[];
  /** When it was so, by the platform's clock. */
  read_ms: number;
  /** What runs in the platform's process, and services elsewhere: see `partsOf`. */
  sources?: unknown;
  responders?: unknown;
  configurations?: unknown;
  services?: unknown;
  certificates?: { file?: string; expires_ms?: number }[] | null;
  enrichment?: EnrichmentStatus | null;
  platform?: {
    caught_up?: boolean;
    progress?: Progress;
    /** Null without a lake. */
    lake_retention?: Retention | null;
    /** How long alerts that ended may still be decided about. */
    alerts_remembered_ms?: number;
    /** The gateways that have a responder; null for all. */
    gateways_served?: string[] | null;
    log?: { bytes?: number; last?: number; missing_calls?: number; failed_commits?: number };
    analysis?: { detectors?: Detector[]; detect?: Record<string, number> };
  } | null;
}

export async function getStatus(signal?: AbortSignal): Promise<Status> {
  const answer = api.GET('/api/v1/status', { signal });
  const status = await got(answer);
  const said = Date.parse((await answer).response.headers.get('date') ?? '');
  return { ...status, read_ms: Number.isNaN(said) ? serverNow() : said };
}

/** Whether no call was ever seen: neither here nor by an outrider before this one. */
export function isUntouched(status: Status): boolean {
  return !status.platform?.progress?.calls && partsOf(status).sources.every((source) => source.received === 0);
}
