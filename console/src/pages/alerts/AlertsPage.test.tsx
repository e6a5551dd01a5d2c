import { act } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import { AlertsPage } from './AlertsPage';

const on = stage({ answer, role: 'viewer' });

function answer(url: URL): Response {
  switch (url.pathname) {
    case '/api/v1/alerts':
      return Response.json({ items: [], next: null });
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
beforeEach(() => void (Element.prototype.scrollIntoView = () => undefined));

const open = (address: string) => on.show(<AlertsPage />, `/alerts${address}`);

const facet = (name: string) => on.host.querySelector<HTMLInputElement>(`input[aria-label="${name}"]`)!;
const listed = () => on.asked.filter((url) => url.pathname === '/api/v1/alerts').map((url) => url.searchParams);
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
