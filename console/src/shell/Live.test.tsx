import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { useStatus } from '../live/now';
import { Live } from './Live';

const MINUTE = 60_000;

let host: HTMLElement;
let asked: number;
let unmount: () => void;

function Status() {
  useStatus();
  return null;
}

beforeEach(async () => {
  vi.useFakeTimers({ now: 1_795_862_400_000 });
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  asked = 0;
  vi.stubGlobal('fetch', () => {
    asked += 1;
    return Promise.resolve(Response.json({ notices: [] }));
  });
  dispatchEvent(new Event('keydown'));
  host = document.createElement('div');
  const root = createRoot(host);
  unmount = () => root.unmount();
  await act(async () => {
    root.render(
      <QueryClientProvider client={new QueryClient()}>
        <Live connection="live" />
        <Status />
      </QueryClientProvider>,
    );
    await vi.advanceTimersByTimeAsync(0);
  });
});
afterEach(() => {
  act(() => unmount());
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

it('says that it is paused while nobody looks, and asks at once when somebody is back', async () => {
  await pass(9 * MINUTE);
  expect(host.textContent).toBe('Live');
  await pass(2 * MINUTE);
  expect(host.textContent).toMatch(/^Paused/);
  const before = asked;
  await pass(30 * MINUTE);
  expect(asked).toBe(before);
  act(() => void dispatchEvent(new Event('pointermove')));
  await pass(0);
  expect([host.textContent, asked]).toEqual(['Live', before + 1]);
  await pass(MINUTE);
  expect(asked).toBeGreaterThan(before + 5);
});
