import { describe, expect, it } from 'vitest';

import { newTo, note, NOTHING, type Told } from './fresh';

interface Row {
  id: string;
  at: number;
  isOpen?: boolean;
}
const row = (id: string, at: number, isOpen = true): Row => ({ id, at, isOpen });
const told = (...rows: Row[]) => rows.reduce<Told<Row>>(note, NOTHING);

describe('what is new to a list', () => {
  const LIST = [row('c', 30), row('b', 20)];
  const cases: [string, Row[], boolean, string[]][] = [
    ['nothing was told of', [], true, []],
    ['one that is in it', [row('c', 31)], true, []],
    ['one on top of it', [row('d', 40)], true, ['d']],
    ['the same again and again', [row('d', 40), row('d', 41), row('d', 42)], true, ['d']],
    ['one that does not fit', [row('d', 40, false)], true, []],
    ['one that fitted, and does not any more', [row('d', 40), row('d', 40, false)], true, []],
    ['one among its rows', [row('bb', 25)], true, ['bb']],
    ['one on a page that is not read yet', [row('a', 10)], true, []],
    ['one below all that there is', [row('a', 10)], false, ['a']],
    ['those of the same moment by their ids', [row('a', 20), row('z', 20)], true, ['z']],
  ];
  it.each(cases)('%s', (_, rows, hasNextPage, expected) => {
    const found = newTo(
      LIST,
      hasNextPage,
      told(...rows),
      ({ at }) => at,
      ({ isOpen }) => isOpen === true,
    );
    expect(found.map(({ id }) => id)).toEqual(expected);
  });

  it('is as far down as it was read, also where its last row would be on top now', () => {
    const list = [row('c', 30), row('b', 99)];
    expect(
      newTo(
        list,
        true,
        told(row('a', 10), row('d', 31)),
        ({ at }) => at,
        () => true,
      ),
    ).toEqual([row('d', 31)]);
  });
});

it('keeps so many rows and no more, and says so', () => {
  const rows = Array.from({ length: 600 }, (_, index) => row(String(index), index));
  const all = told(...rows.slice(0, 500), rows[0]!);
  expect([all.rows.size, all.hasLost]).toEqual([500, false]);
  const more = told(...rows.slice(0, 500), rows[0]!, ...rows.slice(500));
  expect([more.rows.size, more.hasLost]).toEqual([500, true]);
  expect([more.rows.has('0'), more.rows.has('1')]).toEqual([true, false]);
});
