import { act, type ComponentProps, useLayoutEffect, useState } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../testing';
import { type Column, DataTable } from './DataTable';
import { type Chosen, NONE } from './selection';
import { OWN_WIDTHS } from './widths';

const ROWS = Array.from({ length: 30 }, (_, index) => `row ${index + 1}`);
const COLUMNS: Column<string>[] = [
  { id: 'name', head: 'Name', width: 'minmax(0, 1fr)', cell: (row) => <input defaultValue={row} /> },
  { id: 'size', head: 'Size', width: '66px', isNumber: true, needsRoom: true, cell: (row) => row.length },
];

/** Stands for the browser's: it tells once how large something is. */
class Observer {
  constructor(private readonly tell: () => void) {}
  observe() {
    this.tell();
  }
  unobserve() {}
  disconnect() {}
}

let chosen: Chosen;
const on = stage();

type Some = Partial<ComponentProps<typeof DataTable<string>>>;

function Table(props: Some) {
  const [some, choose] = useState(NONE);
  useLayoutEffect(() => {
    chosen = some;
  });
  return (
    <DataTable
      label="Rows"
      rows={ROWS}
      columns={COLUMNS}
      rowKey={(row) => row}
      selection={{ chosen: some, choose, nameOf: (row) => row }}
      {...props}
      isFollowing
      empty={null}
    />
  );
}

beforeEach(() => {
  vi.stubGlobal('ResizeObserver', Observer);
  // Without a layout an element has no size, and the table no rows in view.
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(1200);
  vi.spyOn(Element.prototype, 'getBoundingClientRect').mockReturnValue(new DOMRect(0, 0, 100, 32));
  localStorage.clear();
});
afterEach(() => vi.restoreAllMocks());

const box = (name: string) => on.host.querySelector<HTMLInputElement>(`[aria-label="Choose ${name}"]`)!;
const press = (target: HTMLElement, key: string, shiftKey = false) =>
  act(() => {
    target.dispatchEvent(new KeyboardEvent('keydown', { key, shiftKey, bubbles: true }));
  });

it('goes on from the row whose box was chosen by the pointer', () => {
  on.draw(<Table />);
  act(() => box('row 20').click());
  press(box('row 20'), 'ArrowDown', true);
  expect([...chosen]).toEqual(['row 20', 'row 21']);
});

it('goes on from the row whose box has the focus', () => {
  on.draw(<Table />);
  act(() => box('row 7').focus());
  press(box('row 7'), 'ArrowDown');
  press(box('row 7'), 'x');
  expect([...chosen]).toEqual(['row 8']);
});

it('holds rows that come while keys are at one', () => {
  const onFresh = vi.fn();
  on.draw(<Table />);
  act(() => on.host.querySelector<HTMLInputElement>('[value="row 3"]')!.focus());
  on.draw(<Table fresh={1} onFresh={onFresh} />);
  expect(onFresh).not.toHaveBeenCalled();
  act(() => (document.activeElement as HTMLElement).blur());
  on.draw(<Table fresh={2} onFresh={onFresh} />);
  expect(onFresh).toHaveBeenCalled();
});

it.each([
  [500, true, 'Show 500+ new'],
  [500, false, 'Show 500 new'],
  [1, undefined, 'Show 1 new'],
])('says of %i new rows whether there are more: %s', (fresh, hasMoreFresh, expected) => {
  on.draw(<Table />);
  act(() => on.host.querySelector<HTMLInputElement>('[value="row 3"]')!.focus());
  on.draw(<Table fresh={fresh} hasMoreFresh={hasMoreFresh} onFresh={() => undefined} />);
  expect(on.host.querySelector('.fresh')!.textContent).toBe(expected);
});

const handle = (name: string) =>
  Array.from(on.host.querySelectorAll<HTMLElement>('[role=separator]')).find(
    (one) => one.previousElementSibling?.textContent === name,
  )!;
const tracks = () => on.host.querySelector<HTMLElement>('[role=table]')!.style.getPropertyValue('--tracks');
const OWN = '16px minmax(0, 1fr) 66px';

it('has its columns as they are, until one is resized by keys', () => {
  on.draw(<Table />);
  expect(tracks()).toBe(OWN);
  expect(handle('Size').getAttribute('aria-valuenow')).toBe('100');
  press(handle('Size'), 'ArrowRight');
  expect(tracks()).toBe('16px 100px 116px');
  press(handle('Name'), 'ArrowLeft');
  expect(tracks()).toBe('16px 84px 116px');
});

