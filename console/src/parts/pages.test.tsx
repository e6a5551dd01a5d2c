import { QueryClient } from '@tanstack/react-query';
import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { api, got } from '../api/client';
import { stage } from '../testing';
import { PagedTable } from './DataTable';
import { usePages } from './pages';

interface Row {
  id: string;
}

const PAGE = 6;
const PROBLEM = { type: 'urn:outrider:problem:internal', status: 500, detail: 'the disk is full' };
/** Which pages do not come, by the cursor that they are asked for with. */
let broken: Set<string>;
const on = stage({
  answer: ({ searchParams }) => {
    const cursor = searchParams.get('cursor') ?? '0';
    if (broken.has(cursor)) return Response.json(PROBLEM, { status: 500 });
    const first = Number(cursor);
    const items = Array.from({ length: PAGE }, (_, index) => ({ id: `row ${first + index}` }));
    return Response.json({ items, next: first + PAGE < 3 * PAGE ? String(first + PAGE) : null });
  },
  makeClient: () => new QueryClient({ defaultOptions: { queries: { retry: false } } }),
});

const COLUMNS = [{ id: 'id', head: 'Id', width: '1fr', cell: ({ id }: Row) => id }];
const keyOf = ({ id }: Row) => id;

function List() {
  const pages = usePages<Row>(['rows'], async (cursor, signal) => {
    const page: unknown = await got(api.GET('/api/v1/hunts', { params: { query: { cursor } }, signal }));
    return page as { items: Row[]; next: string | null };
  });
  return <PagedTable pages={pages} label="List" columns={COLUMNS} rowKey={keyOf} empty="nothing" />;
}

beforeEach(() => {
  broken = new Set();
  // Without a layout a table has no rows in view.
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(800);
});
afterEach(() => vi.restoreAllMocks());

const rows = () => on.host.querySelectorAll('.table-row.floating').length;
const trouble = () => on.host.querySelector<HTMLElement>('[role=alert]');
const tryAgain = async () => {
  const button = trouble()!.querySelector('button')!;
  button.focus();
  act(() => button.click());
  await on.settle();
};

it('keeps the rows when the following ones do not come, and asks for those when somebody tries again', async () => {
  broken.add('6');
  await on.show(<List />);
  expect(rows()).toBe(PAGE);
  expect(trouble()!.closest('.table-scroll')).not.toBeNull();
  expect(trouble()!.textContent).toContain('the disk is full');
  // Rows in view are no reason to ask again and again.
  expect(on.asked).toHaveLength(2);
  await tryAgain();
  expect([rows(), on.asked.length]).toEqual([PAGE, 3]);
  expect(trouble()).not.toBeNull();
  broken.clear();
  await tryAgain();
  expect([rows(), trouble()]).toEqual([3 * PAGE, null]);
  expect(document.activeElement).toBe(on.host.querySelector('.table-scroll'));
});

it('keeps the rows when they cannot be read again', async () => {
  await on.show(<List />);
  broken.add('0');
  await act(() => on.client.invalidateQueries());
  await on.settle();
  expect(rows()).toBe(3 * PAGE);
  broken.clear();
  await tryAgain();
  expect([rows(), trouble()]).toEqual([3 * PAGE, null]);
});

it('says what is wrong in the place of a list of which nothing came', async () => {
  broken.add('0');
  await on.show(<List />);
  expect(on.host.querySelector('.table')).toBeNull();
  broken.clear();
  await tryAgain();
  expect([rows(), trouble()]).toEqual([3 * PAGE, null]);
});
