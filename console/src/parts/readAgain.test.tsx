import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../testing';
import { useReadAgain } from './pages';

const on = stage();
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('reads a list again while somebody looks, and not under the keys', () => {
  const refetch = vi.fn(() => Promise.resolve());
  function List() {
    useReadAgain(refetch, 1000);
    return (
      <div className="table">
        <button type="button">one</button>
      </div>
    );
  }
  on.draw(<List />);
  dispatchEvent(new Event('pointermove'));
  act(() => void vi.advanceTimersByTime(2500));
  expect(refetch).toHaveBeenCalledTimes(2);
  on.host.querySelector('button')!.focus();
  act(() => void vi.advanceTimersByTime(2000));
  expect(refetch).toHaveBeenCalledTimes(2);
  on.host.querySelector('button')!.blur();
  act(() => void vi.advanceTimersByTime(1000));
  expect(refetch).toHaveBeenCalledTimes(3);
  act(() => void vi.advanceTimersByTime(11 * 60_000));
  // Nobody was there for ten minutes.
  expect(refetch.mock.calls.length).toBeLessThan(3 + 10 * 60);
});
