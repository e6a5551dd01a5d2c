import { describe, expect, it } from 'vitest';

import { ago, bytes, byWhom, chance, counted, detectorName, doing, length, local, utc } from './words';

describe('words', () => {
  it.each([
    [0, '0 lines'],
    [1, '1 line'],
    [2, '2 lines'],
    [undefined, '– lines'],
  ])('%s lines are %s', (value, words) => {
    expect(counted(value, 'line')).toBe(words);
  });

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

  it.each([
    ['the clock of today', new Date(2026, 4, 6, 0, 5, 7), /^00:05:07$/],
    ['the day of this year', new Date(2026, 2, 3, 0, 5, 7), /^\D*3\D.*\b00:05:07$/],
    ['the year of another one, to the second', new Date(2025, 2, 3, 0, 5, 7), /2025.*\b00:05:07$/],
  ])('says %s', (_, then, words) => {
    expect(local(then.getTime(), new Date(2026, 4, 6, 12).getTime())).toMatch(words);
  });

  it.each([
    ['person:anna', 'anna'],
    ['policy:block-spikes', 'policy block-spikes'],
    ['token:siem', 'token siem'],
    ['outrider', 'outrider'],
  ])('says of %s that it is %s', (by, words) => {
    expect(byWhom(by)).toBe(words);
  });

  it('says UTC', () => {
    expect(utc(0)).toBe('1970-01-01 00:00:00.000 UTC');
  });

  it('names detectors, sizes, chances and actions', () => {
    expect(detectorName('request_spike')).toBe('Request spike');
    expect(detectorName('hunt:refused-often')).toBe('Hunt: refused-often');
    expect(detectorName('posture:plain_http')).toBe('Posture: plain http');
    expect(bytes(1_500)).toBe('1.5 KB');
    expect(chance(3)).toBe('1 in 1K');
    expect(chance(56.2)).toBe('1 in 10⁵⁶');
    expect(doing({ kind: 'block', status: 403, message: '' })).toBe('Block · 403');
    expect(doing({ kind: 'rate_limit', status: 429, message: '', limits: { minute: 30 } })).toBe('Limit · 30 a minute');
  });
});
