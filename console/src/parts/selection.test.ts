import { expect, it } from 'vitest';

import { NONE, toggled, withRange } from './selection';

const KEYS = ['a', 'b', 'c', 'd'];

it('chooses a row, and no more', () => {
  const chosen = toggled(NONE, 'a');
  expect([...chosen]).toEqual(['a']);
  expect([...toggled(chosen, 'a')]).toEqual([]);
  expect(NONE.size).toBe(0);
});

it.each([
  ['downwards', 'b', 'd', ['b', 'c', 'd']],
  ['upwards', 'c', 'a', ['a', 'b', 'c']],
  ['where nothing was chosen before', undefined, 'c', ['c']],
  ['where the first is not shown any more', 'gone', 'b', ['b']],
])('chooses a range %s', (_, from, to, expected) => {
  expect([...withRange(NONE, KEYS, from, to)]).toEqual(expected);
});

it('keeps what a range leaves out', () => {
  expect([...withRange(new Set(['d']), KEYS, 'a', 'b')]).toEqual(['d', 'a', 'b']);
});
