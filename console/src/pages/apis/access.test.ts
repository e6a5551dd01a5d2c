import { expect, it } from 'vitest';

import { inOrder, mixedShare } from './access';
import type { Access, Known } from './questions';

const access = (how: Known, served: number, calls = served): Access => ({ how, served, calls });

it.each<[string, Access[], number | undefined]>([
  ['nobody called', [], undefined],
  ['all had a credential', [access('credential', 9), access('consumer', 1)], undefined],
  ['nobody had one', [access('nothing', 9), access('anonymous', 1)], undefined],
  ['some had none, and were served', [access('credential', 9), access('nothing', 1)], 0.1],
  ['some were served as everybody', [access('consumer', 3), access('anonymous', 1)], 0.25],
  ['some had none, and were refused', [access('credential', 9), access('nothing', 0, 50)], undefined],
  ['some had one that the gateway does not know, and some none', [access('presented', 1), access('nothing', 1)], 0.5],
])('%s', (_, rows, expected) => {
  expect(mixedShare(rows)).toBe(expected);
});

it('has one order', () => {
  const rows = [access('nothing', 1), access('anonymous', 1), access('credential', 1)];
  expect(inOrder(rows).map(({ how }) => how)).toEqual(['credential', 'anonymous', 'nothing']);
});
