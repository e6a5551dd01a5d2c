import { act } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';

import type { CallRow } from '../api/types';
import { CallsTable } from '../pages/timeline/CallsTable';
import type { useCalls } from '../pages/timeline/useCalls';
import { stage } from '../testing';
import { CALLS, choosableColumns } from './callColumns';
import { ColumnMenu } from './columns';

const calls = { rows: [] as CallRow[], fresh: 0, isPending: true } as unknown as ReturnType<typeof useCalls>;
const on = stage();
beforeEach(() => localStorage.clear());

const COLUMNS = choosableColumns('consumer');
const OWN = ['Time', 'Status', 'Method', 'Path', 'Service', 'Address', 'Latency', 'Size'];

async function draw() {
  await on.show(
    <>
      <ColumnMenu table={CALLS} columns={COLUMNS} />
      <CallsTable calls={calls} whose="consumer" search="" empty={null} />
    </>,
  );
  act(() => on.host.querySelector<HTMLElement>('[aria-haspopup=menu]')!.click());
}
const heads = () => [...on.host.querySelectorAll('[role=columnheader]')].map((one) => one.textContent);
const item = (words: string) =>
  [...document.querySelectorAll<HTMLElement>('[role^=menuitem]')].find((one) => one.textContent === words)!;
const choose = (words: string) => act(() => item(words).click());

it('has its own columns until somebody chooses others, which stay', async () => {
  await draw();
  expect(heads()).toEqual(OWN);
  choose('Size');
  choose('Program');
  expect(heads()).toEqual([...OWN.slice(0, -1), 'Program']);
  expect(['Size', 'Path', 'Program'].map((words) => item(words).getAttribute('aria-checked'))).toEqual([
    'false',
    'true',
    'true',
  ]);
  on.leave();
  await draw();
  expect(heads()).toContain('Program');
  choose('As they were');
  expect([heads(), localStorage.length]).toEqual([OWN, 0]);
});

it('keeps nothing that is as it is by itself', async () => {
  await draw();
  choose('Size');
  choose('Size');
  expect([heads(), localStorage.length]).toEqual([OWN, 0]);
});

it('offers neither the column by which a row is opened, nor the one that would say the same in each', async () => {
  await draw();
  expect([item('Time'), item('Consumer')]).toEqual([undefined, undefined]);
});

it.each(['{', 'null', '[7]', '{"size":"no","path":1}'])('is as it is where %s was kept', async (kept) => {
  localStorage.setItem('outrider columns Calls', kept);
  await draw();
  expect(heads()).toEqual(OWN);
});

it('bears a browser that keeps nothing', async () => {
  vi.stubGlobal('localStorage', undefined);
  await draw();
  choose('Size');
  expect(heads()).not.toContain('Size');
  choose('As they were');
  expect(heads()).toEqual(OWN);
});
