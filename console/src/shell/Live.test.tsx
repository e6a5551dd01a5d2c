import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { useStatus } from '../live/now';
import { stage } from '../testing';
import { Live } from './Live';

const MINUTE = 60_000;

const on = stage({ answer: () => Response.json({ notices: [] }) });

function Status() {
  useStatus();
  return null;
}

beforeEach(async () => {
  vi.useFakeTimers({ now: 1_795_862_400_000 });
  dispatchEvent(new Event('keydown'));
  on.draw(
    <>
      <Live connection="live" />
      <Status />
    </>,
  );
  await act(() => vi.advanceTimersByTimeAsync(0));
});
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

it('says that it is paused while nobody looks, and asks at once when somebody is back', async () => {
  await pass(9 * MINUTE);
  expect(on.host.textContent).toBe('Live');
  await pass(2 * MINUTE);
  expect(on.host.textContent).toMatch(/^Paused/);
  const before = on.asked.length;
  await pass(30 * MINUTE);
  expect(on.asked.length).toBe(before);
  act(() => void dispatchEvent(new Event('pointermove')));
  await pass(0);
  expect([on.host.textContent, on.asked.length]).toEqual(['Live', before + 1]);
  await pass(MINUTE);
  expect(on.asked.length).toBeGreaterThan(before + 5);
});
