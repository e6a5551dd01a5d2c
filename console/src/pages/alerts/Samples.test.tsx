import { act } from 'react';
import { expect, it } from 'vitest';

import type { SampleCall } from '../../api/types';
import { stage } from '../../testing';
import { Samples } from './Samples';

const SAMPLES: SampleCall[] = [1, 2].map((number) => ({
  request_id: `r-${number}`,
  event_ms: 1_795_862_400_000 + number,
  method: 'GET',
  path: `/orders/${number}`,
  status: 200,
}));

/** What was asked for and is not answered yet, in order. */
let waiting: { number: number; answer: () => void }[];
const on = stage({
  answer: ({ pathname, searchParams }) => {
    if (pathname !== '/api/v1/search') return undefined;
    const number = Number(searchParams.get('q')!.at(-1));
    const found = { ...SAMPLES[number - 1]!, position: number, call_index: 0 };
    return new Promise((resolve) => {
      waiting.push({ number, answer: () => resolve(Response.json({ items: [found], next: null })) });
    });
  },
});

/** The alert's page is another one for each alert, as it is in the console. */
const draw = (alert = 'al_1') => on.draw(<Samples key={alert} samples={SAMPLES} gateway="kong" />, '/alerts/al_1');
const ask = async (number: number) => {
  const before = waiting.length;
  act(() => on.host.querySelectorAll<HTMLElement>('button.whole')[number - 1]!.click());
  await act(() => new Promise<void>((resolve) => setTimeout(resolve, 1)));
  expect(waiting.length).toBe(before + 1);
};
const answer = async (number: number) => {
  const at = waiting.findIndex((one) => one.number === number);
  const [one] = waiting.splice(at, 1);
  one!.answer();
  await act(() => new Promise<void>((resolve) => setTimeout(resolve, 5)));
};

it('opens the sample that was asked for last, whichever answer comes first', async () => {
  waiting = [];
  draw();
  await ask(1);
  await ask(2);
  await answer(2);
  expect(on.address).toBe('/alerts/al_1?call=2-0');
  await answer(1);
  expect(on.address).toBe('/alerts/al_1?call=2-0');
});

it('opens nothing where somebody has closed what was open meanwhile', async () => {
  waiting = [];
  draw();
  await ask(1);
  await answer(1);
  await ask(2);
  act(() => {
    const escape = new KeyboardEvent('keydown', { key: 'Escape', bubbles: true });
    document.querySelector('[role=dialog]')!.dispatchEvent(escape);
  });
  await answer(2);
  expect(on.address).toBe('/alerts/al_1');
});

it('opens nothing beside another alert', async () => {
  waiting = [];
  draw();
  await ask(1);
  draw('al_2');
  await answer(1);
  expect(on.address).toBe('/alerts/al_1');
});
