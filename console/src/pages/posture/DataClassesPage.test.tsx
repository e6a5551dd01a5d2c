import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { ClassRow } from '../../api/types';
import { stage } from '../../testing';
import { DataClassesPage } from './DataClassesPage';

let rows: ClassRow[];
const on = stage({
  answer: ({ pathname }) => {
    if (pathname === '/api/v1/data-classes') return Response.json({ items: rows, next: null });
    if (pathname === '/api/v1/apis')
      return Response.json({ items: [{ gateway: 'kong', service: 's-shop', service_name: 'shop' }], next: null });
    if (pathname === '/api/v1/gateways') return Response.json({ items: [{ gateway: 'kong' }], next: null });
    if (pathname.endsWith('/configuration'))
      return Response.json({ configuration: { consumers: [{ id: 'c-1', username: 'alice' }] } });
    if (pathname.startsWith('/api/v1/endpoints/'))
      return Response.json({ id: 'ep_1', key: { method: 'GET', template: '/people' } });
    return undefined;
  },
});
beforeEach(() => {
  // Without a layout a table has no rows in view.
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(800);
  rows = [
    {
      class: 'payment_card',
      family: 'payment',
      endpoints: ['ep_1'],
      parameters: { query: 2, path: 1 },
      values: 40,
      replaced: 40,
      calls: 90,
      consumers: ['c-1', 'c-2'],
      last_seen_ms: 2,
    },
  ];
});
afterEach(() => vi.restoreAllMocks());

it('lists classes with where they are, and says of one where it goes and from whom', async () => {
  await on.show(<DataClassesPage />, '/posture/data?class=payment_card');
  const row = on.host.querySelector('[aria-label="Data classes"] .table-row')!;
  expect(row.textContent).toContain('payment cardPaymentpath 1 · query 2');
  const goes = on.host.querySelector('[aria-label="Where payment card goes"]')!;
  expect(goes.textContent).toContain('40 values in 90 calls of these endpoints, all of them replaced');
  expect([...goes.querySelectorAll('a')].map((one) => one.textContent)).toEqual(['GET /people', 'alice', 'c-2']);
});

it('says how classes become known where none is', async () => {
  rows = [];
  await on.show(<DataClassesPage />, '/posture/data');
  expect(on.host.textContent).toContain('No class of data is known yet.');
  expect(on.host.textContent).toContain('outrider classify');
  on.leave();
  await on.show(<DataClassesPage />, '/posture/data?service=shop');
  expect(on.host.textContent).toContain('No class of data was seen at this service.');
});
