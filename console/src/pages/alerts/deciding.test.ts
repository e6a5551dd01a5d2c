import { expect, it } from 'vitest';

import { Refusal } from '../../api/client';
import { DECISIONS, eachOf, HISTORY_WORDS, isForgotten, isPossible } from './deciding';

it.each([
  ['open', ['acknowledge', 'resolve', 'false-positive']],
  ['acknowledged', ['resolve', 'false-positive']],
  ['resolved', ['false-positive']],
  ['false_positive', []],
] as const)('an alert that is %s', (state, expected) => {
  expect(DECISIONS.filter((decision) => isPossible(decision, state, false))).toEqual(expected);
  expect(DECISIONS.filter((decision) => isPossible(decision, state, true))).toEqual([]);
});

it.each([
  ['open', 0, 100, false],
  ['acknowledged', 0, 100, false],
  ['resolved', 950, 100, false],
  ['resolved', 900, 100, false],
  ['resolved', 899, 100, true],
  ['false_positive', 899, 100, true],
  ['resolved', 0, undefined, false],
] as const)(
  'an alert that is %s, changed at %i of 1000, and remembered for %s',
  (state, updated_ms, remembered, expected) => {
    expect(isForgotten({ state, updated_ms }, remembered, 1000)).toBe(expected);
  },
);

it('takes each its turn, a few at a time, and keeps what went wrong', async () => {
  const rows = Array.from({ length: 30 }, (_, index) => ({ id: String(index) }));
  const taken: string[] = [];
  let [now, most] = [0, 0];
  const failures = await eachOf(rows, async ({ id }) => {
    now += 1;
    most = Math.max(most, now);
    await Promise.resolve();
    now -= 1;
    if (id === '7' || id === '20') throw new Error(`${id} is over already`);
    taken.push(id);
  });
  expect([...failures]).toEqual([
    ['7', '7 is over already'],
    ['20', '20 is over already'],
  ]);
  expect(taken).toHaveLength(28);
  expect(most).toBeLessThanOrEqual(4);
});

it('says of each that ended long ago that it is history', async () => {
  const failures = await eachOf([{ id: 'al_1' }, { id: 'al_2' }], ({ id }) =>
    Promise.reject(id === 'al_1' ? new Refusal(404, 'there is no alert al_1') : new Refusal(409, 'al_2 is over')),
  );
  expect([...failures]).toEqual([
    ['al_1', HISTORY_WORDS],
    ['al_2', 'al_2 is over'],
  ]);
});
