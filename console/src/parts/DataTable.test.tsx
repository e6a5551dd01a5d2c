import { MantineProvider } from '@mantine/core';
import { act, type ReactNode, useLayoutEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { type Column, DataTable } from './DataTable';
import { type Chosen, NONE } from './selection';

const ROWS = Array.from({ length: 30 }, (_, index) => `row ${index + 1}`);
const COLUMNS: Column<string>[] = [
  { id: 'name', head: 'Name', width: '1fr', cell: (row) => <input defaultValue={row} /> },
];

let chosen: Chosen;
let frame: HTMLElement;
let draw: (table: ReactNode) => void;
let unmount: () => void;

function Table({ fresh, onFresh }: { fresh?: number; onFresh?: () => void }) {
  const [some, choose] = useState(NONE);
  useLayoutEffect(() => {
    chosen = some;
  });
  return (
    <MantineProvider>
      <DataTable
        label="Rows"
        rows={ROWS}
        columns={COLUMNS}
        rowKey={(row) => row}
        selection={{ chosen: some, choose, nameOf: (row) => row }}
        fresh={fresh}
        onFresh={onFresh}
        isFollowing
        empty={null}
      />
    </MantineProvider>
  );
}

beforeEach(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
  // Without a layout an element has no size, and the table no rows in view.
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(1200);
  frame = document.createElement('div');
  document.body.append(frame);
  const root = createRoot(frame);
  draw = (table) => act(() => root.render(table));
  unmount = () => act(() => root.unmount());
});
afterEach(() => {
  unmount();
  frame.remove();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const box = (name: string) => frame.querySelector<HTMLInputElement>(`[aria-label="Choose ${name}"]`)!;
const press = (target: HTMLElement, key: string, shiftKey = false) =>
  act(() => {
    target.dispatchEvent(new KeyboardEvent('keydown', { key, shiftKey, bubbles: true }));
  });

it('goes on from the row whose box was chosen by the pointer', () => {
  draw(<Table />);
  act(() => box('row 20').click());
  press(box('row 20'), 'ArrowDown', true);
  expect([...chosen]).toEqual(['row 20', 'row 21']);
});

it('goes on from the row whose box has the focus', () => {
  draw(<Table />);
  act(() => box('row 7').focus());
  press(box('row 7'), 'ArrowDown');
  press(box('row 7'), 'x');
  expect([...chosen]).toEqual(['row 8']);
});

it('holds rows that come while keys are at one', () => {
  const onFresh = vi.fn();
  draw(<Table />);
  act(() => frame.querySelector<HTMLInputElement>('[value="row 3"]')!.focus());
  draw(<Table fresh={1} onFresh={onFresh} />);
  expect(onFresh).not.toHaveBeenCalled();
  act(() => (document.activeElement as HTMLElement).blur());
  draw(<Table fresh={2} onFresh={onFresh} />);
  expect(onFresh).toHaveBeenCalled();
});
