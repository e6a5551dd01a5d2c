import { expect, it } from 'vitest';

import { DECISIONS, eachOf, isPossible } from './deciding';

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
