// What `/api/v1/status` says of the parts of outrider, as far as the console shows it. That part of the document is for
// people and may change between versions, so everything here may be missing.
import { api, got } from './client';
import type { Notice } from './types';

interface SourceStatus {
  name: string;
  counters?: {
    accepted?: number;
    received?: number;
    bytes?: number;
    connections_open?: number;
    untrusted?: number;
    dropped?: Record<string, number>;
    rejected?: Record<string, number>;
    health?: { last_received_ms?: number };
  };
}

interface ResponderStatus {
  gateway: string;
  failure?: string | null;
  guard_problem?: string | null;
  held?: unknown;
  listed_ms?: number;
  own_plugins?: number;
  written?: number;
  deleted?: number;
  repaired?: number;
  gateway_failures?: number;
}

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
  sources?: SourceStatus[] | null;
  responders?: ResponderStatus[] | null;
  configurations?: { gateway: string; failure?: string | null; read_ms?: number }[] | null;
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
  return await got(api.GET('/api/v1/status', { signal }));
}

/** Whether no call was ever seen: neither here nor by an outrider before this one. */
export function isUntouched(status: Status): boolean {
  return !status.platform?.progress?.calls && (status.sources ?? []).every((source) => !source.counters?.received);
}

export function total(counts: Record<string, number> | undefined): number {
  return Object.values(counts ?? {}).reduce((sum, count) => sum + count, 0);
}
