// Where marks on a time axis stand, and which moments are worth a label.

const STEPS_MS = [1, 5, 15, 30]
  .map((s) => s * 1000)
  .concat(
    [1, 5, 10, 15, 30].map((m) => m * 60_000),
    [1, 2, 3, 6, 12].map((h) => h * 3_600_000),
    [1, 2, 7].map((d) => d * 86_400_000),
  );

/** Round local times between two moments, at most so many. */
export function ticks(since: number, until: number, most: number): number[] {
  const step = STEPS_MS.find((ms) => (until - since) / ms <= most) ?? 14 * 86_400_000;
  // Days begin at local midnight.
  const offset = new Date(since).getTimezoneOffset() * 60_000;
  const first = Math.ceil((since - offset) / step) * step + offset;
  const found: number[] = [];
  for (let at = first; at <= until; at += step) found.push(at);
  return found;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const seconds = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });

export function tickLabel(at: number, span: number): string {
  const time = new Date(at);
  if (time.getHours() === 0 && time.getMinutes() === 0 && time.getSeconds() === 0) return day.format(time);
  return (span < 5 * 60_000 ? seconds : clock).format(time);
}

/** Room for the numbers on the left of a chart: the same for all, so that charts below each other have the same times. */
export const LEFT = 40;

/** The ticks of a chart that is so wide, with their labels; those that its edges would cut have none. */
export function labelled({ since, until }: Range, width: number): [number, string][] {
  const inner = Math.max(width - LEFT, 10);
  return ticks(since, until, Math.max(inner / 90, 2)).map((at) => {
    const x = ((at - since) / (until - since)) * inner;
    return [at, x > 16 && x < inner - 20 ? tickLabel(at, until - since) : ''];
  });
}

/** Which of these steps a moment is in; −1 for none, and for steps that have no calls and are left out. */
export function stepAt(starts: number[], stepMs: number, at: number): number {
  return starts.findIndex((start) => start <= at && at < start + stepMs);
}

/** The next round number above. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return (
    [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((round) => round >= value) ?? 10 * power
  );
}

export interface Range {
  since: number;
  until: number;
}

/** The last so and so long, in whole steps: it moves by a step at a time, and what a step counts stays what it was. */
export function untilNow(spanMs: number, steps: number, now: number): Range {
  const stepMs = Math.ceil(spanMs / steps);
  const until = (Math.floor(now / stepMs) + 1) * stepMs;
  return { since: until - spanMs, until };
}

/** The range made larger or smaller around one moment of it. */
export function zoomed({ since, until }: Range, factor: number, around = (since + until) / 2): Range {
  const span = Math.min(Math.max((until - since) * factor, 5000), 366 * 86_400_000);
  const share = (around - since) / (until - since);
  return { since: Math.round(around - span * share), until: Math.round(around + span * (1 - share)) };
}
