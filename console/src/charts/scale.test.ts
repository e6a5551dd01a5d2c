import { describe, expect, it } from 'vitest';

import { labelled, LEFT, roundUp, stepAt, ticks, untilNow, zoomed } from './scale';

describe('a time axis', () => {
  it('has round ticks, and not too many', () => {
    const found = ticks(1_000_000_030_000, 1_000_003_600_000, 8);
    expect(found.length).toBeLessThanOrEqual(8);
    expect(found.every((at) => at % 600_000 === 0)).toBe(true);
  });

  it('zooms around a moment, which stays where it is', () => {
    const { since, until } = zoomed({ since: 0, until: 100_000 }, 0.5, 25_000);
    expect((25_000 - since) / (until - since)).toBeCloseTo(0.25);
    expect(until - since).toBe(50_000);
  });

  it('moves with the time a whole step at once', () => {
    const at = (now: number) => untilNow(900_000, 160, now);
    expect(at(56_250_000)).toEqual({ since: 55_355_625, until: 56_255_625 });
    expect(at(56_255_624)).toEqual(at(56_250_000));
    expect(at(56_255_625).since - at(56_255_624).since).toBe(5625);
  });

  it('labels no tick that an edge would cut', () => {
    const since = ticks(1_000_000_030_000, 1_000_003_600_000, 8)[0]!;
    const labels = labelled({ since, until: since + 3_600_000 }, LEFT + 600);
    expect(labels[0]).toEqual([since, '']);
    expect(labels.slice(1, -1).every(([, label]) => label !== '')).toBe(true);
    expect(labels.at(-1)).toEqual([since + 3_600_000, '']);
  });

  it.each([
    [9, -1],
    [10, 0],
    [19, 0],
    [20, -1],
    [39, 1],
    [40, -1],
  ])('has at %i the step %i', (at, expected) => {
    expect(stepAt([10, 30], 10, at)).toBe(expected);
  });

  it('goes up to round numbers', () => {
    expect([0, 1, 3, 11, 17, 240, 2600, 5100, 7000, 9000].map(roundUp)).toEqual([
      1, 1, 3, 15, 20, 250, 3000, 6000, 8000, 10_000,
    ]);
  });
});
