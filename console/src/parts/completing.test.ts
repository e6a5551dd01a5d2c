import { expect, it } from 'vitest';

import { chosenName, completed } from './completing';

const NAMES = ['mallory', 'mal', null, 'bob', 'person:anna', 'mallory', '203.0.113.7'];

it.each([
  ['', ['bob', 'mal', 'mallory', '203.0.113.7', 'person:anna']],
  ['mal', ['mal', 'mallory']],
  ['Mall', ['mallory']],
  ['ann', ['person:anna']],
  ['person:', ['person:anna']],
  ['203.', ['203.0.113.7']],
  ['eve', []],
])('completes “%s”', (typed, names) => {
  expect(completed(typed, NAMES)).toEqual(names);
});

it.each([
  ['ann', 'person:anna'],
  // It is a name, and the beginning of another.
  ['mal', 'mal'],
  ['eve', 'eve'],
  ['', ''],
])('takes “%s” as %s', (typed, name) => {
  expect(chosenName(typed, completed(typed, NAMES))).toBe(name);
});
