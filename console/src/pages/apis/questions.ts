// What an endpoint's page asks the lake.
import { Refusal } from '../../api/client';
import { ask, day, moment, quoted, timeOf } from '../../api/sql';
import type { AccessFigures } from '../../api/types';
import type { Step } from '../../charts/Strip';
import { serverNow } from '../../live/clock';

/** `tablesMs`: how often what is read from each call is read again. */
export const SPANS = [
  { id: '1h', ms: 3_600_000, stepMs: 60_000, step: '1 minute', ofHours: false, tablesMs: 30_000 },
  { id: '24h', ms: 86_400_000, stepMs: 900_000, step: '15 minutes', ofHours: false, tablesMs: 120_000 },
  // So many calls are not read one by one: steps are whole hours, and what those add up to is there.
  { id: '7d', ms: 7 * 86_400_000, stepMs: 7_200_000, step: '2 hours', ofHours: true, tablesMs: 900_000 },
  { id: '30d', ms: 30 * 86_400_000, stepMs: 21_600_000, step: '6 hours', ofHours: true, tablesMs: 900_000 },
] as const;
export type Span = (typeof SPANS)[number];

/** A latency of −1 was not measured. */
const HAS_LATENCY = 'own_refusal IS NULL AND latency_total_ms >= 0';

function where(id: string, since: number): string {
  return `FROM calls WHERE current_endpoint_id = ${quoted(id)} AND event_date >= ${day(since)} AND event_time >= ${moment(since)}`;
}

function whereOfHours(id: string, since: number): string {
  return `FROM hours WHERE current_endpoint_id = ${quoted(id)} AND event_date >= ${day(since)} AND event_hour >= ${moment(since)}`;
}

function sinceOf(span: Span): { since: number; until: number } {
  const until = (Math.floor(serverNow() / span.stepMs) + 1) * span.stepMs;
  return { since: until - span.ms, until };
}

type UseStep = Step & { p50: number | null; p95: number | null };

export interface Use {
  since: number;
  until: number;
  /** Those that have calls. */
  steps: UseStep[];
}

export async function overTimeOf(id: string, span: Span, signal: AbortSignal): Promise<Use> {
  const range = sinceOf(span);
  const rows = await ask<Omit<UseStep, 'start_ms'> & { at: string }>(
    span.ofHours
      ? `SELECT date_bin(INTERVAL '${span.step}', event_hour) AS at, sum(calls) AS calls,
       sum(client_errors) AS client_errors, sum(server_errors) AS server_errors, sum(own_refusals) AS refused,
       histogram_quantile(latency_ms_histogram, 0.5) AS p50, histogram_quantile(latency_ms_histogram, 0.95) AS p95
     ${whereOfHours(id, range.since)} GROUP BY 1 ORDER BY 1`
      : `SELECT date_bin(INTERVAL '${span.step}', event_time) AS at, count(*) AS calls,
       count(*) FILTER (WHERE status BETWEEN 400 AND 499 AND own_refusal IS NULL) AS client_errors,
       count(*) FILTER (WHERE status >= 500 AND own_refusal IS NULL) AS server_errors,
       count(own_refusal) AS refused,
       approx_percentile_cont(latency_total_ms, 0.5) FILTER (WHERE ${HAS_LATENCY}) AS p50,
       approx_percentile_cont(latency_total_ms, 0.95) FILTER (WHERE ${HAS_LATENCY}) AS p95
     ${where(id, range.since)} GROUP BY 1 ORDER BY 1`,
    signal,
  );
  return {
    ...range,
    steps: rows.map(({ at, p50, p95, ...counts }) => ({
      start_ms: timeOf(at),
      p50: p50 ?? null,
      p95: p95 ?? null,
      ...counts,
    })),
  };
}

export interface Summary {
  calls: number;
  consumers: number;
  addresses: number;
  errors: number;
  p50?: number;
  p95?: number;
  size?: number;
}

