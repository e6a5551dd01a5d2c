// What an endpoint's page asks the lake.
import { ask, day, moment, quoted, timeOf } from '../../api/sql';
import type { Step } from '../../charts/Strip';

export const SPANS = [
  { id: '1h', ms: 3_600_000, stepMs: 60_000, step: '1 minute' },
  { id: '24h', ms: 86_400_000, stepMs: 900_000, step: '15 minutes' },
  { id: '7d', ms: 7 * 86_400_000, stepMs: 7_200_000, step: '2 hours' },
  { id: '30d', ms: 30 * 86_400_000, stepMs: 21_600_000, step: '6 hours' },
] as const;
export type Span = (typeof SPANS)[number];

/** A latency of −1 was not measured. */
const HAS_LATENCY = 'own_refusal IS NULL AND latency_total_ms >= 0';

function where(id: string, since: number): string {
  return `FROM calls WHERE current_endpoint_id = ${quoted(id)} AND event_date >= ${day(since)} AND event_time >= ${moment(since)}`;
}

function sinceOf(span: Span): { since: number; until: number } {
  const until = (Math.floor(Date.now() / span.stepMs) + 1) * span.stepMs;
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
    `SELECT date_bin(INTERVAL '${span.step}', event_time) AS at, count(*) AS calls,
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
    `SELECT count(*) AS calls, count(DISTINCT consumer_id) AS consumers, count(DISTINCT client_ip) AS addresses,
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
