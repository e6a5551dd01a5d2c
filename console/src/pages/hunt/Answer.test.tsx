import { expect, it, vi } from 'vitest';

import type { Table } from '../../api/types';
import { stage } from '../../testing';
import { canChart, Chart } from './Answer';

// It needs a canvas, and bars do not.
vi.mock('uplot', () => ({ default: null }));

const on = stage();
const table = (type: string) =>
  ({
    columns: [
      { name: 'endpoint', type },
      { name: 'calls', type: 'Int64' },
    ],
    rows: [
      { endpoint: 'GET /orders', calls: 12000 },
      { endpoint: null, calls: 3000 },
    ],
  }) as unknown as Table;

it.each(['Utf8', 'Utf8View', 'Dictionary(Int32, Utf8)'])('draws bars of names that are %s', async (type) => {
  expect(canChart(table(type))).toBe(true);
  await on.show(<Chart table={table(type)} />);
  const rows = [...on.host.querySelectorAll('tr')].map((row) => row.textContent);
  expect(rows).toEqual(['GET /orders12,000', 'null3,000']);
  const widths = [...on.host.querySelectorAll<HTMLElement>('.bar')].map((bar) => bar.style.width);
  expect(widths).toEqual(['100%', '25%']);
});

it('has no chart of what is neither a name, a time nor a number', () => {
  expect(canChart(table('List(Utf8)'))).toBe(false);
});
