import { act } from 'react';
import { beforeEach, expect, it } from 'vitest';

import type { CallRow } from '../../api/types';
import { stage } from '../../testing';
import { facetsOf } from './counting';
import { Facets, FacetsButton } from './Facets';

const call = (status: number, more: Partial<CallRow> = {}) =>
  ({
    status,
    method: 'GET',
    endpoint_id: 'ep_1',
    consumer_id: 'id-7',
    consumer_name: 'mallory',
    client_ip: '203.0.113.7',
    network_class: null,
    country: null,
    ...more,
  }) as CallRow;

const ROWS = [
  call(200),
  call(204, { method: 'POST' }),
  call(403),
  call(200, { consumer_id: null, consumer_name: null, endpoint_id: null }),
];

const on = stage({
  answer: ({ pathname }) =>
    pathname === '/api/v1/endpoints/ep_1'
      ? Response.json({ id: 'ep_1', key: { method: 'GET', template: '/orders/{id}' } })
      : undefined,
});

let search: string;
let asked: string[];
beforeEach(() => {
  localStorage.clear();
  [search, asked] = ['', []];
});

const draw = (rows: CallRow[], hasMore = false) =>
  on.show(
    <>
      <FacetsButton />
      <Facets rows={rows} hasMore={hasMore} search={search} change={(next) => asked.push(next)} />
    </>,
  );
const region = () => on.host.querySelector('.facets');
const values = (title: string) =>
  [...on.host.querySelectorAll('.facets > div')]
    .find((one) => one.querySelector('h2')!.textContent === title)!
    .querySelectorAll('button');
const said = (title: string) => Array.from(values(title), (one) => one.textContent);
const point = (type: string) => act(() => void region()!.dispatchEvent(new MouseEvent(type, { bubbles: true })));

it('counts values by the terms that find them, the most frequent first, and no others than five', () => {
  const many = Array.from({ length: 7 }, (_, index) => call(200, { client_ip: `192.0.2.${index}` }));
  const facets = facetsOf([...ROWS, ...many], 'consumer');
  expect(facets.map(({ field, others }) => [field, others])).toEqual([
    ['status', 0],
    ['method', 0],
    ['endpoint', 0],
    ['ip', 3],
  ]);
  expect(facets[0]!.values).toEqual([
    { term: 'status:200..299', words: '2xx', count: 10 },
    { term: 'status:400..499', words: '4xx', count: 1 },
  ]);
  expect(facets[3]!.values[0]).toEqual({ term: 'ip:203.0.113.7', words: '203.0.113.7', count: 4 });
  expect(facetsOf([])).toEqual([]);
});

it('says of how many calls they are, and names endpoints', async () => {
  await draw(ROWS, true);
  expect(region()!.textContent).toContain('Counted in the 4 calls that are loaded. There are more.');
  expect(said('Status')).toEqual(['2xx3', '4xx1']);
  expect(said('Endpoint')).toEqual(['GET /orders/{id}3']);
  expect(said('Consumer')).toEqual(['mallory3']);
  await draw(ROWS);
  expect(region()!.textContent).toContain('Counted in all 4 calls.');
});

it('adds a term and takes it away, and keeps the focus while the calls of that are read', async () => {
  await draw(ROWS);
  values('Method')[1]!.focus();
  act(() => values('Method')[1]!.click());
  expect(asked).toEqual(['method:POST']);
  search = 'method:POST';
  await draw([]);
  const pressed = values('Method')[1]!;
  expect([pressed.getAttribute('aria-pressed'), document.activeElement]).toEqual(['true', pressed]);
  await draw([ROWS[1]!]);
  expect([said('Method'), document.activeElement]).toEqual([['POST1'], values('Method')[0]]);
  act(() => values('Method')[0]!.click());
  expect(asked).toEqual(['method:POST', '']);
});

it('moves nothing under the pointer while calls come', async () => {
  await draw(ROWS);
  point('pointermove');
  const more = [call(500), call(500), call(500), call(500), ...ROWS];
  await draw(more);
  expect(said('Status')).toEqual(['2xx3', '4xx1']);
  point('pointerout');
  expect(said('Status')).toEqual(['5xx4', '2xx3', '4xx1']);
});

it('is there until somebody wants it no more', async () => {
  await draw(ROWS);
  const button = on.host.querySelector('button')!;
  act(() => button.click());
  expect([region(), button.getAttribute('aria-pressed')]).toEqual([null, 'false']);
  act(() => button.click());
  expect(region()).not.toBeNull();
});
