import { act } from 'react';
import { Route, Routes } from 'react-router';
import { beforeEach, expect, it } from 'vitest';

import type { Role, WeaknessRow } from '../../api/types';
import { stage } from '../../testing';
import { CHECKS, EXCEPTED, WEAKNESS } from './testing';
import { endOfDay } from './weakness';
import { WeaknessPage } from './WeaknessPage';

let weakness: WeaknessRow;
let sent: { method: string; body: unknown }[];
let alerts: object[];
const on = stage({
  answer: async ({ pathname }, request) => {
    if (pathname === '/api/v1/posture/checks') return Response.json({ items: CHECKS, next: null });
    if (pathname.endsWith('/exception')) {
      const body =
        request.method === 'PUT' ? ((await request.json()) as { until_ms: number; reason: string }) : undefined;
      sent.push({ method: request.method, body });
      weakness = { ...weakness, state: body ? { excepted: { ...body, by: 'person:anna' } } : 'open' };
      return Response.json(weakness);
    }
    if (pathname.startsWith('/api/v1/posture/wk_')) return Response.json(weakness);
    if (pathname === '/api/v1/alerts') return Response.json({ items: alerts, next: null });
    if (pathname === '/api/v1/endpoints/ep_1')
      return Response.json({ id: 'ep_1', key: { method: 'GET', template: '/export' } });
    return undefined;
  },
});
beforeEach(() => {
  [weakness, sent] = [WEAKNESS, []];
  alerts = [
    { id: 'al_0', state: 'open', entity: { gateway: 'edge' } },
    { id: 'al_1', state: 'open', entity: { gateway: 'kong' } },
  ];
});

async function show(role: Role) {
  on.client.setQueryData(['session'], { role });
  await on.show(
    <Routes>
      <Route path="posture/:id" element={<WeaknessPage />} />
    </Routes>,
    '/posture/wk_1',
  );
}

const button = (name: string) => [...document.querySelectorAll('button')].find((one) => one.textContent === name);
const panel = (title: string) =>
  [...on.host.querySelectorAll('.panel')].find((one) => one.querySelector('h2')!.textContent === title);

function type(field: HTMLInputElement | HTMLTextAreaElement, words: string) {
  act(() => {
    // As React notices it.
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value')!.set!.call(field, words);
    field.dispatchEvent(new Event('input', { bubbles: true }));
  });
}

it('tells what is weak, what it rests on, what to do, and whom it is about', async () => {
  await show('viewer');
  expect(on.host.querySelector('h1')!.textContent).toBe('Open to anybody · shop');
  expect(on.host.querySelector('.story')!.textContent).toBe(WEAKNESS.sentence);
  expect(panel('What it rests on')!.textContent).toContain('answered 2xx40');
  expect([...panel('What to do')!.querySelectorAll('code')].map((one) => one.textContent)).toEqual([
    'POST /routes/r-shop/plugins',
    'name=key-auth',
  ]);
  const links = [...on.host.querySelectorAll('a')].map((one) => [one.textContent, one.getAttribute('href')]);
  expect(links).toContainEqual(['GET /export', '/apis/ep_1']);
  expect(links).toContainEqual(['shop', '/apis/service?gateway=kong&workspace=w&service=s-shop']);
  expect(links).toContainEqual([
    'API2 Broken Authentication',
    'https://owasp.org/API-Security/editions/2023/en/0xa2-broken-authentication/',
  ]);
  expect(links).toContainEqual(['Open in Hunt', `/hunt/sql?statement=${encodeURIComponent(WEAKNESS.query)}`]);
  expect(links).toContainEqual(['al_1', '/alerts/al_1']);
  expect(links).toContainEqual(['the other', '/posture/checks/plain_http']);
});

it('shows a viewer no decision', async () => {
  await show('viewer');
  expect(button('Leave it until…')).toBeUndefined();
});

it('leaves it until the end of a day, for a reason', async () => {
  await show('analyst');
  act(() => button('Leave it until…')!.click());
  const leave = () => button('Leave it')!;
  expect(leave().disabled).toBe(true);
  type(document.querySelector('textarea')!, 'the partner moves');
  type(document.querySelector<HTMLInputElement>('input[type=date]')!, '');
  expect(leave().disabled).toBe(true);
  type(document.querySelector<HTMLInputElement>('input[type=date]')!, '2099-12-31');
  act(() => leave().click());
  await on.settle();
  expect(sent).toEqual([{ method: 'PUT', body: { until_ms: endOfDay('2099-12-31'), reason: 'the partner moves' } }]);
  expect(panel('Left for a while')!.textContent).toContain('the partner moves');
  expect(panel('Left for a while')!.textContent).toContain('decided by anna');
});

it('takes an exception back', async () => {
  weakness = { ...EXCEPTED, id: 'wk_1' };
  await show('analyst');
  act(() => button('Take the exception back')!.click());
  act(() => button('Take it back')!.click());
  await on.settle();
  expect(sent.map(({ method }) => method)).toEqual(['DELETE']);
  expect(panel('Left for a while')).toBeUndefined();
  expect(button('Leave it until…')).toBeDefined();
});

it('leaves nothing that is there no longer, and says that there was no alert', async () => {
  weakness = { ...WEAKNESS, state: 'fixed', fixed_ms: 1_700_000_900_000, reopened: 2 };
  alerts = [];
  await show('admin');
  expect(button('Leave it until…')).toBeUndefined();
  const facts = panel('Whom and what')!.textContent;
  expect(facts).toContain('Alertnone');
  expect(facts).toContain('Fixed');
  expect(facts).toContain('Came back2 times');
});
