import { describe, expect, it } from 'vitest';

import { type Reading, rateOf, seriesOf } from './rates';

const at = (second: number, calls: number): Reading => ({ at_ms: second * 1000, counts: { calls } });

describe('counters become rates', () => {
  const cases: [string, Reading[], number | undefined][] = [
    ['nothing is read yet', [], undefined],
    ['one reading says nothing', [at(0, 5)], undefined],
    ['two readings', [at(0, 0), at(10, 50)], 5],
    ['only the last half minute counts', [at(0, 0), at(100, 1000), at(110, 1050)], 5],
    ['a counter that began anew says nothing', [at(0, 100), at(10, 3)], undefined],
  ];
  it.each(cases)('%s', (_, readings, expected) => {
    expect(rateOf('calls', readings)).toBe(expected);
  });

  it('draws each step, and none below zero', () => {
    expect(seriesOf('calls', [at(0, 0), at(10, 50), at(20, 0), at(30, 10)])).toEqual([5, 0, 1]);
  });
});
