// Which time a timeline shows: that in its address, or the last so and so long until now.
import { useEffect, useRef, useState } from 'react';

import { type Range, untilNow } from '../../charts/scale';
import { serverNow } from '../../live/clock';
import { useAddress } from '../../parts/address';
import { STEPS } from './DensityStrips';
import { type Coming, LATE_MS } from './useCalls';

export const PRESETS: [string, number][] = [
  ['15m', 15 * 60_000],
  ['1h', 3_600_000],
  ['6h', 6 * 3_600_000],
  ['24h', 24 * 3_600_000],
  ['7d', 7 * 86_400_000],
  ['30d', 30 * 86_400_000],
];
const PRESET_DEFAULT = '24h';
/** A wheel that rests for so long is not turned any more. */
const REST_MS = 200;

interface Ranged {
  range: Range;
  /** The range that is drawn: while a wheel is turned it is ahead of what is asked for. */
  shown: Range;
  coming: Coming;
  preset?: string;
  setRange: (range: Range, isTurning: boolean) => void;
  setPreset: (name: string) => void;
}

export function useRange(now: number): Ranged {
  const [query, change] = useAddress();
  const commit = (range: Range) =>
    change(
      { since: String(range.since), until: String(Math.min(range.until, serverNow() + 60_000)), last: null },
      true,
    );
  const turning = useTurning(commit);
  const setRange = (range: Range, isTurning: boolean) => {
    turning.stop();
    if (isTurning) turning.turn(range);
    else commit(range);
  };
  const setPreset = (name: string) => {
    turning.stop();
    change({ last: name === PRESET_DEFAULT ? null : name, since: null, until: null }, true);
  };
  const set = { setRange, setPreset };
  const [since, until] = [Number(query.get('since')), Number(query.get('until'))];
  if (since > 0 && until > since) {
    const coming = until >= now ? 'new' : until + LATE_MS >= now ? 'late' : 'none';
    const range = { since, until };
    return { range, shown: turning.range ?? range, coming, ...set };
  }
  const preset =
    PRESETS.find(([name]) => name === query.get('last')) ?? PRESETS.find(([name]) => name === PRESET_DEFAULT)!;
  const range = untilNow(preset[1], STEPS, now);
  return { range, shown: turning.range ?? range, coming: 'new', preset: preset[0], ...set };
}

/** A range that changes with each notch of a wheel, and is committed when that rests. */
function useTurning(commit: (range: Range) => void) {
  const [range, setRange] = useState<Range>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(commit);
  useEffect(() => {
    latest.current = commit;
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  const stop = () => {
    clearTimeout(timer.current);
    setRange(undefined);
  };
  const turn = (next: Range) => {
    setRange(next);
    timer.current = setTimeout(() => {
      setRange(undefined);
      latest.current(next);
    }, REST_MS);
  };
  return { range, turn, stop };
}