it('follows the pointer, and remembers where it was left', () => {
  HTMLElement.prototype.setPointerCapture = () => undefined;
  const point = (type: string, clientX: number) =>
    act(() => {
      handle('Size').dispatchEvent(new MouseEvent(type, { clientX, button: 0, bubbles: true }));
    });
  on.draw(<Table />);
  point('pointerdown', 500);
  point('pointermove', 500);
  expect(tracks()).toBe(OWN);
  point('pointermove', 530);
  expect(tracks()).toBe('16px 100px 130px');
  expect(localStorage).toHaveLength(0);
  point('pointermove', 540);
  point('lostpointercapture', 540);
  expect(tracks()).toBe('16px 100px 140px');
  on.draw(<Table key="again" />);
  expect(tracks()).toBe('16px 100px 140px');
});

it('gives a column its own width back', () => {
  on.draw(<Table />);
  press(handle('Name'), 'ArrowRight');
  press(handle('Size'), 'ArrowRight');
  act(() => {
    handle('Name').dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
  });
  expect(tracks()).toBe('16px minmax(64px, 1fr) 116px');
  press(handle('Size'), 'Enter');
  expect(tracks()).toBe(OWN);
  expect(localStorage).toHaveLength(0);
});

it('gives those their own width back that were held because of one', () => {
  on.draw(<Table />);
  press(handle('Size'), 'ArrowRight');
  on.draw(<Table key="again" />);
  expect(tracks()).toBe('16px 100px 116px');
  press(handle('Size'), 'Enter');
  expect(tracks()).toBe(OWN);
  expect(localStorage).toHaveLength(0);
});

it('draws no row again when a column is resized', () => {
  const cell = vi.fn((row: string) => row);
  const columns = [{ id: 'size', head: 'Size', width: '66px', cell }];
  on.draw(<Table columns={columns} />);
  expect(cell).toHaveBeenCalled();
  cell.mockClear();
  press(handle('Size'), 'ArrowRight');
  expect(tracks()).toBe('16px 116px');
  expect(cell).not.toHaveBeenCalled();
});

it('keeps nothing where somebody else has the widths', () => {
  const change = vi.fn();
  on.draw(<Table sizing={{ widths: OWN_WIDTHS, change }} />);
  press(handle('Size'), 'ArrowRight');
  expect(change).toHaveBeenCalledOnce();
  expect(tracks()).toBe(OWN);
  expect(localStorage).toHaveLength(0);
});

it('has one stop of Tab for all heads, and keys from one to the next', () => {
  on.draw(<Table />);
  const stops = () => Array.from(on.host.querySelectorAll('[role=separator][tabindex="0"]'));
  expect(stops()).toEqual([handle('Name')]);
  act(() => handle('Name').focus());
  for (const [key, name] of [
    ['ArrowUp', 'Name'],
    ['ArrowDown', 'Size'],
    ['ArrowDown', 'Size'],
    ['Home', 'Name'],
    ['End', 'Size'],
    ['ArrowUp', 'Name'],
    ['End', 'Size'],
  ] as const) {
    press(document.activeElement as HTMLElement, key);
    expect(document.activeElement, key).toBe(handle(name));
    expect(stops()).toEqual([handle(name)]);
  }
  expect(tracks()).toBe(OWN);
});

it.each(['{', 'null', '{"size":90}', '[7,["size"],["size","wide"],[null,90]]'])(
  'is as it is where %s was kept',
  (kept) => {
    localStorage.setItem('outrider widths Rows', kept);
    on.draw(<Table />);
    expect(tracks()).toBe(OWN);
  },
);

it('leaves out of a narrow window what needs room', () => {
  vi.stubGlobal('matchMedia', (query: string) => ({
    matches: query.includes('max-width'),
    addEventListener() {},
    removeEventListener() {},
  }));
  on.draw(<Table />);
  expect(tracks()).toBe('16px minmax(0, 1fr)');
  expect(on.host.querySelectorAll('[role=columnheader]')).toHaveLength(2);
});

it('bears a browser that keeps nothing', () => {
  vi.stubGlobal('localStorage', undefined);
  on.draw(<Table />);
  press(handle('Size'), 'ArrowRight');
  expect(tracks()).toBe('16px 100px 116px');
});
