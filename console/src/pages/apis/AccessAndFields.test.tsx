import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { AccessFigures } from '../../api/types';
import { stubBrowser, unstubBrowser } from '../../testing';
import { AccessOf, FieldsOf } from './AccessAndFields';
import type { QueryField } from './questions';
import { SPANS } from './questions';

let frame: HTMLElement;
let unmount: () => void;
/** How many statements were asked at one time. */
let most: number;

/** The lake, with calls of these kinds. */
function stubLake(access: AccessFigures[], fields: QueryField[]) {
  let now = 0;
  most = 0;
  vi.stubGlobal('fetch', async (request: Request) => {
    now += 1;
    most = Math.max(most, now);
    const { statement } = (await request.json()) as { statement: string };
    await new Promise((resolve) => setTimeout(resolve, 5));
    now -= 1;
    const rows = statement.includes('AS how') ? access : statement.includes('unnest') ? fields : [];
    return Response.json({ columns: [], rows, is_truncated: false, rows_read: 0, bytes_read: 0 });
  });
}

async function show() {
  const root = createRoot(frame);
  unmount = () => act(() => root.unmount());
  act(() =>
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={new QueryClient()}>
          <AccessOf id="ep_1" span={SPANS[1]} />
          <FieldsOf id="ep_1" span={SPANS[1]} />
        </QueryClientProvider>
      </MantineProvider>,
    ),
  );
  await act(() => vi.waitFor(() => expect(frame.querySelector('[aria-busy]')).toBeNull()));
}

beforeEach(() => {
  stubBrowser();
  frame = document.createElement('div');
  document.body.append(frame);
});
afterEach(() => {
  unmount();
  frame.remove();
  unstubBrowser();
});

const rowsOf = (table: string) =>
  Array.from(frame.querySelectorAll(`[aria-label="${table}"] .table-row`), (row) =>
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
  expect(frame.querySelector('[role=note]')?.textContent).toMatch(/^10 % of those who were served had no credential/);
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
  expect(frame.querySelector('[role=note]')).toBeNull();
  expect(frame.textContent).toContain('No call of this time had a query.');
});
