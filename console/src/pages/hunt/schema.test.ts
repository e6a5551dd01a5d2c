import { expect, it } from 'vitest';

import { complete } from './schema';

const TABLES = [
  {
    name: 'calls',
    columns: [
      { name: 'consumer_id', type: 'text' },
      { name: 'country', type: 'text' },
    ],
  },
  { name: 'alerts', columns: [{ name: 'confidence', type: 'number' }] },
];

it.each([
  ['SELECT co', ['consumer_id', 'country', 'confidence', 'COUNT']],
  ['SELECT 1 FROM calls WHERE co', ['consumer_id', 'country', 'COUNT']],
  ['SELECT * FROM al', ['alerts']],
  ['SELECT c', []],
  ['SELECT 1 ', []],
])('completes "%s"', (before, expected) => {
  expect(complete(before, TABLES)).toEqual(expected);
});
