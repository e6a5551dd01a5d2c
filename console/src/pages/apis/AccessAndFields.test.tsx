import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { AccessFigures } from '../../api/types';
import { stage } from '../../testing';
import { AccessOf, FieldsOf } from './AccessAndFields';
import { Tables } from './EndpointPage';
import type { Caller, QueryField } from './questions';
import { SPANS } from './questions';

// It looks for a canvas as soon as it is there, and draws nothing here.
vi.mock('uplot', () => ({ default: class {} }));

let access: AccessFigures[];
let fields: QueryField[];
let callers: Caller[];
/** How many statements are asked now, and were at one time. */
let [now, most] = [0, 0];

const on = stage({
  answer: async (_, request) => {
    now += 1;
    most = Math.max(most, now);
    const { statement } = (await request.json()) as { statement: string };
    await new Promise((resolve) => setTimeout(resolve, 5));
    now -= 1;
    const rows = statement.includes('AS how') ? access : statement.includes('unnest') ? fields : callers;
    return Response.json({ columns: [], rows, is_truncated: false, rows_read: 0, bytes_read: 0 });
  },
});
beforeEach(() => {
  [now, most] = [0, 0];
  callers = [];
});
afterEach(() => void vi.useRealTimers());

/** The lake, with calls of these kinds. */
function stubLake(some: AccessFigures[], others: QueryField[]) {
  [access, fields] = [some, others];
}

async function show() {
  await on.show(
    <>
      <AccessOf id="ep_1" span={SPANS[1]} isHeld={false} />
      <FieldsOf id="ep_1" span={SPANS[1]} isHeld={false} />
    </>,
  );
  expect(on.host.querySelector('[aria-busy]')).toBeNull();
}

const rowsOf = (table: string) =>
  Array.from(on.host.querySelectorAll(`[aria-label="${table}"] .table-row`), (row) =>
    Array.from(row.querySelectorAll('[role=cell]'), (cell) => cell.textContent),
  );

it('says that some get in without a credential, and in how many calls a field is', async () => {
  stubLake(
    [
      { how: 'nothing', calls: 10, served: 10 },
      { how: 'credential', calls: 90, served: 90 },
    ],
    [{ name: 'page', calls: 25, different: 7, kind: 1 }],
  );
  await show();
  expect(on.host.querySelector('[role=note]')?.textContent).toMatch(/^10 % of those who were served had no credential/);
  expect(rowsOf('Access')).toEqual([
    ['A credential that the gateway accepted', '90 %', '90', '100 %'],
    ['Nothing', '10 %', '10', '100 %'],
  ]);
  expect(rowsOf('Query fields')).toEqual([['page', '25 %', '7', 'as sent']]);
  // The lake answers few at a time.
  expect(most).toBe(1);
});

it('reads all again while somebody looks, and moves nothing under the pointer', async () => {
  vi.useFakeTimers();
  dispatchEvent(new Event('pointermove'));
  const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
  const point = (type: 'pointerover' | 'pointerout') =>
    act(() => {
      on.host
        .querySelector('.stack')!
        .dispatchEvent(new MouseEvent(type, { bubbles: true, relatedTarget: document.body }));
    });
  const field = (name: string, calls: number) => ({ name, calls, different: 1, kind: 1 });
  stubLake([{ how: 'credential', calls: 100, served: 100 }], [field('page', 20), field('size', 10)]);
  callers = [{ gateway: 'kong', consumer_id: 'anna', calls: 100, errors: 0, addresses: 1 }];
  on.draw(<Tables id="ep_1" span={SPANS[0]} />);
  await pass(100);
  expect(rowsOf('Query fields').map(([name]) => name)).toEqual(['page', 'size']);
  const asked = on.asked.length;
  point('pointerover');
  stubLake([{ how: 'credential', calls: 200, served: 200 }], [field('size', 150), field('page', 20), field('sort', 5)]);
  callers = [{ gateway: 'kong', consumer_id: 'bob', calls: 150, errors: 0, addresses: 2 }, ...callers];
  await pass(SPANS[0].tablesMs + 100);
  // All three, and one after the other this time, too.
  expect([on.asked.length - asked, most]).toEqual([3, 1]);
  expect(rowsOf('Callers').map(([who]) => who)).toEqual(['anna']);
  expect(rowsOf('Query fields').map(([name, of]) => [name, of])).toEqual([
    ['page', '10 %'],
    ['size', '75 %'],
  ]);
  point('pointerout');
  expect(rowsOf('Callers').map(([who]) => who)).toEqual(['bob', 'anna']);
  expect(rowsOf('Query fields').map(([name]) => name)).toEqual(['size', 'page', 'sort']);
});

it('warns of nothing where those without a credential were refused', async () => {
  stubLake(
    [
      { how: 'nothing', calls: 10, served: 0 },
      { how: 'credential', calls: 90, served: 90 },
    ],
    [],
  );
  await show();
  expect(on.host.querySelector('[role=note]')).toBeNull();
  expect(on.host.textContent).toContain('No call of this time had a query.');
});
