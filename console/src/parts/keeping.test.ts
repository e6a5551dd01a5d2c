import { describe, expect, it } from 'vitest';

import { keptShortly, keptWords } from './keeping';

describe('how much the lake keeps', () => {
  it.each([
    [{ days: 30, bytes_max: null }, '30 days besides today'],
    [{ days: 1 }, '1 day besides today'],
    [{ days: null, bytes_max: 50e9 }, 'as many days as fit into 50 GB'],
    [{ days: 30, bytes_max: 50e9 }, '30 days besides today, or as many days as fit into 50 GB'],
    [{ days: null, bytes_max: null }, 'everything'],
  ])('%o: %s', (retention, expected) => {
    expect(keptWords(retention)).toBe(expected);
  });

  it.each([
    [
      { progress: { lake_oldest_day: '2026-10-29' }, lake_retention: { days: 30 } },
      'calls since 2026-10-29, calls kept 30 d',
    ],
    [{ progress: { lake_oldest_day: null }, lake_retention: { days: null, bytes_max: null } }, 'calls kept all'],
    [{ progress: {}, lake_retention: { bytes_max: 1e9 } }, 'calls kept by size'],
    [{ progress: { lake_oldest_day: '2026-10-29' } }, 'calls since 2026-10-29'],
    [{ progress: {}, lake_retention: null }, ''],
    [null, ''],
  ])('in few words, of %o: %s', (platform, expected) => {
    const said = keptShortly(platform).map((fact) => fact.join(' '));
    expect(said.join(', ')).toBe(expected);
  });
});
