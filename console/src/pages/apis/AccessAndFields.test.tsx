import { beforeEach, expect, it } from 'vitest';

import type { AccessFigures } from '../../api/types';
import { stage } from '../../testing';
import { AccessOf, FieldsOf } from './AccessAndFields';
import type { QueryField } from './questions';
import { SPANS } from './questions';

let access: AccessFigures[];
let fields: QueryField[];
/** How many statements are asked now, and were at one time. */
let [now, most] = [0, 0];

const on = stage({
  answer: async (_, request) => {
    now += 1;
    most = Math.max(most, now);
    const { statement } = (await request.json()) as { statement: string };
    await new Promise((resolve) => setTimeout(resolve, 5));
    now -= 1;
    const rows = statement.includes('AS how') ? access : statement.includes('unnest') ? fields : [];
    return Response.json({ columns: [], rows, is_truncated: false, rows_read: 0, bytes_read: 0 });
  },
});
beforeEach(() => {
  [now, most] = [0, 0];
});

/** The lake, with calls of these kinds. */
function stubLake(some: AccessFigures[], others: QueryField[]) {
  [access, fields] = [some, others];
}

async function show() {
  await on.show(
    <>
      <AccessOf id="ep_1" span={SPANS[1]} />
      <FieldsOf id="ep_1" span={SPANS[1]} />
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
