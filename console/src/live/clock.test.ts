import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { noteServerTime, serverNow } from './clock';

const NOW_MS = 1_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW_MS });
});
afterEach(() => {
  noteServerTime(0);
  vi.useRealTimers();
});

it.each([
  ['as it is', 0, 0],
  ['ahead of the browser', 90_000, 90_000],
  ['behind it, or long on its way', -90_000, 0],
])('goes on from a time that is %s', (_, ahead, expected) => {
  noteServerTime(NOW_MS + ahead);
  vi.advanceTimersByTime(5000);
  expect(serverNow()).toBe(NOW_MS + 5000 + expected);
});
