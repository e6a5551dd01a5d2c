import { describe, expect, it } from 'vitest';

import { ago, bytes, chance, detectorName, doing, length, utc } from './words';

describe('words', () => {
  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [61_000, '1 min 1 s'],
    [3_600_000, '1 h'],
    [90_061_000, '1 d 1 h'],
  ])('a length of %i ms is %s', (ms, words) => {
    expect(length(ms)).toBe(words);
  });

  it.each([
    [1_000, 'now'],
    [10_000, '10 s ago'],
    [-120_000, 'in 2 min'],
    [86_400_000 * 3, '3 d ago'],
  ])('%i ms before now is %s', (ms, words) => {
    expect(ago(1e12 - ms, 1e12)).toBe(words);
  });

  it('says UTC', () => {
    expect(utc(0)).toBe('1970-01-01 00:00:00.000 UTC');
  });

  it('names detectors, sizes, chances and actions', () => {
    expect(detectorName('request_spike')).toBe('Request spike');
    expect(detectorName('hunt:refused-often')).toBe('Hunt: refused-often');
    expect(bytes(1_500)).toBe('1.5 KB');
    expect(chance(3)).toBe('1 in 1K');
    expect(chance(56.2)).toBe('1 in 10⁵⁶');
    expect(doing({ kind: 'block', status: 403, message: '' })).toBe('Block · 403');
    expect(doing({ kind: 'rate_limit', status: 429, message: '', limits: { minute: 30 } })).toBe('Limit · 30 a minute');
  });
});
