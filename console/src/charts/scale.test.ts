import { describe, expect, it } from 'vitest';

import { roundUp, ticks, zoomed } from './scale';

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

  it('goes up to round numbers', () => {
    expect([0, 1, 3, 17, 240, 2600].map(roundUp)).toEqual([1, 1, 5, 20, 250, 5000]);
  });
});
