// Counters become rates: the difference of two readings over the time between them.

export interface Reading {
  at_ms: number;
  counts: Record<string, number>;
}

/** How long readings are kept. */
const KEPT_MS = 5 * 60_000;

const readings: Reading[] = [];

/** Notes a reading, once for each moment. */
export function note(reading: Reading): void {
  const last = readings.at(-1);
  if (last && reading.at_ms <= last.at_ms) return;
  readings.push(reading);
  while (readings[0] && readings[0].at_ms < reading.at_ms - KEPT_MS) readings.shift();
}

/** Per second, over about the last half minute; undefined until there are two readings, or after a restart. */
export function rateOf(name: string, of: readonly Reading[] = readings): number | undefined {
  const last = of.at(-1);
  const first = last && of.find((reading) => reading.at_ms >= last.at_ms - 30_000);
  if (!last || !first || first === last) return undefined;
  const [from, to] = [first.counts[name], last.counts[name]];
  if (from === undefined || to === undefined || to < from) return undefined;
  return ((to - from) * 1000) / (last.at_ms - first.at_ms);
}

/** The rates between neighbouring readings, for a small line. */
export function seriesOf(name: string, of: readonly Reading[] = readings): number[] {
  const series: number[] = [];
  for (let index = 1; index < of.length; index += 1) {
    const [before, after] = [of[index - 1]!, of[index]!];
    const change = (after.counts[name] ?? 0) - (before.counts[name] ?? 0);
    series.push(change < 0 ? 0 : (change * 1000) / (after.at_ms - before.at_ms));
  }
  return series;
}