export async function summaryOf(id: string, span: Span, signal: AbortSignal): Promise<Summary | undefined> {
  const rows = await ask<Summary>(
    span.ofHours
      ? `SELECT coalesce(sum(calls), 0) AS calls, hll_count(consumers_hll) AS consumers, hll_count(addresses_hll) AS addresses,
       coalesce(sum(client_errors + server_errors), 0) AS errors,
       histogram_quantile(latency_ms_histogram, 0.5) AS p50, histogram_quantile(latency_ms_histogram, 0.95) AS p95,
       histogram_quantile(response_bytes_histogram, 0.5) AS size
     ${whereOfHours(id, sinceOf(span).since)}`
      : `SELECT count(*) AS calls, count(DISTINCT consumer_id) AS consumers, count(DISTINCT client_ip) AS addresses,
       count(*) FILTER (WHERE status >= 400 AND own_refusal IS NULL) AS errors,
       approx_percentile_cont(latency_total_ms, 0.5) FILTER (WHERE ${HAS_LATENCY}) AS p50,
       approx_percentile_cont(latency_total_ms, 0.95) FILTER (WHERE ${HAS_LATENCY}) AS p95,
       approx_percentile_cont(response_bytes, 0.5) FILTER (WHERE own_refusal IS NULL) AS size
     ${where(id, sinceOf(span).since)}`,
    signal,
  );
  return rows[0];
}

export interface Caller {
  gateway: string;
  consumer_id?: string;
  name?: string;
  calls: number;
  errors: number;
  addresses: number;
}

export function callersOf(id: string, span: Span, signal: AbortSignal): Promise<Caller[]> {
  return ask<Caller>(
    `SELECT gateway, consumer_id, max(consumer_name) AS name, count(*) AS calls,
       count(*) FILTER (WHERE status >= 400 AND own_refusal IS NULL) AS errors, count(DISTINCT client_ip) AS addresses
     ${where(id, sinceOf(span).since)} GROUP BY gateway, consumer_id ORDER BY calls DESC LIMIT 20`,
    signal,
  );
}

/** Whether there is nothing to ask. */
export function isWithoutLake(error: unknown): boolean {
  return error instanceof Refusal && error.status === 404;
}

export function accessOf(id: string, span: Span, signal: AbortSignal): Promise<AccessFigures[]> {
  const { since } = sinceOf(span);
  return ask<AccessFigures>(
    span.ofHours
      ? `SELECT one['how'] AS how, sum(one['calls']) AS calls, sum(one['served']) AS served
     FROM (SELECT unnest(access) AS one ${whereOfHours(id, since)}) GROUP BY 1`
      : `SELECT access AS how, count(*) AS calls, count(*) FILTER (WHERE status < 400) AS served
     ${where(id, since)} AND own_refusal IS NULL GROUP BY 1`,
    signal,
  );
}

/** Of so many of the newest calls it is looked up which fields their queries have. */
export const FIELDS_CALLS_MAX = 10_000;
export const FIELDS_MAX = 50;

export interface QueryField {
  name: string;
  /** In how many calls it was, also where it was there more than once. */
  calls: number;
  /** How many values there are, about; without those that have none. */
  different: number;
  /** How its values are kept: 0 there are none, 1 as they were sent, 2 as a pseudonym, 3 not at all. */
  kind: number;
}

export function fieldsOf(id: string, span: Span, signal: AbortSignal): Promise<QueryField[]> {
  return ask<QueryField>(
    `SELECT name, count(*) AS calls, approx_distinct(value) AS different, max(kind) AS kind
     FROM (SELECT position, call_index, field['name'] AS name, max(field['kind']) AS kind, max(field['value']) AS value
       FROM (SELECT position, call_index, unnest(query) AS field
         FROM (SELECT position, call_index, query ${where(id, sinceOf(span).since)}
           ORDER BY event_time DESC LIMIT ${FIELDS_CALLS_MAX}))
       GROUP BY 1, 2, 3)
     GROUP BY name ORDER BY calls DESC, name LIMIT ${FIELDS_MAX}`,
    signal,
  );
}
