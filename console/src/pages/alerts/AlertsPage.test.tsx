import { act } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import AlertsPage from './AlertsPage';

const ALERT = {
  id: 'al_1',
  detector: 'request_spike',
  entity: { kind: 'consumer', gateway: 'kong', value: 'id', label: 'mallory' },
  state: 'open',
  severity: 'high',
  sentence: 'mallory called',
  finding_count: 1,
  last_finding_ms: 0,
  worst: { observation: { observed: 2, expected: 1 } },
};
let rows: object[];
let everAny = false;
const on = stage({ answer, role: 'viewer' });

function answer(url: URL): Response {
  switch (url.pathname) {
    case '/api/v1/alerts':
      return Response.json({ items: everAny && url.searchParams.get('limit') === '1' ? [{}] : rows, next: null });
    case '/api/v1/assignees':
      return Response.json({ items: [{ name: 'berta', display_name: 'Berta' }] });
    case '/api/v1/search/completions': {
      const isOfConsumers = url.searchParams.get('q')!.startsWith('consumer:');
      return Response.json({ items: isOfConsumers ? [{ search: 'consumer:mallory', words: '' }] : [] });
    }
    case '/api/v1/status':
      return Response.json({ notices: [], platform: { analysis: { detectors: [{ name: 'credential_stuffing' }] } } });
    case '/api/v1/hunts':
      return Response.json({ items: [{ hunt: { name: 'refused-often' } }] });
    case '/api/v1/endpoints':
      return Response.json({ items: [{ service_name: 'orders' }, { service_name: null }] });
    default:
      return Response.json({});
  }
}

// Lists of choices scroll to what is chosen.
beforeEach(() => {
  rows = [];
  Element.prototype.scrollIntoView = () => undefined;
});

const open = (address: string) => on.show(<AlertsPage />, `/alerts${address}`);

const facet = (name: string) => on.host.querySelector<HTMLInputElement>(`input[aria-label="${name}"]`)!;
const listed = () =>
  on.asked
    .filter((url) => url.pathname === '/api/v1/alerts')
    .map((url) => url.searchParams)
    // The other is whether there is any.
    .filter((query) => query.get('limit') !== '1');
const options = () => [...document.querySelectorAll<HTMLElement>('[role=option]')];
const words = () => options().map((one) => one.textContent);

it.each([
  ['Detector', 'Hunt: refused-often', 'detector', 'hunt:refused-often'],
  ['Service', 'orders', 'service', 'orders'],
])('filters by %s among those that there are', async (name, label, parameter, value) => {
  await open('');
  act(() => facet(name).click());
  expect(words()).toContain(label);
  expect(words()).not.toContain('Hunt');
  act(() =>
    options()
      .find((one) => one.textContent === label)!
      .click(),
  );
  await act(() => vi.waitFor(() => expect(listed().at(-1)!.get(parameter)).toBe(value)));
});

it('shows what the address says, although nothing of that name is there', async () => {
  await open('?detector=hunt:gone&service=gone');
  expect([facet('Detector').value, facet('Service').value]).toEqual(['Hunt: gone', 'gone']);
});

const tabs = () => [...on.host.querySelectorAll('nav a')];
const shownTabs = () => tabs().flatMap((tab) => (tab.getAttribute('aria-current') ? [tab.textContent] : []));

it.each([
  ['', 'open,acknowledged', 'Unfinished'],
  ['?state=open', 'open', 'Open'],
  ['?state=all', null, 'All'],
  ['?state=resolved,open,acknowledged', 'open,acknowledged,resolved', 'Open + Acknowledged + Resolved'],
  ['?state=mistyped', 'open,acknowledged', 'Unfinished'],
])('lists by the states of the address “%s”', async (address, asked, tab) => {
  await open(address);
  expect(listed().at(-1)!.get('state')).toBe(asked);
  expect(shownTabs()).toEqual([tab]);
});

it('says that nothing is unfinished where there are alerts that are over', async () => {
  everAny = true;
  await open('');
  expect(on.host.textContent).toContain('No alert is in this state.');
  everAny = false;
});

it('filters by anybody who may look after alerts', async () => {
  on.client.setQueryData(['session'], { role: 'analyst' });
  await open('');
  act(() => facet('Assigned to').click());
  expect(words()).toEqual(expect.arrayContaining(['Nobody’s', 'Berta']));
});

it('asks nothing for a viewer that would be refused, and filters by those who have one of the alerts', async () => {
  rows = [{ ...ALERT, assignee: 'carla' }];
  await open('');
  expect(on.asked.map((url) => url.pathname)).not.toContain('/api/v1/assignees');
  act(() => facet('Assigned to').click());
  expect(words()).toEqual(expect.arrayContaining(['Nobody’s', 'carla']));
});

it('asks for an entity when its name is complete, and not before', async () => {
  await open('');
  const before = listed().length;
  const field = facet('Consumer, address or other entity');
  act(() => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(field, 'mal');
    field.dispatchEvent(new Event('input', { bubbles: true }));
  });
  await on.settle();
  expect(listed()).toHaveLength(before);
  act(() => {
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
  });
  await act(() => vi.waitFor(() => expect(listed().at(-1)!.get('entity')).toBe('mallory')));
});
