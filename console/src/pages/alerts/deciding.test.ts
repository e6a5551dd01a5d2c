import { expect, it } from 'vitest';

import { Refusal } from '../../api/client';
import { DECISIONS, eachOf, HISTORY_WORDS, isPossible } from './deciding';

it.each([
  ['open', ['acknowledge', 'resolve', 'false-positive']],
  ['acknowledged', ['resolve', 'false-positive']],
  ['resolved', []],
  ['false_positive', []],
] as const)('an alert that is %s', (state, expected) => {
  expect(DECISIONS.filter((decision) => isPossible(decision, state))).toEqual(expected);
});

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
