import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import { useLook } from './useLook';

const LOOK_MS = 10_000;

let look: ReturnType<typeof useLook>;
let drawn: number;
const on = stage();

function Page({ told }: { told: (look: ReturnType<typeof useLook>) => void }) {
  told(useLook());
  return null;
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  dispatchEvent(new Event('keydown'));
  drawn = 0;
  const told = (next: typeof look) => {
    look = next;
    drawn += 1;
  };
  on.draw(<Page told={told} />);
});
afterEach(() => void vi.useRealTimers());

/** Whether the next look finds something new. */
function finds(): boolean {
  const before = look.asOf;
  act(() => {
    vi.advanceTimersByTime(LOOK_MS);
  });
  return look.asOf !== before;
}

it.each<[string, [source: string, newest: number | undefined][], boolean]>([
  ['nothing', [], false],
  ['what is there at first', [['calls', 5]], false],
  [
    'what is new',
    [
      ['calls', 5],
      ['calls', 6],
    ],
    true,
  ],
  [
    'the same again',
    [
      ['calls', 5],
      ['calls', 5],
    ],
    false,
  ],
  [
    'nothing while it loads',
    [
      ['calls', 5],
      ['calls', undefined],
      ['calls', 5],
    ],
    false,
  ],
  [
    'what another source says at first',
    [
      ['calls', 5],
      ['summary', 70],
    ],
    false,
  ],
  [
    'what another source says then',
    [
      ['calls', 5],
      ['summary', 70],
      ['summary', 71],
    ],
    true,
  ],
  [
    'what was new before another source came',
    [
      ['calls', 5],
      ['calls', 6],
      ['summary', 70],
    ],
    true,
  ],
])('is told of %s', (_, tellings, isNew) => {
  for (const telling of tellings) look.tell(...telling);
  expect(finds()).toBe(isNew);
  expect(finds()).toBe(false);
});

it('draws nothing when it is told something, but at the next look', () => {
  const { tell } = look;
  act(() => {
    for (let newest = 0; newest < 100; newest += 1) tell('calls', newest);
  });
  expect(drawn).toBe(1);
  expect(finds()).toBe(true);
  expect(drawn).toBe(2);
  expect(look.tell).toBe(tell);
});

it('is as new once a minute', () => {
  expect(Array.from({ length: 12 }, finds).filter(Boolean)).toHaveLength(2);
});
