import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { WeaknessRow } from '../../api/types';
import { stage } from '../../testing';
import { PosturePage } from './PosturePage';
import { CHECKS, EXCEPTED, WEAKNESS } from './testing';

let rows: WeaknessRow[];
let apis: object[];
let gateways: object[];
const on = stage({
  answer: ({ pathname }) => {
    if (pathname === '/api/v1/posture/checks') return Response.json({ items: CHECKS, next: null });
    if (pathname === '/api/v1/posture/counts') {
      const open = rows.length > 0 ? { open: 3, excepted: 1 } : {};
      const open_by_check = rows.length > 0 ? { unauthenticated_access: 2, plain_http: 1 } : {};
      return Response.json({ by_state: open, open_by_severity: rows.length > 0 ? { high: 3 } : {}, open_by_check });
    }
    if (pathname === '/api/v1/posture') return Response.json({ items: rows, next: null });
    if (pathname === '/api/v1/apis') return Response.json({ items: apis, next: null });
    if (pathname === '/api/v1/gateways') return Response.json({ items: gateways, next: null });
    return undefined;
  },
});
beforeEach(() => {
  // Without a layout a table has no rows in view.
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(800);
  rows = [WEAKNESS, EXCEPTED];
  apis = [{ gateway: 'kong', workspace: 'w', service: 's-shop', service_name: 'shop' }];
  gateways = [{ gateway: 'kong', newest: { left_out: [] } }];
});
afterEach(() => vi.restoreAllMocks());

const asked = (path: string) =>
  on.asked.filter(({ pathname }) => pathname === path).map(({ searchParams }) => searchParams);
const bars = (label: string) => [...on.host.querySelectorAll<HTMLButtonElement>(`[aria-label="${label}"] button`)];

it('lists open ones, the gravest first, with check, sentence, place and state', async () => {
  await on.show(<PosturePage />, '/posture');
  const [first, second] = [...on.host.querySelectorAll('[aria-label="Weaknesses"] .table-row')];
  expect(first!.textContent).toContain('Open to anybody');
  expect(first!.textContent).toContain('GET /export answered 40 calls');
  expect(second!.textContent).toContain('Excepted');
  const [query] = asked('/api/v1/posture');
  expect([query!.get('state'), query!.get('sort')]).toEqual(['open', 'severity']);
  expect(first!.querySelector('a.whole')!.getAttribute('href')).toBe('/posture/wk_1');
});

it('draws how many are open, and filters by a bar until it is taken again', async () => {
  await on.show(<PosturePage />, '/posture?check=unauthenticated_access');
  expect(bars('Open by severity').map((bar) => bar.textContent)).toEqual([
    'Critical0',
    'High3',
    'Medium0',
    'Low0',
    'Info0',
  ]);
  const [broken, misconfigured] = bars('Open by OWASP id');
  expect([broken!.textContent, misconfigured!.textContent]).toEqual([
    'API2 Broken Authentication2',
    'API8 Security Misconfiguration1',
  ]);
  act(() => misconfigured!.click());
  await on.settle();
  // A check is of one id, so it would be another's.
  expect(on.address).toBe('/posture?owasp=API8%3A2023');
  expect(bars('Open by OWASP id')[1]!.getAttribute('aria-pressed')).toBe('true');
  act(() => bars('Open by OWASP id')[1]!.click());
  await on.settle();
  expect(on.address).toBe('/posture');
});

it('counts in its tabs, and says of which filters the counts are', async () => {
  await on.show(<PosturePage />, '/posture?state=all&service=shop');
  const tabs = [...on.host.querySelectorAll('[aria-label="State"] a')].map((tab) => tab.textContent);
  expect(tabs).toEqual(['Open3', 'Excepted1', 'Fixed0', 'All4']);
  expect(asked('/api/v1/posture/counts').every((query) => query.get('service') === 'shop' && !query.has('state'))).toBe(
    true,
  );
  expect(asked('/api/v1/posture')[0]!.has('state')).toBe(false);
});

it('says of a gateway whose configuration nobody reads what is not checked', async () => {
  gateways = [];
  await on.show(<PosturePage />, '/posture');
  expect(on.host.querySelector('[role=note]')!.textContent).toContain('Nothing is known of how kong is configured.');
  rows = [];
  on.leave();
  on.client.clear();
  await on.show(<PosturePage />, '/posture');
  expect(on.host.textContent).toContain('Nothing weak is known.');
  expect(on.host.textContent).toContain('outrider posture checks');
  expect(on.host.textContent).toContain('[[gateways]]\nname = "kong"');
  expect(bars('Open by severity')).toEqual([]);
});

it('says of one that was cut that it was', async () => {
  gateways = [{ gateway: 'kong', newest: { left_out: [{ list: 'routes', why: 'refused' }] } }];
  await on.show(<PosturePage />, '/posture');
  expect(on.host.querySelector('[role=note]')!.textContent).toContain('was not read whole');
});

it('begins with the first steps where no call came yet', async () => {
  [rows, apis, gateways] = [[], [], []];
  await on.show(<PosturePage />, '/posture');
  expect(on.host.textContent).toContain('No call came yet.');
});

it('says that filters or a state are why nothing is there', async () => {
  rows = [];
  await on.show(<PosturePage />, '/posture?service=none');
  expect(on.host.textContent).toContain('No weakness fits these filters.');
  on.leave();
  await on.show(<PosturePage />, '/posture?state=fixed');
  expect(on.host.textContent).toContain('Nothing is fixed.');
});
