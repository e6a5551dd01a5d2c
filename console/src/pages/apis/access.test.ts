import { expect, it } from 'vitest';

import type { AccessFigures } from '../../api/types';
import { accessWord, inOrder, mixedShare } from './access';

const access = (how: string, served: number, calls = served): AccessFigures => ({ how, served, calls });

it.each<[string, AccessFigures[], number | undefined, string | undefined]>([
  ['nobody called', [], undefined, undefined],
  ['all had a credential', [access('credential', 9)], undefined, 'credential'],
  ['nobody had one', [access('nothing', 9), access('anonymous', 1)], undefined, 'open'],
  ['some had none, and were served', [access('credential', 9), access('nothing', 1)], 0.1, 'mixed'],
  ['some were served as everybody', [access('credential', 3), access('anonymous', 1)], 0.25, 'mixed'],
  ['some had none, and were refused', [access('credential', 9), access('nothing', 0, 50)], undefined, 'credential'],
  ['all were refused', [access('presented', 0, 9)], undefined, undefined],
  ['some had one that nobody checked', [access('presented', 5), access('credential', 2)], undefined, 'presented'],
  ['some had one that nobody checked, some none', [access('presented', 1), access('nothing', 1)], 0.5, 'mixed'],
])('%s', (_, rows, expected, word) => {
  expect(mixedShare(rows)).toBe(expected);
  expect(accessWord(rows)?.word).toBe(word);
});

it('has one order', () => {
  const rows = [access('nothing', 1), access('anonymous', 1), access('credential', 2)];
  expect(inOrder(rows).map(({ how }) => how)).toEqual(['credential', 'anonymous', 'nothing']);
  expect(accessWord(rows)?.title.split('\n')).toEqual([
    'A credential that the gateway accepted: 50 %',
    'The consumer for all without a name: 25 %',
    'Nothing: 25 %',
  ]);
});
