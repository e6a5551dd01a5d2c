import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stubBrowser, unstubBrowser } from '../../testing';
import { AlertsPage } from './AlertsPage';

let host: HTMLElement;
let asked: URLSearchParams[];
let unmount: () => void;

function answer(url: URL): Response {
  switch (url.pathname) {
    case '/api/v1/alerts':
      asked.push(url.searchParams);
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

beforeEach(() => {
  stubBrowser();
  vi.stubGlobal('fetch', (request: Request) => Promise.resolve(answer(new URL(request.url))));
  // Lists of choices scroll to what is chosen.
  Element.prototype.scrollIntoView = () => undefined;
  asked = [];
  host = document.createElement('div');
  document.body.append(host);
});
afterEach(() => {
  act(() => unmount());
  host.remove();
  unstubBrowser();
});

async function open(address: string) {
  const root = createRoot(host);
  unmount = () => root.unmount();
  const client = new QueryClient();
  client.setQueryData(['session'], { role: 'viewer' });
  act(() =>
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={client}>
          <MemoryRouter initialEntries={[`/alerts${address}`]}>
            <AlertsPage />
          </MemoryRouter>
        </QueryClientProvider>
      </MantineProvider>,
    ),
  );
  await act(() => vi.waitFor(() => expect(client.isFetching()).toBe(0)));
}

const facet = (name: string) => host.querySelector<HTMLInputElement>(`input[aria-label="${name}"]`)!;
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
  await act(() => vi.waitFor(() => expect(asked.at(-1)!.get(parameter)).toBe(value)));
});

it('shows what the address says, although nothing of that name is there', async () => {
  await open('?detector=hunt:gone&service=gone');
  expect([facet('Detector').value, facet('Service').value]).toEqual(['Hunt: gone', 'gone']);
});
